"""A council for tests: a few rows written as the CSV and mapping a council would have, read and counted by the node."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from council_node.local_statistic import compute_local_statistic
from council_node.mapping import ExtractMapping
from council_node.sources import Extract, load_extract
from federated.privacy import Mechanism
from federated.query import Condition, Period, Query, Table
from federated.schema import Dataset, load_schema
from federated.statistics import Layout, statistic

RUN_KEY = bytes(range(16))
REGIONS = (("E12000001", "North East"), ("E12000002", "North West"), ("E12000003", "Yorkshire and The Humber"))
QUARTER = Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31))


@dataclass(frozen=True)
class Planned:
    table: Table
    layout: Layout
    clamp: int = 10**9
    mechanism: Mechanism = Mechanism.DISCRETE_LAPLACE
    coefficients: tuple[int, ...] = ()


def case_dataset() -> Dataset:
    return load_schema().dataset("case")


def question(*tables: Table, where: Condition | None = None, period: Period = QUARTER, dataset: str = "case") -> Query:
    return Query(
        title="For a test",
        dataset=dataset,
        unit=load_schema().dataset(dataset).unit,
        group="north_east",
        period=period,
        epsilon=Fraction(1),
        tables=tables,
        where=where,
    )


def layout_of(table: Table, asked: Query, regions: Sequence[tuple[str, str]] = REGIONS) -> Layout:
    return statistic(table.statistic).layout(table, load_schema().dataset(asked.dataset), asked.period, regions)


def mapping_for(
    columns: Iterable[str], *, dataset: str = "case", codes: Mapping[str, Any] = MappingProxyType({}), **more: Any
) -> ExtractMapping:
    """A mapping whose headings are the schema's names."""
    mapped = {name: {"from": name, "codes": codes.get(name, {})} for name in columns}
    return ExtractMapping.model_validate_json(
        json.dumps({"mapping": 1, "dataset": dataset, "file": "extract.csv", "dates": "iso", "columns": mapped, **more})
    )


def write_csv(
    directory: Path, headings: Sequence[str], rows: Iterable[Sequence[Any]], *, encoding: str = "utf-8"
) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    path = directory / "extract.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def extract_of(
    directory: Path,
    rows: Sequence[Mapping[str, Any]],
    columns: Iterable[str],
    *,
    run_key: bytes = RUN_KEY,
    dataset: str = "case",
) -> Extract:
    """Rows of the reference evaluator, by way of a CSV file."""
    columns = sorted(columns)
    keys = ["household_key"] + (["case_key"] if any("case" in row for row in rows) else [])
    cells = [
        [row["household"], *([row.get("case")] if len(keys) > 1 else []), *(row[name] for name in columns)]
        for row in rows
    ]
    write_csv(directory, [*keys, *columns], cells)
    mapping = mapping_for([*keys, *columns], dataset=dataset)
    return load_extract(mapping, load_schema().dataset(dataset), columns, directory=directory, run_key=run_key)


def node_vectors(
    directory: Path,
    rows: Sequence[Mapping[str, Any]],
    asked: Query,
    *,
    region: str = REGIONS[0][0],
    run_key: bytes = RUN_KEY,
    clamp: int = 10**9,
    regions: Sequence[tuple[str, str]] = REGIONS,
    mechanism: Mechanism = Mechanism.DISCRETE_LAPLACE,
    coefficients: tuple[int, ...] = (),
) -> list[list[int]]:
    """What the node computes, table by table."""
    planned = [
        Planned(table, layout_of(table, asked, regions), clamp, mechanism, coefficients) for table in asked.tables
    ]
    with extract_of(directory, rows, asked.columns(), run_key=run_key, dataset=asked.dataset) as extract:
        vector = compute_local_statistic(extract, asked, planned, region=region).vector
    cuts = np.cumsum([item.layout.cells for item in planned])[:-1]
    return [part.tolist() for part in np.split(vector, cuts)]


def pseudonym_of(household: str, run_key: bytes = RUN_KEY) -> int:
    """The node's pseudonym of a household's reference, worked out apart from it."""
    return int(hashlib.sha256(f"{run_key.hex()}0:{household}".encode()).hexdigest()[:32], 16)
