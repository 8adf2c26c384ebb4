"""What the statistics are tried on: the councils' published figures, and two public sets of records about people.

* ``published``: cases synthesised for a hundred councils, whose counts are those that the department published.
* ``fair``: 6,366 answers to a magazine's survey of marriages in 1974 (Fair 1978), as statsmodels ships it.
* ``randhie``: 20,190 years of people in the RAND Health Insurance Experiment (Deb and Trivedi 2002), as statsmodels
  ships it.

Numbers are rounded to whole ones, as every column of a council is. Each record of the public sets is taken for one
household. A stay is made of a number of days by letting it begin on one day for everybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from council_node.local_statistic import clamped, exact_vector
from council_node.sources.extract import HOUSEHOLD, ROWS, Extract, LoadReport
from federated.privacy import Mechanism
from federated.query import Period, Query, Table
from federated.schema import NOT_KNOWN, Code, Column, ColumnType, Dataset, load_schema
from federated.statistics import Layout, statistic
from federated.synthetic import PUBLISHED_QUARTER, synthesise

__all__ = ["Source", "source"]

DAY = date(2025, 1, 15)
COUNCILS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Records, with their dictionary.

    Attributes:
        name: See the module.
        extract: The records as a node holds them.
        period: All of them lie in it.
        households: How many there are.
    """

    name: str
    extract: Extract
    period: Period
    households: int

    def layout(self, question: Query) -> Layout:
        """Where the first table's numbers stand."""
        table = question.tables[0]
        return statistic(table.statistic).layout(table, self.extract.dataset, question.period, ())

    def exact(self, question: Query, mechanism: Mechanism, coefficients: tuple[int, ...] = ()) -> NDArray[np.int64]:
        """The first table without noise, counted by the node's own step over all records at once."""
        planned = _Planned(
            table=question.tables[0],
            layout=self.layout(question),
            clamp=2**62,
            mechanism=mechanism,
            coefficients=coefficients,
        )
        return clamped(exact_vector(self.extract, question, [planned], region=""), [planned]).vector


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    table: Table
    layout: Layout
    clamp: int
    mechanism: Mechanism
    coefficients: tuple[int, ...] = ()


@lru_cache(maxsize=3)
def source(name: str) -> Source:
    """One of the three."""
    return {"published": _published, "fair": _fair, "randhie": _randhie}[name]()


