"""What every analysis gives: a table with intervals, findings, and notes on what to know before it is used."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite
from pathlib import Path

from federated.errors import FileProblem
from federated.outputs.csv_table import BOM_FREE_UTF8, tidy_csv
from federated.release import NOT_OFFICIAL, AxisRecord

__all__ = ["DerivedCell", "DerivedTable", "Finding", "codes_along", "write_derived"]

FIGURES = ("estimate", "standard_error", "low", "high", "coverage")


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedCell:
    """One cell of a derived table.

    Attributes:
        codes: The cell's category along each axis.
        estimate: In the table's unit; None where nothing can be said.
        standard_error: Of the noise in the estimate.
        low: Lower end of the interval; infinite where nothing can be said.
        high: Upper end; infinite where the noise leaves it open.
        coverage: Probability, over the noise, that an interval made this way holds the true value.
    """

    codes: tuple[str, ...]
    estimate: float | None
    standard_error: float | None
    low: float
    high: float
    coverage: float

    def as_json(self) -> dict[str, object]:
        """The cell for a program; an open end is null."""
        return {"codes": list(self.codes), **{name: _finite(getattr(self, name)) for name in FIGURES}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One named figure over a whole table, such as the p-value of a test.

    Attributes:
        name: Lower-case name.
        value: The figure.
        sentence: What it means.
    """

    name: str
    value: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedTable:
    """The result of an analysis.

    Attributes:
        name: Lower-case name, for files.
        title: What is printed above it.
        unit: What one unit of an estimate is.
        method: How it was made, in one plain sentence.
        axes: Breakdowns.
        cells: Row-major over the axes.
        findings: Single figures over the table.
        notes: What a reader must know: who is missing, what was allowed, which words may be used.
        releases: Digests of the releases it was made from, hexadecimal.
        caveat: Of the released table it was made from, the first of the notes too; empty for most.
    """

    name: str
    title: str
    unit: str
    method: str
    axes: tuple[AxisRecord, ...]
    cells: tuple[DerivedCell, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    releases: tuple[str, ...]
    caveat: str

    def finding(self, name: str) -> float:
        """The value of a finding.

        Raises:
            KeyError: There is none of that name.
        """
        for found in self.findings:
            if found.name == name:
                return found.value
        raise KeyError(name)

    def as_json(self) -> dict[str, object]:
        """The table for a program, version 1."""
        return {
            "version": 1,
            "note": NOT_OFFICIAL,
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "method": self.method,
            "axes": [axis.model_dump(mode="json") for axis in self.axes],
            "cells": [cell.as_json() for cell in self.cells],
            "findings": [
                {"name": item.name, "value": _finite(item.value), "sentence": item.sentence} for item in self.findings
            ],
            "notes": list(self.notes),
            "releases": list(self.releases),
        }

    def as_csv(self) -> str:
        """The cells as tidy CSV: codes and labels, estimate, error, interval; an open end is an empty cell."""
        rows = ((cell.codes, [_finite(getattr(cell, name)) for name in FIGURES]) for cell in self.cells)
        return tidy_csv(self.axes, FIGURES, rows, caveat=self.caveat)


def codes_along(axes: Sequence[AxisRecord]) -> tuple[tuple[str, ...], ...]:
    """The categories of every cell, row-major."""
    return tuple(product(*(axis.codes for axis in axes)))


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def write_derived(table: DerivedTable, folder: Path) -> tuple[Path, ...]:
    """Write a derived table into a folder: CSV, and JSON with findings and notes.

    Raises:
        FileProblem: The folder cannot be written.
    """
    cells, whole = folder / f"{table.name}.csv", folder / f"{table.name}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        cells.write_text(table.as_csv(), encoding=BOM_FREE_UTF8, newline="")
        whole.write_text(json.dumps(table.as_json(), indent=2, ensure_ascii=False) + "\n", encoding=BOM_FREE_UTF8)
    except OSError as error:
        raise FileProblem(f"{folder}: the analysis cannot be written there ({error.strerror}).") from error
    return cells, whole
