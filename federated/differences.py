"""What a new version of an agreement or a manifest changes, and which changes let more happen than before.

For people who must decide on the new version: what got wider or looser comes first. A rule stands here for every field
of both forms, or the field is listed as one of which no program can say which way it went; a test holds that none is
left out. In doubt a change counts as looser: it is read first, not waved through.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from fractions import Fraction
from typing import Any, Final, TypeAlias

from federated.agreement import Agreement
from federated.agreement_words import Leaf, leaves, sentence
from federated.manifest_form import Manifest
from protocols.suite import Suite

__all__ = ["Difference", "Way", "compare", "version_warnings", "way_of"]


class Way(IntEnum):
    """Which way a change goes; in the order in which changes are shown."""

    LOOSER = 0
    UNSAID = 1
    STRICTER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One change.

    Attributes:
        way: Whether it lets more happen.
        said: The change in a sentence.
    """

    way: Way
    said: str

    @property
    def line(self) -> str:
        """For a terminal: what is looser stands out without a colour."""
        mark = {Way.LOOSER: "WIDER OR LOOSER", Way.UNSAID: "changed", Way.STRICTER: "stricter"}[self.way]
        return f"{mark}: {self.said}"


Rule: TypeAlias = Callable[[str | None, str | None], Way]
"""Which way a field went: its text before and after; None where it was not there, or is not any more."""


def _rises(before: str | None, after: str | None, read: Callable[[str], Any]) -> bool | None:
    return None if before is None or after is None else read(after) > read(before)


def _number(before: str | None, after: str | None) -> Way:
    rises = _rises(before, after, Fraction)
    return _more(before, after) if rises is None else Way.LOOSER if rises else Way.STRICTER


def _least(before: str | None, after: str | None) -> Way:
    rises = _rises(before, after, Fraction)
    return Way.UNSAID if rises is None else Way.STRICTER if rises else Way.LOOSER


def _last_day(before: str | None, after: str | None) -> Way:
    rises = _rises(before, after, date.fromisoformat)
    return Way.UNSAID if rises is None else Way.LOOSER if rises else Way.STRICTER


def _first_day(before: str | None, after: str | None) -> Way:
    rises = _rises(before, after, date.fromisoformat)
    return Way.UNSAID if rises is None else Way.STRICTER if rises else Way.LOOSER


def _more(_before: str | None, after: str | None) -> Way:
    """One more on the list lets more happen, and so does another one in its place; one less lets less happen."""
    return Way.STRICTER if after is None else Way.LOOSER


def _ban(_before: str | None, after: str | None) -> Way:
    return Way.LOOSER if after is None else Way.STRICTER


def _second_body(before: str | None, _after: str | None) -> Way:
    """One more who must take part lets less happen; none, or another in its place, is a promise to read again."""
    return Way.STRICTER if before is None else Way.LOOSER


def _unsaid(_before: str | None, _after: str | None) -> Way:
    return Way.UNSAID


def _to(loosest: Iterable[str]) -> Rule:
    """A choice among words, from the strictest to the loosest."""
    order = {word: number for number, word in enumerate(loosest)}

    def rule(before: str | None, after: str | None) -> Way:
        if before not in order or after not in order:
            return _more(before, after)
        return Way.LOOSER if order[after] > order[before] else Way.STRICTER

    return rule


def _linked(_before: str | None, after: str | None) -> Way:
    return Way.STRICTER if after == "none" else Way.LOOSER


