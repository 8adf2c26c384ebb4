"""The published council figures of January to March 2025, and which codes of the schema they count.

Public open data, read here only to make synthetic cases and to print a published figure beside an estimate.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import yaml

from federated.errors import QueryError
from federated.query.model import Period
from federated.schema import load_schema
from protocols.identifiers import CouncilId

ATTRIBUTION: Final = (
    "Contains public sector information licensed under the Open Government Licence v3.0. "
    "© Crown copyright 2025, Ministry of Housing, Communities and Local Government."
)
"""To be printed with any use of the figures."""

SOURCE: Final = "Statutory homelessness: Detailed local authority-level tables, January to March 2025 (MHCLG)"

PUBLISHED_QUARTER: Final = Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31))
"""The quarter the figures are about."""

_FIGURES_FILE: Final = "published_2025q1.csv"
_COLUMNS_FILE: Final = "published_columns.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPart:
    """Households that one published table splits by the codes of a column.

    Attributes:
        outcomes: Codes of ``assessment_outcome`` of those households.
        table: Published table, for example ``A2P``.
        total_table: Table of the measure `total`.
        total: Measure that counts all households of the part.
    """

    outcomes: frozenset[str]
    table: str
    total_table: str
    total: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedColumn:
    """A column of the table ``case`` that the published tables split households by.

    Attributes:
        column: Name of the column.
        parts: Published tables to add up; no household is in two.
        codes: Published measure of each code; codes that are not published are left out.
        rest: Code of the households of a part that no measure counts, where there is one.
    """

    column: str
    parts: tuple[PublishedPart, ...]
    codes: Mapping[str, str]
    rest: str | None

    @property
    def outcomes(self) -> frozenset[str]:
        """Codes of ``assessment_outcome`` of all households that the figures are about."""
        return frozenset().union(*(part.outcomes for part in self.parts))


@cache
def _figures() -> Mapping[str, Mapping[str, Mapping[str, int | None]]]:
    """Table, then measure, then council; `None` where nothing was published."""
    tables: dict[str, dict[str, dict[str, int | None]]] = {}
    text = files("federated.synthetic").joinpath(_FIGURES_FILE).read_text(encoding="utf-8")
    reader = csv.reader(text.splitlines())
    councils = next(reader)[2:]
    for table, measure, *cells in reader:
        values = {code: int(cell) if cell else None for code, cell in zip(councils, cells, strict=True)}
        tables.setdefault(table, {})[measure] = values
    return tables


@cache
def published_columns() -> Mapping[str, PublishedColumn]:
    """The columns of the table ``case`` that have published figures, by name."""
    text = files("federated.synthetic").joinpath(_COLUMNS_FILE).read_text(encoding="utf-8")
    columns = {
        name: PublishedColumn(
            column=name,
            parts=tuple(
                PublishedPart(
                    outcomes=frozenset(part["outcomes"]),
                    table=part["table"],
                    total_table=part.get("total_table", part["table"]),
                    total=part["total"],
                )
                for part in content["parts"]
            ),
            codes=MappingProxyType(content["codes"]),
            rest=content.get("rest"),
        )
        for name, content in yaml.safe_load(text)["columns"].items()
    }
    return MappingProxyType(columns)


def measures(table: str) -> tuple[str, ...]:
    """Measures of a published table in printed order.

    Raises:
        QueryError: There is no such table here.
    """
    try:
        return tuple(_figures()[table])
    except KeyError:
        raise QueryError(
            f"There is no published table '{table}' here.", remedy=f"The tables are: {', '.join(_figures())}."
        ) from None


def published(table: str, council: CouncilId, measure: str) -> int | None:
    """One published figure, in households (in TA1 also children).

    Returns:
        The figure, or `None` where the return was missing or the figure suppressed.

    Raises:
        QueryError: There is no such table, measure or council.
    """
    if measure not in measures(table):
        raise QueryError(f"Published table {table} has no measure '{measure}'.")
    cells = _figures()[table][measure]
    if council not in cells:
        raise QueryError(f"There are no published figures for the council code '{council}'.")
    return cells[council]


def england_total(table: str, measure: str) -> int:
    """A published figure added up over all councils that have one.

    Raises:
        QueryError: There is no such table or measure.
    """
    if measure not in measures(table):
        raise QueryError(f"Published table {table} has no measure '{measure}'.")
    return sum(figure or 0 for figure in _figures()[table][measure].values())


def returned(table: str, council: CouncilId) -> bool:
    """Whether the council's return for the table was there at all."""
    return any(published(table, council, measure) is not None for measure in measures(table))


def part_marginal(column: PublishedColumn, part: PublishedPart, council: CouncilId) -> dict[str, int | None]:
    """The published figure of each code of a column among the households of one part."""
    figures = {code: published(part.table, council, measure) for code, measure in column.codes.items()}
    if column.rest is not None:
        figures[column.rest] = _less(published(part.total_table, council, part.total), figures)
    return figures


def _less(total: int | None, figures: Mapping[str, int | None]) -> int | None:
    counted = [figure for figure in figures.values() if figure is not None]
    return None if total is None or len(counted) < len(figures) else total - sum(counted)


def published_marginal(column: str, council: CouncilId, *, outcome: str | None = None) -> Mapping[str, int | None]:
    """The published figures of one council for the codes of a column of the table ``case``.

    Args:
        column: A column of `published_columns`, or one derived from it such as ``main_ethnic_group_6``.
        council: The council.
        outcome: Only households with this ``assessment_outcome``; all of `PublishedColumn.outcomes` when none.

    Returns:
        Households by code, in the order of the schema; `None` where a figure was missing or suppressed. Codes that
        the tables do not print are left out.

    Raises:
        QueryError: The column is not published, or not for these households alone.
    """
    base = _base_of(column)
    source = published_columns()[base]
    parts = [part for part in source.parts if outcome is None or part.outcomes == {outcome}]
    if not parts:
        raise QueryError(f"Column '{column}' is not published for households with the outcome '{outcome}' alone.")
    leaves = [part_marginal(source, part, council) for part in parts]
    derivation = load_schema().dataset("case").column(column).derivation
    total: dict[str, int | None] = {}
    for marginal in leaves:
        for leaf, figure in marginal.items():
            code = derivation[leaf] if derivation else leaf
            so_far = total.get(code, 0)
            total[code] = None if figure is None or so_far is None else so_far + figure
    order = load_schema().dataset("case").column(column).code_list
    return {code: total[code] for code in order if code in total}


def _base_of(column: str) -> str:
    base = load_schema().dataset("case").column(column).derived_from or column
    if base not in published_columns():
        raise QueryError(
            f"There are no published figures for the column '{column}'.",
            remedy=f"They exist for: {', '.join(published_columns())}, and columns derived from these.",
        )
    return base
