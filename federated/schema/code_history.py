"""Codes of housing authorities that changed: which came in place of which, from when, and how that is known.

Only what a source shows is here. Where a merger is known but no source held here prints the old codes, its row has
no predecessor: the successor's start is known, and what stood before is not.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Final

from federated.errors import FileProblem
from federated.schema.files import resource_text
from federated.timestamps import parse_day
from protocols.identifiers import CouncilId

__all__ = ["ChangeKind", "CodeChange", "CodeHistory", "load_code_history", "parse_code_history"]

_NAME: Final = "federated/schema/code_history.csv"
_FIELDS: Final = ["successor", "name", "predecessor", "change", "since", "source", "licence"]
_SOURCES: Final = frozenset({"statutory-homelessness-2025", "project-research"})
_YEAR_DIGITS: Final = 4
_CODE: Final = re.compile(r"E0[6-9][0-9]{6}")


class ChangeKind(StrEnum):
    """Why a code changed."""

    RECODE = "recode"
    """The same authority under a new code."""
    MERGER = "merger"
    """A new authority in place of one or more others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChange:
    """One change.

    Attributes:
        successor: The new code.
        name: Name of the authority under it.
        predecessor: The old code; None where no source held here prints it.
        kind: Why.
        earliest: First day on which the change can have taken effect.
        latest: Last such day; the same as `earliest` where the day is known, the year's end where only the year is.
        source: Where it is known from; `federated/schema/README.md` says what each source is.
        licence: SPDX-like name of the source's licence.
    """

    successor: CouncilId
    name: str
    predecessor: CouncilId | None
    kind: ChangeKind
    earliest: date
    latest: date
    source: str
    licence: str

    def inside(self, start: date, end: date) -> bool:
        """Whether a period has, or may have, days on both sides of the change."""
        return start < self.latest and end >= self.earliest


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeHistory:
    """All changes, by successor and then predecessor."""

    changes: tuple[CodeChange, ...]

    def predecessors(self, code: str) -> frozenset[CouncilId]:
        """The codes that this one came in place of, directly; empty where there are none or none is known."""
        return frozenset(c.predecessor for c in self.changes if c.successor == code and c.predecessor is not None)

    def successors(self, code: str) -> frozenset[CouncilId]:
        """The codes that came in place of this one, directly."""
        return frozenset(change.successor for change in self.changes if change.predecessor == code)

    def at(self, code: str, day: date) -> frozenset[CouncilId]:
        """The codes under which an authority's area stood on a day.

        Returns:
            The code itself where nothing is known to have changed; several where it was merged from, or split into,
            others; none where the change is known and the other codes, or the day, are not.
        """
        later = [change for change in self.changes if change.predecessor == code and day >= change.earliest]
        if later:
            return self._through({change.successor: change for change in later}, later, day)
        earlier = [change for change in self.changes if change.successor == code and day < change.latest]
        if earlier:
            found = {change.predecessor: change for change in earlier if change.predecessor is not None}
            return self._through(found, earlier, day)
        return frozenset({CouncilId(code)})

    def _through(
        self, codes: Mapping[CouncilId, CodeChange], changes: Collection[CodeChange], day: date
    ) -> frozenset[CouncilId]:
        unknown = any(c.predecessor is None or c.earliest <= day < c.latest for c in changes)
        return frozenset() if unknown else frozenset().union(*(self.at(code, day) for code in codes))

    def same_authority(self, one: str, other: str) -> bool:
        """Whether two codes are of one and the same authority: equal, or linked by recodes alone."""
        pairs = [(c.successor, c.predecessor) for c in self.changes if c.kind is ChangeKind.RECODE]
        linked, waiting = {one}, [one]
        while waiting:
            code = waiting.pop()
            steps = {other for pair in pairs if code in pair for other in pair if other is not None} - linked
            waiting += steps
            linked |= steps
        return other in linked

    def extended(self, more: "CodeHistory") -> "CodeHistory":
        """This history with somebody's own changes; a merger that is here without old codes gives way to one with them.

        Raises:
            FileProblem: The two contradict each other.
        """
        given = {change.successor for change in more.changes}
        pairs = {(change.successor, change.predecessor) for change in more.changes}
        kept = (
            change
            for change in self.changes
            if (change.successor, change.predecessor) not in pairs
            and not (change.predecessor is None and change.successor in given)
        )
        joined = CodeHistory(changes=tuple(sorted((*kept, *more.changes), key=_place)))
        _check(joined, "the code history with the changes added")
        return joined

    def inside(self, codes: Collection[str], start: date, end: date) -> tuple[CodeChange, ...]:
        """The changes of these authorities that fall, or may fall, inside a period of data.

        Args:
            codes: Old or new codes.
            start: First day.
            end: Last day.
        """
        return tuple(
            change
            for change in self.changes
            if (change.successor in codes or change.predecessor in codes) and change.inside(start, end)
        )


