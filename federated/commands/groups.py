"""`federated agreement groups`: groups of councils made from a public lookup, or an agreement's held against one."""

import csv
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from federated.agreement import AGREEMENT_TYPE, Agreement, Group, parse_agreement
from federated.agreement_parts import STANDARD_FROM
from federated.commands.files import content_of, read_file, write_file
from federated.errors import ExitStatus, FileProblem, QueryError
from federated.geography import load_code_history
from federated.lookups import CarriedGroup, Columns, carry, read_lookup
from federated.schema import load_schema
from federated.schema.code_history import CodeHistory, parse_code_history
from federated.shell import now_utc, output
from federated.timestamps import parse_day
from federated.yaml_document import write_document
from protocols.secagg import CohortRuleBroken, CohortRules, Profile

__all__ = ["register"]


def groups(
    lookup: Annotated[
        Path, typer.Argument(help="CSV with a row for each council: its code, its group's code and name.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the groups here, to put into an agreement.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="An agreement, signed or not, whose groups are held against it.")
    ] = None,
    council_column: Annotated[
        str, typer.Option("--council-column", help="Column of council codes.")
    ] = Columns().council,
    group_column: Annotated[str, typer.Option("--group-column", help="Column of group codes.")] = Columns().group,
    name_column: Annotated[str, typer.Option("--name-column", help="Column of group names.")] = Columns().name,
    vintage: Annotated[
        str | None, typer.Option("--vintage", help="Day of its codes, as 2025-04-01; else its column `vintage`.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Where it is from; else its column `source`.")] = None,
    on: Annotated[
        str | None, typer.Option("--on", help="Day whose codes the councils are enrolled under; today when left out.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option("--history", help="Changes of codes of your own, with their source, as CSV.")
    ] = None,
    min_cohort: Annotated[int, typer.Option("--min-cohort", min=4, help="Fewest councils, as in the agreement.")] = 10,
    min_honest: Annotated[int, typer.Option("--min-honest", min=2, help="Fewest honest ones, as in it.")] = 3,
) -> None:
    """Make the groups of an agreement from a public lookup, such as combined authorities or counties.

    Codes of another day are carried over where the code history says how; where it does not, nothing is written.

    Example: federated agreement groups authorities.csv --min-cohort 10 --out groups.yaml
    """
    read = read_lookup(
        read_file(lookup, "lookup"),
        file=str(lookup),
        columns=Columns(council=council_column, group=group_column, name=name_column),
        vintage=_day(vintage, "--vintage"),
        source=source,
    )
    day = _day(on, "--on") or now_utc().date()
    carried = carry(read, day, schema=load_schema(), history=_history(history))
    for item in carried:
        if item.changed:
            output.print(f"{item.label}: {', '.join(item.changed)} have other codes on {day}.", markup=False)
    if read.outside:
        output.print(f"Left out: {len(read.outside)} code(s) outside England.", markup=False)
    if check is None:
        _write(carried, out, min_cohort=min_cohort, min_honest=min_honest)
    else:
        content = content_of(read_file(check, "agreement"), AGREEMENT_TYPE)
        _compare(carried, parse_agreement(content, source=str(check)))


def _history(path: Path | None) -> CodeHistory:
    known = load_code_history()
    if path is None:
        return known
    try:
        text = read_file(path, "file of changes").decode("utf-8-sig")
        return known.extended(parse_code_history(text, file=str(path), sources=None))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileProblem(f"{path} is not a CSV file in UTF-8.", remedy="Save it as one.") from error


def _day(text: str | None, option: str) -> date | None:
    try:
        return None if text is None else parse_day(text)
    except ValueError as error:
        raise QueryError(f"{option} is '{text}', which is not a day.", remedy="Write it as 2025-04-01.") from error


def _group(item: CarriedGroup) -> Group:
    profile = Profile.STANDARD if len(item.councils) >= STANDARD_FROM else Profile.CAREFUL
    try:
        return Group(
            name=item.name, label=item.label, profile=profile, councils=item.councils, made_from=item.made_from
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise FileProblem(
            f"The group '{item.code}' cannot stand in an agreement: {first['loc'][0]}: {first['msg']}.",
            remedy="Mend its name or the source in the lookup.",
        ) from error


def _write(carried: tuple[CarriedGroup, ...], out: Path | None, *, min_cohort: int, min_honest: int) -> None:
    kept = []
    for item in carried:
        group = _group(item)
        rules = CohortRules(
            profile=group.profile, eligible_count=len(group.councils), min_cohort=min_cohort, min_honest=min_honest
        )
        try:
            rules.thresholds(len(group.councils))
        except CohortRuleBroken as error:
            output.print(f"{group.label}: too small to be asked by itself: {error}.", markup=False)
        else:
            kept.append(group.model_dump(mode="json"))
            output.print(f"{group.label}: {len(group.councils)} councils, as '{group.name}'.", markup=False)
    if not kept:
        raise FileProblem(
            "No group of the lookup is large enough to be asked.",
            remedy="Give several of them one group code and name in the lookup, to be asked together.",
        )
    if out is not None:
        write_file(out, write_document({"groups": kept}).encode())


def _compare(carried: tuple[CarriedGroup, ...], agreement: Agreement) -> None:
    known = {item.name: item for item in carried}
    differing = 0
    for group in agreement.groups:
        item = known.get(group.name)
        if item is None:
            output.print(f"{group.name}: not a group of this lookup.", markup=False)
            continue
        more = sorted(set(group.councils) - set(item.councils))
        fewer = sorted(set(item.councils) - set(group.councils))
        differing += bool(more or fewer)
        said = [f"has {', '.join(more)} besides"] if more else []
        said += [f"lacks {', '.join(fewer)}"] if fewer else []
        output.print(f"{group.name}: {' and '.join(said) or 'as in the lookup'}.", markup=False)
    if differing:
        raise typer.Exit(ExitStatus.INPUT)
    if not any(group.name in known for group in agreement.groups):
        raise FileProblem(
            "No group of the agreement is in the lookup, so nothing was compared.",
            remedy="Groups are compared by name; see the names with `federated agreement groups` without --check.",
        )


def register(app: typer.Typer) -> None:
    """Add this command to `federated agreement`."""
    app.command("groups")(groups)
