"""Maps: one figure for each region under its GSS code, alone or joined to boundaries that the user gives.

No boundary is held or made here. A zone whose noisy count is under a smallest size is left blank: the protection is the
noise, and the rule only keeps a reader from looking at noise; it may look at nothing but the release.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

from federated.analysis.derived import DerivedCell, DerivedTable
from federated.analysis.public_figures import PublicFigures
from federated.analysis.rate import PER, rate
from federated.analysis.source import NoisyTable
from federated.errors import QueryError
from federated.outputs.geojson import Boundaries, feature_collection
from federated.presentation import SMALLEST_SHOWN, may_be_below_zero
from federated.release import is_region_table, labels_of
from federated.schema import Schema

__all__ = ["SMALLEST_SHOWN", "zones", "zones_geojson"]


def zones(
    source: NoisyTable,
    *,
    chosen: Mapping[str, str] | None = None,
    smallest: int = SMALLEST_SHOWN,
    denominators: PublicFigures | None = None,
    per: int = PER,
    schema: Schema,
) -> DerivedTable:
    """One figure for each region.

    Args:
        source: A table of regions.
        chosen: The category of each other axis, by the axis's name.
        smallest: Zones with a noisy count under this are left blank; of a sum that may be below zero, its size counts.
        denominators: Makes the figures rates.
        per: How many of the denominator a rate is for.
        schema: Says which council is in which region.

    Raises:
        QueryError: Not a table of regions, or no category or a wrong one for another axis.
        FileProblem: A denominator is missing, or of another year's codes.
    """
    if not is_region_table(source.table):
        raise QueryError(
            f"The table '{source.table.name}' is not of regions, so there is nothing to map.",
            remedy="Ask a question with level: region.",
        )
    named = dict(chosen or {})
    signed = may_be_below_zero(source.table)
    sizes = [abs(total) if signed else total for total in _picked(source, named)]
    measured = _counts(source) if denominators is None else rate(source, denominators, schema, per=per)
    by_codes = {cell.codes: cell for cell in measured.cells}
    cells = tuple(
        _shown(by_codes[(region, *(named[axis.name] for axis in source.table.axes[1:]))], blank=size < smallest)
        for region, size in zip(source.table.axes[0].codes, sizes, strict=True)
    )
    blank = [cell.codes[0] for cell in cells if cell.estimate is None]
    small = "the size of the estimate" if signed else "the estimate"
    words = ", ".join(f"{axis} {code}" for axis, code in named.items())
    return replace(
        measured,
        name=f"{source.table.name}_map",
        title=f"{source.release.title} – {source.table.name}, by region{f': {words}' if words else ''}",
        axes=source.table.axes[:1],
        cells=cells,
        notes=(
            *([f"Left blank, as {small} is under {smallest}: {', '.join(blank)}."] if blank else []),
            *measured.notes,
        ),
    )


def zones_geojson(table: DerivedTable, boundaries: Boundaries) -> dict[str, Any]:
    """A table of zones joined to boundaries, as a GeoJSON feature collection; geometry is passed on unchanged.

    Args:
        table: From `zones`.
        boundaries: Of the zones; others are left out.

    Raises:
        FileProblem: A zone has no boundary.
    """
    kept = {"note", "title", "unit", "notes", "releases"}
    members = {"name": table.name, **{key: value for key, value in table.as_json().items() if key in kept}}
    rows = (
        (
            cell.codes[0],
            {
                "code": cell.codes[0],
                "name": labels_of(table.axes, cell.codes)[0],
                **{key: value for key, value in cell.as_json().items() if key != "codes"},
            },
        )
        for cell in table.cells
    )
    return feature_collection(members, rows, boundaries)


def _picked(source: NoisyTable, chosen: Mapping[str, str]) -> list[float]:
    """The noisy count of each region in the chosen category of every other axis."""
    others = source.table.axes[1:]
    known = {axis.name for axis in others}
    if chosen.keys() != known:
        raise QueryError(
            f"A map shows one figure for each region; the table '{source.table.name}' has the other axes: "
            f"{', '.join(sorted(known)) or 'none'}.",
            remedy="Choose one category of each, and of no other, with --select, written axis=code.",
        )
    for axis in others:
        if chosen[axis.name] not in axis.codes:
            raise QueryError(
                f"The axis '{axis.name}' has no category '{chosen[axis.name]}'.",
                remedy=f"Its categories are: {', '.join(axis.codes)}.",
            )
    counts = source.totals
    for axis in reversed(others):
        counts = counts[..., axis.codes.index(chosen[axis.name])]
    return [float(count) for count in counts]


def _counts(source: NoisyTable) -> DerivedTable:
    """The table's own figures in the form of an analysis."""
    cells = tuple(
        DerivedCell(
            codes=cell.codes,
            estimate=cell.estimate,
            standard_error=cell.standard_error,
            low=cell.low,
            high=cell.high,
            coverage=cell.coverage,
        )
        for cell in source.table.cells
    )
    return DerivedTable(
        caveat=source.table.caveat,
        name=source.table.name,
        title=source.release.title,
        unit="as the table",
        method="The released estimates and their intervals.",
        axes=source.table.axes,
        cells=cells,
        notes=source.coverage_notes(),
        releases=(source.release.digest.hex(),),
    )


def _shown(cell: DerivedCell, *, blank: bool) -> DerivedCell:
    """The cell under its region's code alone; a blank one says nothing."""
    if blank:
        return DerivedCell(codes=cell.codes[:1], estimate=None, standard_error=None, low=-inf, high=inf, coverage=1.0)
    return replace(cell, codes=cell.codes[:1])
