"""`council-node map`, `inventory` and `template`: from an extract as it is to a mapping file, without code.

What they need is imported when they are typed: every start of a node would pay for it otherwise.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from pydantic import ValidationError
from rich.table import Table as Grid

from council_node.commands.options import DEFAULT, AsJson, Node
from council_node.mapping import ExtractPlace, SourceKind, parse_mapping
from council_node.mapping.profile import GENERIC, load_profile, profile_names
from council_node.settings import read_settings
from council_node.sources.opening import open_place
from federated.errors import FileProblem
from federated.schema import Column, load_schema
from federated.shell import now_utc, output

if TYPE_CHECKING:
    from council_node.mapping.draft import Asker, Draft
    from council_node.mapping.inventory import HeldDataset
    from council_node.mapping.proposals import Candidate

__all__ = ["register"]

MOST_SHOWN = 12
"""Wordings shown of one column, the commonest first."""

Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write it.")]
Dataset = Annotated[str, typer.Option("--dataset", help="Data set that the extract holds, such as case.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


def map_extract(
    extract: Annotated[
        Path, typer.Argument(help="The extract; for a database the file that holds its address, with --table.")
    ],
    out: Out,
    dataset: Dataset = "case",
    profile: Annotated[
        str,
        typer.Option(
            "--profile", help=f"Profile of your case system ({', '.join(profile_names())}), or a file of yours."
        ),
    ] = GENERIC,
    kind: Annotated[
        SourceKind | None, typer.Option("--kind", help="What the extract is, where its name does not tell.")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Spreadsheet: name of the sheet.")] = None,
    heading_row: Annotated[int | None, typer.Option("--heading-row", help="Spreadsheet: row of the headings.")] = None,
    record: Annotated[str | None, typer.Option("--record", help="XML: the element of one case.")] = None,
    rows: Annotated[str | None, typer.Option("--rows", help="XML: the element inside a case that is a row.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="Database: the table or view.")] = None,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: take what is sure and leave the rest out, saying so.")
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Propose a mapping file for an extract; asks only about what is uncertain. Nothing is sent or kept elsewhere.

    Example: council-node map extract.csv --out case-mapping.yaml
    """
    from council_node.mapping.draft import Nobody, draft_mapping  # noqa: PLC0415 - see the top of this module
    from council_node.mapping.draft_words import draft_json  # noqa: PLC0415 - as above
    from council_node.mapping.vocabulary import Vocabulary  # noqa: PLC0415 - as above

    _free(out, force=force)
    place = _place(
        {
            "database" if table else "file": _seen_from(out, extract),
            "kind": kind,
            "sheet": sheet,
            "heading_row": heading_row,
            "record": record,
            "rows": rows,
            "table": table,
        }
    )
    schema = load_schema()
    system = load_profile(profile, schema)
    generic = load_profile(GENERIC, schema)
    words = Vocabulary(schema.dataset(dataset), (system,) if profile == GENERIC else (system, generic))
    # Among titles and sheets the headings are found by the words they may be; elsewhere they have their place.
    by_words = place.source_kind is SourceKind.SPREADSHEET and heading_row is None
    source = open_place(place, out.parent, words.all_headings() if by_words else ())
    asker: Asker = Nobody() if yes or as_json else _Person()
    draft = draft_mapping(source, words, asker=asker, today=now_utc().date())
    name = None if profile == GENERIC else system.system
    text = draft.text(dataset=dataset, system=name, place=place)
    if not draft.columns:  # nor is any heading shown: nothing says that these are headings
        raise FileProblem(
            f"No heading of {source.name} could be matched, so no mapping file was written.",
            remedy="Check that the first row holds the headings, or run it again without --yes.",
        )
    parse_mapping(text.encode(), source=str(out), schema=schema)
    _write(out, text)
    if as_json:
        output.print_json(json.dumps(draft_json(draft, out)))
    else:
        _tell(draft, out, asked=not isinstance(asker, Nobody))


def _place(said: dict[str, Any]) -> ExtractPlace:
    try:
        return ExtractPlace.model_validate({name: value for name, value in said.items() if value is not None})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise FileProblem(
            f"The extract {problem['msg'].removeprefix('Value error, ')}.",
            remedy="`council-node map --help` tells how.",
        ) from error


def _seen_from(out: Path, extract: Path) -> str:
    """The extract's path as the mapping file names it: without folders where it lies beside it."""
    if extract.resolve().parent == out.resolve().parent:
        return extract.name
    return str(extract.resolve())


def _free(out: Path, *, force: bool) -> None:
    if out.exists() and not force:
        raise FileProblem(f"There is a file {out} already.", remedy="Name another with --out, or say --force.")


def _write(out: Path, content: str | bytes) -> None:
    beside = out.with_name(f".{out.name}.new")
    try:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        beside.replace(out)
    except OSError as error:
        raise FileProblem(
            f"The file {out} cannot be written: {error.strerror}.", remedy="Check the folder and who may write to it."
        ) from error


