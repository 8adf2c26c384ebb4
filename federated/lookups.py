"""Groups of councils from a public lookup that a user supplies: combined authorities, counties, neighbours.

A lookup says, for the codes of one day, which housing authority is in which group. It is carried to the codes of
another day through the code history (requirements R46, R89, R103), and refused where that would be a guess: no code,
boundary or membership is made up. The housing authority stays the contributor; a county is a group of them.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from federated.errors import FileProblem
from federated.schema import Schema
from federated.schema.code_history import CodeHistory
from federated.timestamps import parse_day
from protocols.identifiers import CouncilId

__all__ = ["CarriedGroup", "Columns", "Lookup", "carry", "read_lookup"]

SIZE_LIMIT: Final = 16 * 1024 * 1024
MOST_NAMED: Final = 5
LONGEST_NAME: Final = 60
_HOUSING: Final = re.compile(r"E0[6-9][0-9]{6}")
_GSS: Final = re.compile(r"[A-Z][0-9]{8}")
_COUNTY: Final = "E10"
_REMEDY: Final = "docs/guides/analyst.md, “Groups of councils from a lookup”, shows the form."


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a lookup are called: published files name theirs by year, such as ``LAD25CD``."""

    council: str = "council_code"
    group: str = "group_code"
    name: str = "group_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A lookup as read.

    Attributes:
        file: Its name, for messages.
        vintage: A day on which its codes stood.
        source: Where it comes from, in words.
        members: Codes of housing authorities by group code.
        names: Name of each group.
        outside: Codes of rows outside England, which are left out.
    """

    file: str
    vintage: date
    source: str
    members: Mapping[str, frozenset[CouncilId]]
    names: Mapping[str, str]
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedGroup:
    """One group under the codes of a day.

    Attributes:
        code: The group's own code in the lookup.
        name: Short name for an agreement, made from the label.
        label: Its name in the lookup.
        councils: Codes of its housing authorities, sorted.
        made_from: Group code, source and vintage in one line, for the agreement.
        changed: Codes of the lookup that are others by now, sorted.
    """

    code: str
    name: str
    label: str
    councils: tuple[CouncilId, ...]
    made_from: str
    changed: tuple[CouncilId, ...]


def read_lookup(
    content: bytes,
    *,
    file: str,
    columns: Columns | None = None,
    vintage: date | None = None,
    source: str | None = None,
) -> Lookup:
    """Read a lookup: CSV with a row for each council; further columns are passed over, rows without a group left out.

    Args:
        content: The file, UTF-8.
        file: Its name, for messages.
        columns: What its columns are called, where not as in `Columns`.
        vintage: Day of its codes; from its column ``vintage`` when left out.
        source: Where it comes from; from its column ``source`` when left out.

    Raises:
        FileProblem: Names the line at fault.
    """
    called = Columns() if columns is None else columns
    if len(content) > SIZE_LIMIT:
        raise FileProblem(f"{file} has more than {SIZE_LIMIT:,} bytes.", remedy="Give a file with one row a council.")
    needed = [called.council, called.group, called.name]
    needed += ["vintage"] if vintage is None else []
    needed += ["source"] if source is None else []
    placed: dict[CouncilId, str] = {}
    names: dict[str, str] = {}
    outside: set[str] = set()
    said: dict[str, set[str]] = {"vintage": set(), "source": set()}
    try:
        reader = csv.DictReader(content.decode("utf-8-sig").splitlines(), strict=True)
        absent = [name for name in needed if name not in (reader.fieldnames or ())]
        if absent:
            raise FileProblem(
                f"{file} has no column '{absent[0]}'.",
                remedy=f"Add it, or say with an option what stands there. {_REMEDY}",
            )
        for row in reader:
            where = f"{file} line {reader.line_num}"
            council, group, name = (_text(row, column, where) for column in (called.council, called.group, called.name))
            for column, found in said.items():
                found.add(_text(row, column, where) if column in needed else "")
            if not _HOUSING.fullmatch(council):
                _require_outside(council, where)
                outside.add(council)
            elif group:
                _place(placed, CouncilId(council), group, where)
                _call(names, group, name, where)
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileProblem(f"{file} is not a CSV file in UTF-8.", remedy=_REMEDY) from error
    if not placed:
        raise FileProblem(f"{file} puts no housing authority into a group.", remedy=_REMEDY)
    members = defaultdict[str, set[CouncilId]](set)
    for code, group in placed.items():
        members[group].add(code)
    return Lookup(
        file=file,
        vintage=_day(said["vintage"], file) if vintage is None else vintage,
        source=_one(said["source"], "source", file) if source is None else source,
        members={group: frozenset(codes) for group, codes in sorted(members.items())},
        names=names,
        outside=tuple(sorted(outside)),
    )


def _text(row: Mapping[str, str | None], column: str, where: str) -> str:
    text = row[column]
    if text is None or None in row:
        raise FileProblem(f"{where} has more or fewer cells than the heading.", remedy="Mend the line.")
    return text.strip()


def _require_outside(code: str, where: str) -> None:
    if code.startswith(_COUNTY):
        raise FileProblem(
            f"{where}: {code} is a county. Records are held by its housing authorities.",
            remedy="Give a row for each district, with the county as its group.",
        )
    if code.startswith("E") or not _GSS.fullmatch(code):
        raise FileProblem(
            f"{where}: '{code}' is not the code of a housing authority.",
            remedy="Codes begin with E06, E07, E08 or E09 and have nine characters.",
        )


def _place(placed: dict[CouncilId, str], council: CouncilId, group: str, where: str) -> None:
    if placed.setdefault(council, group) != group:
        raise FileProblem(
            f"{where}: {council} is in the groups '{placed[council]}' and '{group}'.",
            remedy="Give overlapping groups, such as statistical neighbours, one file for each.",
        )


def _call(names: dict[str, str], group: str, name: str, where: str) -> None:
    if not name or names.setdefault(group, name) != name:
        raise FileProblem(f"{where}: the group '{group}' has no name, or two.", remedy="Give it one name.")


def _one(found: set[str], what: str, file: str) -> str:
    if len(found) != 1 or "" in found:
        raise FileProblem(
            f"{file} must have one {what} for all its rows.",
            remedy=f"Fill the column, or give --{what}; codes of two dates belong in two files.",
        )
    return next(iter(found))


def _day(found: set[str], file: str) -> date:
    text = _one(found, "vintage", file)
    try:
        return parse_day(text)
    except ValueError as error:
        raise FileProblem(
            f"{file} has the vintage '{text}', which is not a day.", remedy="Write it as 2025-04-01."
        ) from error


def carry(lookup: Lookup, on: date, *, schema: Schema, history: CodeHistory) -> tuple[CarriedGroup, ...]:
    """The groups of a lookup under the codes of a day.

    Args:
        lookup: From `read_lookup`.
        on: The day whose codes are wanted.
        schema: The registry of councils, which holds every code that can be asked.
        history: Which codes took the place of which.

    Raises:
        FileProblem: A code did not stand on the lookup's own day, has no known place on the other, or its area was
            split between groups or merged with one outside its group.
    """
    groups = []
    for code, members in lookup.members.items():
        councils = frozenset[CouncilId]().union(*(_carried(lookup, council, on, history) for council in members))
        for council in sorted(councils):
            _check_whole(lookup, code, council, history)
        _check_registered(lookup, councils, on, schema)
        groups.append(
            CarriedGroup(
                code=code,
                name=_short(lookup.names[code], code),
                label=lookup.names[code],
                councils=tuple(sorted(councils)),
                made_from=f"{code} in: {lookup.source}; codes of {lookup.vintage}, carried to {on}",
                changed=tuple(sorted(members - councils)),
            )
        )
    names = [group.name for group in groups]
    if len(set(names)) < len(names):
        raise FileProblem(
            f"{lookup.file} has two groups that would both be called '{max(names, key=names.count)}'.",
            remedy="Give them names that differ in letters or digits.",
        )
    return tuple(groups)


def _carried(lookup: Lookup, council: CouncilId, on: date, history: CodeHistory) -> frozenset[CouncilId]:
    """The codes on the day of the area that one code of the lookup stood for."""
    stood = history.at(council, lookup.vintage)
    if not stood:
        raise FileProblem(
            f"{lookup.file}: whether {council} was a council's code on {lookup.vintage} already is not known here.",
            remedy="Use a lookup of the year after, or give the day with its source, with --history.",
        )
    if stood != {council}:
        raise FileProblem(
            f"{lookup.file}: {council} was not the code of a council on {lookup.vintage}, the day the lookup is of.",
            remedy="Give the day its codes stood on with --vintage; codes of two dates belong in two files.",
        )
    found = history.at(council, on)
    if not found:
        raise FileProblem(
            f"{lookup.file}: what {council} was on {on} is not known here: a council changed, and no source held here "
            "prints the other codes or the day.",
            remedy="Use a lookup of a later day, or give the change with its source, with --history.",
        )
    return found


def _check_whole(lookup: Lookup, group: str, council: CouncilId, history: CodeHistory) -> None:
    """The whole area of a code of the day was in the group on the lookup's own day, or the group would grow."""
    before = history.at(council, lookup.vintage)
    if not before:
        raise FileProblem(
            f"{lookup.file}: {council} came in place of councils whose codes are not held here, so it is not known "
            f"whether all of them were in '{lookup.names[group]}'.",
            remedy="Use a lookup of a later day, or give the change with its source, with --history.",
        )
    strangers = sorted(before - lookup.members[group])
    if strangers:
        raise FileProblem(
            f"{lookup.file}: {council} is made of {', '.join(sorted(before))}, and "
            f"{', '.join(strangers[:MOST_NAMED])} was not in '{lookup.names[group]}'. The group has no boundary among "
            "today's councils.",
            remedy="Use a lookup of a later day; figures of two sets of boundaries are never added.",
        )


def _check_registered(lookup: Lookup, councils: frozenset[CouncilId], on: date, schema: Schema) -> None:
    unknown = sorted(code for code in councils if code not in schema.councils and code not in schema.recoded)
    if unknown:
        raise FileProblem(
            f"{lookup.file}: {len(unknown)} code(s) are of no council that can be asked on {on}: "
            f"{', '.join(unknown[:MOST_NAMED])}. What came in their place is not known here.",
            remedy="Use a lookup of a later day, or give the change with its source, with --history.",
        )


def _short(label: str, code: str) -> str:
    """A name for an agreement: lower-case letters, digits and hyphens; the group's code where the label gives none."""
    plain = re.sub(r"[^a-z0-9]+", "-", label.casefold()).strip("-")
    usable = plain if plain[:1].isalpha() else f"group-{re.sub(r'[^a-z0-9]+', '-', code.casefold()).strip('-')}"
    return usable[:LONGEST_NAME].rstrip("-")
