"""The list of guards: for each row of SECURITY.md, the lines that hold it and what stands there without them.

`guards/*.yaml` holds it, by row. An entry is one guard: `file`, `old` (lines that stand there exactly once), `new` (left
out: nothing), and `tests` where not all tests of the row turn red by this one. `together` lists several such changes
where a second guard stands behind the first. `slow: true` keeps it out of the sample of CI. An entry `alarm` names tests
that take the guard out themselves.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from tests.docs.pages import page, rows

ROOT: Final = Path(__file__).resolve().parents[2]
LISTS: Final = Path(__file__).with_name("guards")
WIDTHS: Final = {3, 4}
"""Columns of the tables whose last one names tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Some lines of a file and what takes their place."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The file without the guard.

        Raises:
            ValueError: The lines are not there exactly once, so nobody knows what would be tried.
        """
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.file}: the lines to take out stand there {found} times, not once: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One guard removed.

    Attributes:
        row: First cell of the row of SECURITY.md that it belongs to.
        number: From 1, among those of the row.
        changes: What is taken out; more than one where two guards stand behind one another.
        tests: Which have to turn red.
        slow: Whether they take longer than a sample in CI may.
    """

    row: str
    number: int
    changes: tuple[Change, ...]
    tests: tuple[str, ...]
    slow: bool = False

    @property
    def label(self) -> str:
        """Row and number, for people."""
        return f"{self.row} ({self.number})"


@lru_cache(maxsize=1)
def rows_of_security() -> dict[str, tuple[str, ...]]:
    """The tests of each row of SECURITY.md, by what it claims."""
    return {row[0]: tuple(re.findall(r"`(tests/[^`]+)`", row[-1])) for row in _cells()}


@lru_cache(maxsize=1)
def modules_of_security() -> dict[str, tuple[str, ...]]:
    """The modules that each row of SECURITY.md names, by what it claims."""
    return {row[0]: tuple(re.findall(r"`([^`]+/[^`]+)`", row[-2])) for row in _cells()}


def _cells() -> list[tuple[str, ...]]:
    return [row for row in rows(page("SECURITY.md")) if len(row) in WIDTHS and "tests/" in row[-1]]


Entry: TypeAlias = dict[str, Any]
"""As written in the list: either `alarm`, or what to take out."""


@lru_cache(maxsize=1)
def _entries() -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for path in sorted(LISTS.glob("*.yaml")):
        for row, entries in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            found.setdefault(row, []).extend(entries)
    return found


def listed() -> tuple[Mutation, ...]:
    """Every guard of the list.

    Raises:
        KeyError: A row of the list is none of SECURITY.md.
    """
    found = []
    for row, entries in _entries().items():
        for number, entry in enumerate(entries, start=1):
            if "alarm" in entry:
                continue
            tests = tuple(entry.get("tests", rows_of_security()[row]))
            changes = tuple(_changes(entry))
            slow = bool(entry.get("slow", False))
            found.append(Mutation(row=row, number=number, changes=changes, tests=tests, slow=slow))
    return tuple(found)


def _changes(entry: Entry) -> Iterable[Change]:
    for part in entry.get("together", [entry]):
        yield Change(file=part["file"], old=part["old"], new=part.get("new", ""))


def alarms() -> dict[str, tuple[str, ...]]:
    """Tests that take their guard out themselves and look for the alarm, by row."""
    return {
        row: tuple(test for entry in found if "alarm" in entry for test in entry["alarm"])
        for row, found in _entries().items()
    }


def unlisted() -> list[str]:
    """Tests of SECURITY.md that no mutation of their row turns red."""
    covered: dict[str, set[str]] = {row: set(tests) for row, tests in alarms().items()}
    for mutation in listed():
        covered.setdefault(mutation.row, set()).update(mutation.tests)
    return [
        f"{row}: {test}"
        for row, tests in rows_of_security().items()
        for test in tests
        if test not in covered.get(row, set())
    ]


def elsewhere(named: Mapping[str, Collection[str]]) -> list[str]:
    """Modules said to hold a row that no mutation of the row changes, so nobody has seen that they do.

    Args:
        named: Modules by row. Where an alarm takes guards out by itself, one that is changed here is enough.
    """
    changed: dict[str, set[str]] = {}
    for mutation in listed():
        changed.setdefault(mutation.row, set()).update(change.file for change in mutation.changes)
    found = []
    for row, files in changed.items():
        idle = [module for module in named[row] if module not in files]
        if idle and not (alarms()[row] and len(idle) < len(named[row])):
            found += [f"{row}: {module}" for module in idle]
        found += [] if named[row] else [f"{row}: names no module"]
    return found
