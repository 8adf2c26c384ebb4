"""The query that is asked of every system: two tables of about a thousand cells, of the same councils' records."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.end_to_end import question
from federated.query import DatePart, Query
from federated.schema import load_schema
from federated.synthetic import Cases
from federated.synthetic.truth import counted_records

__all__ = ["Asked", "asked", "tidy_extracts", "true_counts"]

MONTH: Final = "assessment_month"
COLUMNS: Final = ("assessment_date", "reason_loss", "assessment_outcome", "main_age_band")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The query, as ours and as a peer without our language gets it.

    Attributes:
        query: Ours.
        tables: For each table its columns, and for each column the codes in order.
    """

    query: Query
    tables: Sequence[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]]

    @property
    def cells(self) -> int:
        """Of all tables."""
        return sum(len(list(product(*codes))) for _, codes in self.tables)

    def write(self, path: Path) -> Path:
        """The question as a file that a peer's program reads."""
        period = self.query.period
        document = {
            "period": [period.start.isoformat(), period.end.isoformat()],
            "tables": [{"columns": columns, "codes": codes} for columns, codes in self.tables],
        }
        path.write_text(json.dumps(document), encoding="utf-8")
        return path


def asked(epsilon: Fraction) -> Asked:
    """The question of `benchmarks.end_to_end`."""
    query = question(epsilon)
    dataset = load_schema().dataset(query.dataset)
    tables = []
    for table in query.tables:
        columns = [MONTH if dimension.part is DatePart.MONTH else dimension.column for dimension in table.by]
        codes = [
            tuple(_months(query)) if name == MONTH else tuple(code.code for code in dataset.column(name).codes)
            for name in columns
        ]
        tables.append((tuple(columns), tuple(codes)))
    return Asked(query=query, tables=tuple(tables))


def _months(query: Query) -> Iterator[str]:
    year, month = query.period.start.year, query.period.start.month
    while (year, month) <= (query.period.end.year, query.period.end.month):
        yield f"{year}-{month:02d}"
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def tidy_extracts(folder: Path, recorded: Sequence[Cases], asked_: Asked) -> Path:
    """Each council's records of the question as a tidy file: what our node must first make of a messy one."""
    folder.mkdir(parents=True, exist_ok=True)
    for cases in recorded:
        with (folder / f"{cases.council}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(counted_records(cases, asked_.query.period, asked_.query.where))
    return folder


def true_counts(recorded: Sequence[Cases], asked_: Asked) -> NDArray[np.int64]:
    """Every cell without noise, in the order in which a peer counts them."""
    places = [{cell: place for place, cell in enumerate(product(*codes))} for _, codes in asked_.tables]
    counts = [np.zeros(len(place), dtype=np.int64) for place in places]
    for cases in recorded:
        for record in counted_records(cases, asked_.query.period, asked_.query.where):
            row = {**record, MONTH: record["assessment_date"][:7]}
            for (columns, _), place, counted in zip(asked_.tables, places, counts, strict=True):
                counted[place[tuple(row[name] for name in columns)]] += 1
    return np.concatenate(counts)
