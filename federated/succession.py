"""Which councils of a roster take the place of others, and when: mergers, and councils that get a new code.

The households of a successor are those of its predecessors. If both could take part on the same day, a household
would be asked about twice; if the roster did not say who succeeds whom, what was spent on it would be forgotten.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from federated.schema.code_history import load_code_history
from protocols.identifiers import CouncilId

__all__ = ["Listed", "check_not_forgotten", "check_successors", "predecessors_of"]


class Listed(Protocol):
    """What is needed of a roster's entry."""

    @property
    def id(self) -> str:
        """Its code."""

    @property
    def valid_from(self) -> date:
        """First day it may take part."""

    @property
    def valid_to(self) -> date:
        """Last day it may take part."""

    @property
    def succeeds(self) -> Sequence[str]:
        """Codes of the councils whose place it took."""


def check_successors(councils: Sequence[Listed]) -> None:
    """Hold the entries of a roster against each other.

    Checks, for each council: (0) its predecessors are listed, so that their keys are known, (1) each of them stopped
    taking part before it starts, (2) every listed council that is known to be its predecessor is named as one.

    Raises:
        ValueError: In words that follow "The roster".
    """
    listed = {council.id: council for council in councils}
    for council in councils:
        for code in council.succeeds:
            _check_predecessor(council, code, listed.get(code))
        known = load_code_history().predecessors(council.id) & listed.keys()
        forgotten = sorted(known - set(council.succeeds))
        if forgotten:  # (2)
            raise ValueError(
                f"has the council {council.id} and its predecessor {forgotten[0]}; "
                f"list {forgotten[0]} under succeeds of {council.id}, so that what was spent is not forgotten"
            )


def check_not_forgotten(before: Sequence[Listed], after: Sequence[Listed], *, begins: date) -> None:
    """Hold the entries of a roster against those of the one before it.

    Whoever tidies a list drops a council that has ended, and the line that names it. Then its successor would start
    again with a full budget, in the same calendar year, for the same households. Run where lists are signed and
    published.

    Args:
        before: Entries of the roster before.
        after: Entries of the new one.
        begins: First day of the new one.

    Raises:
        ValueError: In words that follow "The roster".
    """
    listed = {council.id: council for council in after}
    earlier = {council.id: council for council in before}
    for council in before:
        if council.valid_to.year < begins.year:  # budgets are of calendar years: nothing of this one was spent there
            continue
        named = {other.id for other in before if council.id in other.succeeds}
        for code in sorted(named | load_code_history().successors(council.id)):
            successor = listed.get(code, earlier.get(code))
            if successor is not None and successor.valid_from.year > council.valid_to.year:
                continue
            if council.id not in listed or (code in listed and council.id not in listed[code].succeeds):
                what = "leaves out" if council.id not in listed else f"does not name under succeeds of {code}"
                raise ValueError(
                    f"{what} the council {council.id}, which could take part until {council.valid_to} and whose place "
                    f"{code} takes; what was spent in {council.valid_to.year} would be forgotten"
                )


def predecessors_of(council: CouncilId, councils: Mapping[CouncilId, Listed]) -> tuple[CouncilId, ...]:
    """Every council whose spend a successor inherits: those it succeeds, and theirs of the same year.

    A predecessor that never inherited itself could sign a true statement that says nothing of what was spent before
    it. Budgets are of calendar years, so a council that stopped in an earlier year than the successor started needs
    no statement unless it is named.

    Args:
        council: The successor.
        councils: The roster's entries.
    """
    entry = councils.get(council)
    if entry is None:
        return ()
    found = list(entry.succeeds)
    for name in found:  # grows while it is walked, and never holds one twice
        earlier = councils[CouncilId(name)].succeeds if name in councils else ()
        found += [
            code
            for code in earlier
            if code not in {*found, council} and councils[CouncilId(code)].valid_to.year >= entry.valid_from.year
        ]
    return tuple(sorted(CouncilId(name) for name in found))


def _check_predecessor(council: Listed, code: str, predecessor: Listed | None) -> None:
    if code == council.id:
        raise ValueError(f"has the council {code} as its own predecessor")
    if predecessor is None:  # (0)
        raise ValueError(
            f"has the council {council.id}, which succeeds {code}, but does not list {code}; "
            "keep each predecessor in the list with its key and its last day"
        )
    if predecessor.valid_to >= council.valid_from:  # (1)
        raise ValueError(
            f"has the council {council.id} from {council.valid_from}, but its predecessor {code} until "
            f"{predecessor.valid_to}; a predecessor must stop before its successor starts"
        )
