"""`federated analyse consistent`: the tables of one release made to add up."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from federated.commands.files import read_file
from federated.commands.questions import AsJson
from federated.release import labels_of, open_release
from federated.schema import load_schema
from federated.shell import output

__all__ = ["register"]

HEADINGS = ("Released", "Its sd", "Adjusted", "Its sd", "95% interval", "Printed")


def consistent(
    path: Annotated[Path, typer.Argument(metavar="RELEASE", help="A release (release.json).")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write CSV and JSON into this folder.")] = None,
    *,
    same_margins: Annotated[
        bool,
        typer.Option("--same-margins", help="Also make margins of cross-tables agree: no household has two records."),
    ] = False,
    non_negative: Annotated[
        bool, typer.Option("--non-negative", help="Print no figure below zero, and keep each table's total.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the tables of a release add up, with the standard errors this leaves. Needs no connection, costs nothing.

    Example: federated analyse consistent answer/release.json --out tables
    """
    # Half a second to import, and only this analysis needs it.
    from federated.analysis import consistent_files as files  # noqa: PLC0415
    from federated.analysis.consistent import make_consistent  # noqa: PLC0415

    release = open_release(read_file(path, "release"))
    found = make_consistent(release, load_schema(), same_margins=same_margins)
    options = {"non_negative": non_negative, "same_margins": same_margins}
    if as_json:
        output.print_json(json.dumps(files.consistent_json(found, release, **options)))
    else:
        output.print(f"{release.title}, adjusted so that its tables add up. {release.note}", markup=False)
        for line in files.notes(found, release, same_margins=same_margins):
            output.print(line, markup=False)
        for table in found.tables:
            record = table.placed.record
            grid = Grid(*(axis.name for axis in record.axes), *HEADINGS, title=record.name)
            for cell, row in zip(record.cells, files.cell_rows(table, non_negative=non_negative), strict=True):
                before, before_sd, after, after_sd, low, high, printed = row
                grid.add_row(
                    *labels_of(record.axes, cell.codes),
                    f"{before:,.1f}",
                    f"{before_sd:.2f}",
                    f"{after:,.1f}",
                    f"{after_sd:.2f}",
                    f"{low:,.1f} to {high:,.1f}",
                    f"{printed:,.1f}",
                )
            output.print(grid)
    if out is not None:
        for written in files.write_consistent(found, release, out, **options):
            if not as_json:
                output.print(f"Wrote {written}", markup=False)


def register(app: typer.Typer) -> None:
    """Add this command to `federated analyse`."""
    app.command()(consistent)