RULES: Final[Mapping[str, Rule]] = {
    # agreement
    "valid_from": _first_day,
    "valid_to": _last_day,
    "review_on": _last_day,
    "purpose_categories": _more,
    "groups": _more,
    "min_cohort": _least,
    "min_honest": _least,
    "attempts": _number,
    "key_agreement": _to((Suite.HYBRID, Suite.X25519)),
    "mask_holder": _second_body,
    "decision_days": _least,
    "budget.epsilon": _number,
    "budget.delta": _number,
    "max_epsilon_per_query": _number,
    "datasets": _more,
    "datasets.max_cells": _number,
    "analysts": _more,
    "reviewers": _unsaid,
    "groups.councils": lambda _before, after: Way.UNSAID if after is None else Way.LOOSER,  # a smaller crowd hides less
    "groups.profile": _to(("careful", "standard")),
    "groups.label": _unsaid,
    "groups.made_from": _unsaid,
    # both
    "purpose": _more,
    "prohibited_uses": _ban,
    "funding_use": _to(("never", "if_declared", "none", "declared")),
    "linked_data": _linked,
    "recipients": _more,
    # manifest
    "question": _more,
    "decision": _more,
    "purpose_category": _more,
    "fields_read": _more,
    "fields_read.why": _unsaid,
    "fields_read.effort": _unsaid,
    "output": _more,
    "frequency": _to(("once", "yearly", "quarterly", "monthly")),
    "funding_use_text": _more,
    "expires_on": _last_day,
    "retention.until": _last_day,
}
"""By path, without the names of entries; the longest that fits counts. `funding_use` has the words of both forms."""

UNSAID: Final = frozenset(
    {
        *("agreement", "manifest", "id", "title", "parties", "use", "legal_position", "storage", "security"),
        *("retention", "rights_requests", "breaches", "exit", "contacts", "budget.period", "datasets.unit"),
        *("benefit_to_council", "benefit_to_residents", "need", "public_benefit", "costs_and_benefits", "ethics"),
        *("red_lines", "collect_by", "return_by"),
    }
)
"""Texts, and facts that can hold but one value: a person reads both and judges."""


def way_of(path: tuple[str, ...], before: str | None, after: str | None) -> Way:
    """Which way a field went.

    Args:
        path: Of the field, as :func:`federated.agreement_words.leaves` gives it.
        before: Its text before; None where it was not there.
        after: Its text now; None where it is gone.
    """
    plain = [part for part in path if not part.startswith("'")]
    for length in range(len(plain), 0, -1):
        # A data set stands by its name in the path, so a rule for all of them leaves that out.
        for name in (".".join(plain[:length]), ".".join((plain[0], plain[-1]))):
            if name in RULES:
                return RULES[name](before, after)
            if name in UNSAID:
                return Way.UNSAID
    return Way.LOOSER  # a field that nobody has thought about here is read first


def compare(old: Agreement | Manifest, new: Agreement | Manifest) -> tuple[Difference, ...]:
    """What changed, the looser first; empty when nothing did but the version number."""
    before, after = (dict(leaves(_document(item))) for item in (old, new))
    found = [
        Difference(way=_way(leaf, before, after), said=sentence(leaf, before, after))
        for leaf in dict.fromkeys((*before, *after))
        if before.get(leaf) != after.get(leaf)
    ]
    return tuple(sorted(found, key=lambda difference: difference.way))


def version_warnings(old: Agreement | Manifest, new: Agreement | Manifest) -> tuple[str, ...]:
    """What is odd about the two as versions of one file; empty when the second follows the first."""
    if old.id != new.id:
        return (f"These are two files, '{old.id}' and '{new.id}', and no versions of one.",)
    if old.version == new.version and old.digest != new.digest:
        return (f"Both say that they are version {new.version}, and they are not the same. Believe neither yet.",)
    if new.version < old.version:
        return (f"The second file is older: version {new.version}, after version {old.version}.",)
    if new.version > old.version + 1:
        return (f"Between version {old.version} and version {new.version} there are others, which are not shown.",)
    return ()


def _document(item: Agreement | Manifest) -> dict[str, Any]:
    return {**item.model_dump(mode="json"), "version": 0}


def _way(leaf: Leaf, before: Mapping[Leaf, str], after: Mapping[Leaf, str]) -> Way:
    return way_of(leaf.path, before.get(leaf), after.get(leaf))
