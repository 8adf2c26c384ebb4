"""Adjusted tables as files: tidy CSV with released and adjusted figures side by side, and JSON for a program."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.analysis.consistent import Consistent, ConsistentTable, Floats, without_negatives
from federated.errors import FileProblem
from federated.outputs.csv_table import tidy_csv
from federated.release import NOT_OFFICIAL, Release, is_region_table

__all__ = ["cell_rows", "consistent_csv", "consistent_json", "notes", "printed_figures", "write_consistent"]

FIGURES: Final = ("released", "released_error", "estimate", "standard_error", "low", "high", "printed")
METHOD: Final = (
    "Weighted least squares over every sum of the release's tables that must agree, each figure weighed by the inverse "
    "of its noise's variance; 95% intervals are approximate."
)


def printed_figures(table: ConsistentTable, *, non_negative: bool) -> Floats:
    """The adjusted figures for printing: as they are, or none below zero with the total (of each region) kept."""
    record = table.placed.record
    if not non_negative or record.may_be_negative:
        return table.estimates
    cells = np.arange(len(table.estimates), dtype=np.intp)
    groups: list[NDArray[np.intp]] = (
        list(cells.reshape(len(record.axes[0].codes), -1)) if is_region_table(record) else [cells]
    )
    return without_negatives(table.estimates, groups)


def cell_rows(table: ConsistentTable, *, non_negative: bool) -> Iterator[tuple[float, ...]]:
    """The figures of each cell, in the order of `FIGURES`."""
    released = [cell.estimate for cell in table.placed.record.cells]
    columns = (table.released_errors, table.estimates, table.standard_errors, table.low, table.high)
    for first, *others in zip(released, *columns, printed_figures(table, non_negative=non_negative), strict=True):
        yield tuple(float(value) for value in (first, *others))


def consistent_csv(table: ConsistentTable, *, non_negative: bool) -> str:
    """One table as tidy CSV (UTF-8)."""
    record = table.placed.record
    rows = zip((cell.codes for cell in record.cells), cell_rows(table, non_negative=non_negative), strict=True)
    return tidy_csv(record.axes, FIGURES, rows, caveat=record.caveat)


def notes(consistent: Consistent, release: Release, *, same_margins: bool) -> Iterator[str]:
    """What a reader must know of the adjusted tables."""
    yield from (f"{table.name}: {table.caveat}" for table in release.tables if table.caveat)
    yield (
        f"{consistent.agreements} sums were made to agree. Before, they disagreed by {consistent.disagreement:.1f}; "
        f"noise alone gives about {consistent.agreements} (p = {consistent.p_value:.2g})."
    )
    if consistent.suspicious:
        yield (
            "That is more than noise explains: do not use the adjusted figures. "
            + (
                "Households with several records are in different cells of different tables; leave --same-margins out."
                if same_margins
                else "Check the release with `federated verify`, and tell whoever runs the coordinator."
            )
        )
    if any(is_region_table(table) for table in release.tables) and not consistent.complete:
        yield "Some councils stand in regions that are not shown, so regions were not made to add up to all councils."
    if same_margins:
        yield "Margins of cross-tables were made to agree, as if no household had two records in the period."


def consistent_json(
    consistent: Consistent, release: Release, *, non_negative: bool, same_margins: bool
) -> dict[str, object]:
    """The adjusted tables for a program, version 1."""
    return {
        "version": 1,
        "note": NOT_OFFICIAL,
        "method": METHOD,
        "release": release.digest.hex(),
        "agreements": consistent.agreements,
        "disagreement": consistent.disagreement,
        "p_value": consistent.p_value,
        "regions_complete": consistent.complete,
        "notes": list(notes(consistent, release, same_margins=same_margins)),
        "tables": [
            {
                "name": table.placed.record.name,
                "axes": [axis.model_dump(mode="json") for axis in table.placed.record.axes],
                "cells": [
                    {"codes": list(cell.codes), **dict(zip(FIGURES, row, strict=True))}
                    for cell, row in zip(
                        table.placed.record.cells, cell_rows(table, non_negative=non_negative), strict=True
                    )
                ],
            }
            for table in consistent.tables
        ],
    }


def write_consistent(
    consistent: Consistent, release: Release, folder: Path, *, non_negative: bool, same_margins: bool
) -> tuple[Path, ...]:
    """Write the adjusted tables into a folder: a CSV file for each, and one JSON file.

    Raises:
        FileProblem: The folder cannot be written.
    """
    whole = folder / "consistent.json"
    document = consistent_json(consistent, release, non_negative=non_negative, same_margins=same_margins)
    written = [whole]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        whole.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for table in consistent.tables:
            path = folder / f"{table.placed.record.name}-consistent.csv"
            path.write_text(consistent_csv(table, non_negative=non_negative), encoding="utf-8", newline="")
            written.append(path)
    except OSError as error:
        raise FileProblem(f"{folder}: the analysis cannot be written there ({error.strerror}).") from error
    return tuple(written)
