"""`federated analyse`: what follows from released tables and public files. Costs no budget and needs no connection."""

import json
from pathlib import Path
from typing import Annotated

import typer

from federated.analysis.baseline import Baseline
from federated.analysis.change import Measure, change, difference_in_differences
from federated.analysis.derived import DerivedTable, write_derived
from federated.analysis.expected_shares import Expected, by_days, equal, from_figures
from federated.analysis.null_law import DRAWS, SEED
from federated.analysis.official import read_official, shipped_official
from federated.analysis.public_figures import HOUSEHOLDS, PublicFigures, read_public_figures, shipped_households
from federated.analysis.rate import PER, rate
from federated.analysis.reconcile import reconcile
from federated.analysis.region_map import SMALLEST_SHOWN, zones, zones_geojson
from federated.analysis.share import share
from federated.analysis.source import NoisyTable, noisy_table
from federated.analysis.uniformity import uniformity
from federated.commands import analyse_consistent
from federated.commands.boundaries import CODE_PROPERTY, CodeProperty, boundaries_of
from federated.commands.files import read_file, write_file
from federated.commands.questions import AsJson
from federated.errors import QueryError
from federated.keys import parse_public
from federated.release import NOT_OFFICIAL, open_release
from federated.schema import load_schema
from federated.shell import new_app, output
from federated.terminal_tables import cells_grid

app = new_app("Analyse released tables. Costs no budget, needs no connection, and reads nothing but the files named.")
analyse_consistent.register(app)

Released = Annotated[Path, typer.Argument(help="A release (release.json).")]
Before = Annotated[Path, typer.Argument(help="The earlier release (release.json).")]
After = Annotated[Path, typer.Argument(help="The later release (release.json).")]
Named = Annotated[str | None, typer.Option("--table", "-t", help="Name of the table, when the release has several.")]
Folder = Annotated[Path | None, typer.Option("--out", "-o", help="Write CSV and JSON into this folder.")]
Denominators = Annotated[
    Path | None,
    typer.Option("--denominators", help="CSV with a column `code`; otherwise households in 2025, by council."),
]
Column = Annotated[str, typer.Option("--column", help="Column of the denominators.")]
Per = Annotated[int, typer.Option("--per", min=1, help="How many of the denominator a rate is for.")]
OtherCouncils = Annotated[
    bool,
    typer.Option("--allow-different-councils", help="Compare although not the same councils contributed; printed."),
]
Design = Annotated[
    str | None, typer.Option("--design", help="What makes it more than an association, in a sentence; printed.")
]
Frozen = Annotated[Path | None, typer.Option("--baseline", help="Frozen baseline the earlier release must be.")]
SignedBy = Annotated[
    str | None, typer.Option("--signed-by", help="Public key of whoever froze the baseline, ed25519:...")
]