@cache
def load_code_history() -> CodeHistory:
    """The changes that this installation knows.

    Raises:
        FileProblem: The file is missing or damaged.
    """
    return parse_code_history(resource_text("code_history.csv"))


def parse_code_history(text: str, *, file: str = _NAME, sources: Collection[str] | None = _SOURCES) -> CodeHistory:
    """Read the file.

    Args:
        text: CSV with the columns `successor, name, predecessor, change, since, source, licence`; `since` is a day
            or a year.
        file: Its name, for messages.
        sources: What `source` may be; any text when None, for a file of the user's own.

    Raises:
        FileProblem: Names the line at fault.
    """
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        headings, rows = reader.fieldnames, [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise FileProblem(
            f"{file} line {reader.line_num} is not CSV.", remedy="Mend the quotation marks in it."
        ) from error
    if headings != _FIELDS:
        raise FileProblem(f"{file} must have the columns {', '.join(_FIELDS)}.")
    changes: list[CodeChange] = []
    for line, row in rows:
        try:
            changes.append(_change(row, sources))
        except (ValueError, TypeError) as error:
            raise FileProblem(
                f"{file} line {line}: two codes, a day or a year, a known source and its licence were expected.",
                remedy="Mend the line.",
            ) from error
    history = CodeHistory(changes=tuple(sorted(changes, key=_place)))
    _check(history, file)
    return history


def _place(change: CodeChange) -> tuple[str, str]:
    return change.successor, change.predecessor or ""


def _change(row: Mapping[str, str], sources: Collection[str] | None) -> CodeChange:
    known = bool(row["source"]) if sources is None else row["source"] in sources
    if not known or not row["licence"] or not row["name"]:
        raise ValueError
    earliest, latest = _days(row["since"])
    kind = ChangeKind(row["change"])
    predecessor = _code(row["predecessor"]) if row["predecessor"] else None
    if kind is ChangeKind.RECODE and predecessor is None:
        raise ValueError
    return CodeChange(
        successor=_code(row["successor"]),
        name=row["name"],
        predecessor=predecessor,
        kind=kind,
        earliest=earliest,
        latest=latest,
        source=row["source"],
        licence=row["licence"],
    )


def _code(text: str) -> CouncilId:
    if not _CODE.fullmatch(text):
        raise ValueError
    return CouncilId(text)


def _days(text: str) -> tuple[date, date]:
    if len(text) == _YEAR_DIGITS:
        return date(int(text), 1, 1), date(int(text), 12, 31)
    day = parse_day(text)
    return day, day


def _check(history: CodeHistory, file: str) -> None:
    """Refuse a change given twice, two recodes of one code, and a code that comes back as its own predecessor."""
    pairs = [(change.successor, change.predecessor) for change in history.changes]
    recoded: dict[str | None, int] = defaultdict(int)
    for change in history.changes:
        recoded[change.predecessor] += change.kind is ChangeKind.RECODE
    if len(set(pairs)) < len(pairs) or any(count > 1 for count in recoded.values()):
        raise FileProblem(f"{file} has a change twice.", remedy="Keep one line for each.")
    for change in history.changes:
        seen, waiting = set[str](), [change.successor]
        while waiting:
            code = waiting.pop()
            seen.add(code)
            before = history.predecessors(code)
            if change.successor in before:
                raise FileProblem(f"{file} has {change.successor} before itself.", remedy="Mend the line.")
            waiting += [found for found in before if found not in seen]