def _published() -> Source:
    dataset = load_schema().dataset("case")
    councils = list(load_schema().councils)[:: len(load_schema().councils) // COUNCILS][:COUNCILS]
    frames = []
    for council in councils:
        cases = synthesise(council, 5)
        frame = pd.DataFrame({name: np.asarray(values, dtype=object) for name, values in cases.columns.items()})
        frame["household_key"] = council + frame["household_key"]
        frames.append(frame)
    records = pd.concat(frames, ignore_index=True)
    period = Period(column="assessment_date", start=PUBLISHED_QUARTER.start, end=PUBLISHED_QUARTER.end)
    return _source("published", dataset, records, period)


def _fair() -> Source:
    from statsmodels.datasets import fair  # noqa: PLC0415 - a peer's package, for this source alone

    found = fair.load_pandas().data
    dataset = _dataset(
        "fair",
        _category("rating", "Rating", "1 2 3 4 5"),
        _category("kind", "Work", "1 2 3 4 5 6"),
        _category("outcome", "Any", "yes no"),
        _category("exposed", "Devout", "yes no"),
        _number("age", "Age", 99),
        _number("years", "Years married", 99),
        _number("children", "Children", 9),
        _number("amount", "Time in affairs", 99),
    )
    records = pd.DataFrame(
        {
            "household_key": found.index.astype(str),
            "rating": found["rate_marriage"].astype(int).astype(str),
            "kind": found["occupation"].astype(int).astype(str),
            "outcome": np.where(found["affairs"] > 0, "yes", "no"),
            "exposed": np.where(found["religious"] > 2, "yes", "no"),
            "age": found["age"].round().astype(int),
            "years": found["yrs_married"].round().astype(int),
            "children": found["children"].round().astype(int),
            "amount": found["affairs"].round().astype(int),
        }
    )
    return _with_stays("fair", dataset, records, days=records["years"])


def _randhie() -> Source:
    from statsmodels.datasets import randhie  # noqa: PLC0415 - a peer's package, for this source alone

    found = randhie.load_pandas().data
    health = np.select(
        [found["hlthg"] > 0, found["hlthf"] > 0, found["hlthp"] > 0], ["good", "fair", "poor"], "excellent"
    )
    dataset = _dataset(
        "randhie",
        _category("rating", "Health", "excellent good fair poor"),
        _category("kind", "Plan", "yes no"),
        _category("outcome", "Any visit", "yes no"),
        _category("exposed", "Limited", "yes no"),
        _number("age", "Chronic diseases", 99),
        _number("years", "Visits", 99),
        _number("children", "Coinsurance", 9),
        _number("amount", "Visits", 99),
    )
    visits = found["mdvis"].astype(int)
    records = pd.DataFrame(
        {
            "household_key": found.index.astype(str),
            "rating": health,
            "kind": np.where(found["idp"] > 0, "yes", "no"),
            "outcome": np.where(visits > 0, "yes", "no"),
            "exposed": np.where(found["physlm"] > 0.5, "yes", "no"),
            "age": found["disea"].round().astype(int),
            "years": visits,
            "children": found["lncoins"].round().astype(int),
            "amount": visits,
        }
    )
    return _with_stays("randhie", dataset, records, days=visits)


def _category(name: str, label: str, codes: str) -> Column:
    listed = tuple(Code(code=code, label=code) for code in (*codes.split(), NOT_KNOWN))
    return Column(name=name, type=ColumnType.CATEGORY, label=label, sensitivity_class=0, codes=listed)


def _number(name: str, label: str, high: int) -> Column:
    return Column(name=name, type=ColumnType.INTEGER, label=label, sensitivity_class=0, low=0, high=high)


def _dataset(name: str, *columns: Column) -> Dataset:
    dates = (
        Column(name=day, type=ColumnType.DATE, label=day, sensitivity_class=0)
        for day in ("assessment_date", "relief_start", "relief_end")
    )
    return Dataset(
        name=name,
        title=name,
        unit="household",
        unit_column="household_key",
        columns={column.name: column for column in (*columns, *dates)},
    )


def _with_stays(name: str, dataset: Dataset, records: pd.DataFrame, *, days: "pd.Series[int]") -> Source:
    begun = np.datetime64(DAY)
    records["assessment_date"] = str(DAY)
    records["relief_start"] = str(DAY)
    records["relief_end"] = (begun + days.to_numpy().astype("timedelta64[D]")).astype(str)
    return _source(name, dataset, records, Period(column="assessment_date", start=DAY, end=DAY))


def _source(name: str, dataset: Dataset, records: pd.DataFrame, period: Period) -> Source:
    connection = duckdb.connect(":memory:")
    connection.register("records", records)
    held = [column for column in dataset.columns.values() if column.derived_from in records or column.name in records]
    held = [column for column in held if column.type is not ColumnType.KEY]
    items = ['md5_number(CAST("household_key" AS VARCHAR)) AS "' + HOUSEHOLD + '"']
    items += [f'{_read(column, dataset)} AS "{column.name}"' for column in held]
    connection.execute(f'CREATE TABLE "{ROWS}" AS SELECT {", ".join(items)} FROM records')
    return Source(
        name=name,
        extract=Extract(
            dataset=dataset,
            columns=frozenset(column.name for column in held),
            has_case_reference=False,
            report=LoadReport(rows_read=len(records)),
            connection=connection,
        ),
        period=period,
        households=records["household_key"].nunique(),
    )


def _read(column: Column, dataset: Dataset) -> str:
    match column.type:
        case ColumnType.CATEGORY:
            own = column.derived_from or column.name
            codes: Sequence[str] = dataset.column(own).code_list
            derived: Mapping[str, str] = column.derivation
            places = [column.code_list.index(derived.get(code, code)) for code in codes]
            unknown = column.code_list.index(NOT_KNOWN)
            listed = ", ".join(f"'{code}': {place}" for code, place in zip(codes, places, strict=True))
            return f'CAST(coalesce(MAP {{{listed}}}["{own}"], {unknown}) AS USMALLINT)'
        case ColumnType.DATE:
            return f'TRY_CAST("{column.name}" AS DATE)'
        case _:
            return f'TRY_CAST("{column.name}" AS INTEGER)'