@app.command("rate")
def rates(
    path: Released,
    table: Named = None,
    denominators: Denominators = None,
    column: Column = HOUSEHOLDS,
    per: Per = PER,
    out: Folder = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Rates for each 1,000 of a public denominator, over the councils that contributed.

    Example: federated analyse rate answer/release.json --table outcome
    """
    public = _denominators(denominators, column)
    deliver(rate(_source(path, table), public, load_schema(), per=per), out, as_json=as_json)


@app.command("share")
def shares(
    path: Released,
    table: Named = None,
    along: Annotated[
        list[str] | None,
        typer.Option("--along", help="Axis whose categories add up to 100%; may be repeated. Otherwise all axes."),
    ] = None,
    out: Folder = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Each category's share of the total, with an interval that holds the noise of both.

    Example: federated analyse share answer/release.json --table reason --along reason_loss
    """
    deliver(share(_source(path, table), along or ()), out, as_json=as_json)


@app.command("change")
def changes(
    before: Before,
    after: After,
    table: Named = None,
    measure: Annotated[str, typer.Option("--measure", help="`difference` or `ratio`.")] = "difference",
    baseline: Frozen = None,
    signed_by: SignedBy = None,
    design: Design = None,
    out: Folder = None,
    *,
    allow_different_councils: OtherCouncils = False,
    as_json: AsJson = False,
) -> None:
    """Change between two releases of the same question, asked for two periods.

    Example: federated analyse change 2024/release.json 2025/release.json --table outcome
    """
    earlier, later = _source(before, table), _source(after, table)
    found = change(
        earlier,
        later,
        measure=_measure(measure),
        allow_different_councils=allow_different_councils,
        design=design,
        baseline=_baseline_of(earlier, baseline, signed_by),
    )
    deliver(found, out, as_json=as_json)


@app.command("difference-in-differences")
def differences_in_differences(
    before: Before,
    after: After,
    axis: Annotated[str, typer.Option("--axis", help="Axis of the two groups, for example region.")],
    one: Annotated[str, typer.Option("--one", help="Code of the group whose change is looked at.")],
    other: Annotated[str, typer.Option("--other", help="Code of the group it is held against.")],
    table: Named = None,
    baseline: Frozen = None,
    signed_by: SignedBy = None,
    design: Design = None,
    out: Folder = None,
    *,
    allow_different_councils: OtherCouncils = False,
    as_json: AsJson = False,
) -> None:
    """How much more one group changed than another, between two releases of the same question.

    Example: federated analyse difference-in-differences old.json new.json --axis main_sex --one female --other male
    """
    earlier, later = _source(before, table), _source(after, table)
    found = difference_in_differences(
        earlier,
        later,
        axis=axis,
        one=one,
        other=other,
        allow_different_councils=allow_different_councils,
        design=design,
        baseline=_baseline_of(earlier, baseline, signed_by),
    )
    deliver(found, out, as_json=as_json)


@app.command("uniformity")
def uniformities(
    path: Released,
    table: Named = None,
    along: Annotated[
        list[str] | None,
        typer.Option("--along", help="Axis of the pattern; may be repeated. Otherwise all axes but the region."),
    ] = None,
    expected: Annotated[
        str, typer.Option("--expected", help="`equal` shares, shares by `days`, or a CSV file with a column `code`.")
    ] = "equal",
    column: Annotated[str, typer.Option("--column", help="Column of the figures in that file.")] = "expected",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulation.")] = SEED,
    draws: Annotated[int, typer.Option("--draws", help="Tables simulated.")] = DRAWS,
    out: Folder = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Test whether a pattern over time is even, with the noise counted in.

    Example: federated analyse uniformity answer/release.json --table by_weekday --expected days
    """
    made = uniformity(_source(path, table), along or (), expected=_expected(expected, column), seed=seed, draws=draws)
    deliver(made, out, as_json=as_json)


@app.command("reconcile")
def reconciliations(
    path: Released,
    table: Named = None,
    published: Annotated[
        Path | None,
        typer.Option(
            "--published", help="CSV with a column `published`; otherwise the department's figures of early 2025."
        ),
    ] = None,
    rounded_to: Annotated[
        int, typer.Option("--rounded-to", min=1, help="What the figures in the file are rounded to.")
    ] = 1,
    along: Annotated[
        str | None, typer.Option("--along", help="Axis of the published figures, when the table has several.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulation.")] = SEED,
    out: Folder = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Hold a release against published figures: is the gap what the noise alone would make?

    Example: federated analyse reconcile answer/release.json --table outcome
    """
    source = _source(path, table)
    if published is None:
        official = shipped_official(source, load_schema(), along=along)
    else:
        content = read_file(published, "file of published figures")
        official = read_official(content, source, name=str(published), rounded_to=rounded_to)
    deliver(reconcile(source, official, seed=seed), out, as_json=as_json)


@app.command("map")
def maps(
    path: Released,
    table: Named = None,
    select: Annotated[
        list[str] | None,
        typer.Option("--select", help="One category of another axis, written axis=code; may be repeated."),
    ] = None,
    smallest: Annotated[
        int, typer.Option("--smallest", help="Zones with an estimate under this are left blank.")
    ] = SMALLEST_SHOWN,
    denominators: Denominators = None,
    column: Column = HOUSEHOLDS,
    per: Per = PER,
    boundaries: Annotated[
        Path | None, typer.Option("--boundaries", help="GeoJSON boundaries of your own; with --out.")
    ] = None,
    code_property: CodeProperty = CODE_PROPERTY,
    out: Folder = None,
    *,
    rates: Annotated[bool, typer.Option("--rate", help="Map rates for each 1,000 in place of counts.")] = False,
    as_json: AsJson = False,
) -> None:
    """One figure for each region, with its code, as CSV and as GeoJSON on boundaries that you give.

    Example: federated analyse map answer/release.json --table type_by_region --select household_type=couple_children
    """
    if boundaries is not None and out is None:
        raise QueryError("A map on boundaries is a file.", remedy="Say with --out in which folder to write it.")
    made = zones(
        _source(path, table),
        chosen=_choices(select or []),
        smallest=smallest,
        denominators=_denominators(denominators, column) if rates or denominators is not None else None,
        per=per,
        schema=load_schema(),
    )
    joined = None
    if boundaries is not None:
        joined = zones_geojson(made, boundaries_of(boundaries, code_property))
    deliver(made, out, as_json=as_json)
    if joined is not None and out is not None:
        target = out / f"{made.name}.geojson"
        write_file(target, json.dumps(joined, ensure_ascii=False).encode(), quiet=as_json)


def deliver(table: DerivedTable, out: Path | None, *, as_json: bool) -> None:
    """Print a derived table with all that must be known about it, and write it where asked."""
    if as_json:
        output.print_json(json.dumps(table.as_json()))
    else:
        output.print(f"\n{table.title}", style="bold", markup=False)
        output.print(f"Unit: {table.unit}. {NOT_OFFICIAL}", markup=False)
        output.print(table.method, markup=False)
        output.print(cells_grid(table.name, table.axes, table.cells, digits=3))
        for line in (*(found.sentence for found in table.findings), *table.notes):
            output.print(line, markup=False)
    if out is not None:
        for written in write_derived(table, out):
            if not as_json:
                output.print(f"Wrote {written}", markup=False)


def _source(path: Path, table: str | None) -> NoisyTable:
    return noisy_table(open_release(read_file(path, "release")), table)


def _expected(text: str, column: str) -> Expected:
    match text:
        case "equal":
            return equal
        case "days":
            return by_days
        case _:
            content = read_file(Path(text), "file of expected figures")
            return from_figures(read_public_figures(content, source=text, column=column).by_code, text)


def _denominators(path: Path | None, column: str) -> PublicFigures:
    if path is None:
        return shipped_households()
    return read_public_figures(read_file(path, "file of denominators"), source=str(path), column=column)


def _choices(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=")[::2] for text in texts]
    if any(not axis or not code for axis, code in pairs) or len(dict(pairs)) < len(pairs):
        raise QueryError(
            "A choice is written axis=code, once for each axis.", remedy="For example --select sex=female."
        )
    return dict(pairs)


def _measure(text: str) -> Measure:
    match text:
        case "difference" | "ratio":
            return text
        case _:
            raise QueryError(f"A change has no measure '{text}'.", remedy="Choose difference or ratio.")


def _baseline_of(earlier: NoisyTable, path: Path | None, signed_by: str | None) -> str | None:
    """The name of the baseline, once the earlier release is seen to be it."""
    if path is None:
        return None
    if signed_by is None:
        raise QueryError(
            "A baseline is believed only by the key of whoever froze it.",
            remedy="Give that key with --signed-by.",
        )
    try:
        signer = parse_public(signed_by)
    except ValueError as error:
        raise QueryError(f"--signed-by {error}.") from error
    baseline = Baseline.open(read_file(path, "baseline"), signer=signer)
    baseline.require(earlier.release)
    return baseline.name