class _Person:
    """Asks on the terminal."""

    def heading(self, column: Column, options: Sequence["Candidate"]) -> "Candidate | None":
        """Which heading holds a column."""
        output.print(f"\nWhich heading holds '{column.label}' ({column.name})?", markup=False)
        names = [f"{one.heading} ({one.confidence}%)" for one in options]
        place = _choice(names, "none of them")
        return None if place is None else options[place]

    def wording(self, column: Column, text: str, rows: int, codes: Sequence[str]) -> str | None:
        """Which code a wording means."""
        output.print(f"\n{column.label}: what does '{text}' ({rows:,} rows) mean?", markup=False)
        shown = [*codes[:4]]
        place = _choice([f"{column.code(code).label} ({code})" for code in shown], "none of them: not known")
        return None if place is None else shown[place]


def _choice(options: Sequence[str], none: str) -> int | None:
    for number, option in enumerate(options, start=1):
        output.print(f"  {number}  {option}", markup=False)
    output.print(f"  0  {none}", markup=False)
    given = typer.prompt("Number", type=click.IntRange(0, len(options)), default=1 if len(options) == 1 else 0)
    return None if given == 0 else int(given) - 1


def _tell(draft: "Draft", out: Path, *, asked: bool) -> None:
    from council_node.mapping.draft_words import advice  # noqa: PLC0415 - see the top of this module

    grid = Grid("Column", "From the heading", "Confidence", "Wordings", "Rows not understood")
    for name, column in draft.columns.items():
        known = sum(wording.code is not None for wording in column.wordings)
        wordings = f"{known} of {len(column.wordings)}" if column.wordings else ""
        confidence = "you said so" if column.asked else f"{column.candidate.confidence}%"
        unknown = f"{column.rows_unknown:,}" if column.wordings else ""
        grid.add_row(name, column.candidate.heading, confidence, wordings, unknown)
    output.print(grid)
    for name, column in draft.columns.items():
        unknown_wordings = [wording for wording in column.wordings if wording.code is None]
        if unknown_wordings:
            output.print(f"\n{name}: these wordings count as not known:", markup=False)
        for wording in unknown_wordings[:MOST_SHOWN]:
            output.print(f"  {wording.rows:,} rows: {wording.text[:80]}", markup=False)
        if len(unknown_wordings) > MOST_SHOWN:
            output.print(f"  and {len(unknown_wordings) - MOST_SHOWN} more wordings", markup=False)
    output.print()
    for line in advice(draft, asked=asked):
        output.print(line, markup=False)
    output.print(f"Wrote {out}. Read it with the housing team, then run `council-node check`.", markup=False)


def inventory(settings: Node = DEFAULT, *, as_json: AsJson = False) -> None:
    """Show which systems and columns this council holds, what agreements ask for, and what is missing. Sends nothing.

    Example: council-node inventory
    """
    from council_node.mapping.inventory import take_inventory  # noqa: PLC0415 - see the top of this module

    found = take_inventory(read_settings(settings), load_schema(), now=now_utc())
    if as_json:
        output.print_json(json.dumps(found.as_json()))
        return
    for dataset in found.datasets:
        _tell_dataset(dataset)
    if not found.agreements:
        output.print("No agreement has been accepted yet, so nothing is asked for.")


def _tell_dataset(dataset: "HeldDataset") -> None:
    if dataset.mapping is None:
        asked = [column.name for column in dataset.columns if column.asked_by]
        wanted = f" Agreements ask for: {', '.join(asked)}." if asked else ""
        output.print(f"{dataset.name}: not held here.{wanted}\n", markup=False)
        return
    system = dataset.system or "a system that the mapping file does not name"
    dated = "" if dataset.dated is None else f", of {dataset.dated}"
    output.print(f"{dataset.name}: from {system}, {dataset.source or 'no extract'}{dated}", markup=False)
    if dataset.problem:
        output.print(dataset.problem, markup=False)
    grid = Grid("Column", "Heading", "In the extract", "Asked for by")
    for column in dataset.columns:
        there = "yes" if column.there else "MISSING" if column.missing else "no"
        grid.add_row(column.name, column.heading or "", there, ", ".join(column.asked_by))
    output.print(grid)
    missing = [column.name for column in dataset.columns if column.missing]
    held = sum(column.there for column in dataset.columns)
    output.print(f"{held} of {len(dataset.columns)} columns can be asked about.", markup=False)
    if missing:
        output.print(f"Missing, and asked for: {', '.join(missing)}. Add them to {dataset.mapping}.", markup=False)
    output.print()


def template(out: Out, dataset: Dataset = "case", *, force: Force = False) -> None:
    """Write a spreadsheet to keep cases in: headings, drop-downs of the codes, and notes.

    Example: council-node template --dataset case --out cases.xlsx
    """
    from council_node.mapping.template import template_workbook  # noqa: PLC0415 - see the top of this module

    _free(out, force=force)
    if out.suffix.lower() != ".xlsx":
        raise FileProblem(f"The file {out} would be a spreadsheet.", remedy="Give it a name that ends in .xlsx.")
    _write(out, template_workbook(load_schema().dataset(dataset)))
    output.print(
        f"Wrote {out}. When it is filled in: council-node map {out} --dataset {dataset} --out {dataset}-mapping.yaml",
        markup=False,
    )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("map")(map_extract)
    app.command()(inventory)
    app.command()(template)
