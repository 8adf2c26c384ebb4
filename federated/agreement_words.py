"""An agreement in plain words: what a person reads before accepting it; and what differs between two documents."""

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import exp
from typing import Any, Final, NamedTuple

from federated.agreement import Agreement
from federated.clauses import MEANINGS
from federated.keys import fingerprint, parse_public
from protocols.suite import Suite

__all__ = ["Leaf", "changes", "describe", "leaves", "sentence"]

LOOSER_WHEN_HIGHER: Final = frozenset({"epsilon", "delta", "max_epsilon_per_query", "attempts", "max_cells"})
LOOSER_WHEN_LOWER: Final = frozenset({"min_cohort", "min_honest"})
_NAMES: Final = ("name", "body", "column", "party", "title")
"""Fields by which the entries of a list are told apart."""


def describe(agreement: Agreement) -> tuple[str, ...]:
    """The agreement as paragraphs, most important first. Shown by `council-node accept`."""
    recipients = "; ".join(f"{item.role}, {item.body} ({MEANINGS[item.type]})" for item in agreement.recipients)
    return (
        f"{agreement.title} ({agreement.id}, version {agreement.version}).",
        (
            f"In force from {agreement.valid_from} to {agreement.valid_to}; to be looked at again by "
            f"{agreement.review_on}."
        ),
        f"What it is for: {agreement.purpose}",
        f"Kinds of question: {_list(MEANINGS[item] for item in agreement.purpose_categories)}.",
        f"Answers are never used for: {_list(MEANINGS[item] for item in agreement.prohibited_uses)}.",
        _funding(agreement),
        f"Who gets the answers: {recipients}.",
        "No personal data leaves your council: only sums that are masked and carry noise.",
        *(_dataset(name, agreement) for name in agreement.datasets),
        *(_group(agreement, group.name) for group in agreement.groups),
        _budget(agreement),
        *_keys(agreement),
        *_opening(agreement),
        (
            f"One question is answered at most {agreement.attempts} times. You have {agreement.decision_days} days to "
            "decide on it."
        ),
        f"Who may ask: {_list(f'{item.name}, {item.organisation}' for item in agreement.analysts)}.",
        # A new version may differ in nothing but a key: whoever accepts it must be able to compare that.
        *(
            f"Fingerprint of {person.name}'s key: {fingerprint(parse_public(person.public_key))}."
            for person in agreement.analysts
        ),
        f"Who may check: {_list(f'{item.name}, {item.organisation}' for item in agreement.reviewers)}.",
        f"Lawful basis claimed (a draft for your own lawyer): {agreement.legal_position.lawful_basis}",
        f"Kept: {agreement.retention.extracts} Answers: {agreement.retention.results}",
        f"How to stop: {agreement.exit}",
        (
            f"Questions: {agreement.contacts.questions}. To stop: {agreement.contacts.withdrawal}. "
            f"Complaints: {agreement.contacts.complaints}."
        ),
    )


def _keys(agreement: Agreement) -> Iterator[str]:
    if agreement.key_agreement is Suite.HYBRID:
        yield (
            "What is sent is masked with keys that a future quantum computer could not find either, as long as "
            "ML-KEM-768 holds."
        )


def _opening(agreement: Agreement) -> Iterator[str]:
    holder = agreement.mask_holder
    if holder is not None:
        yield (
            f"No answer can be opened without {holder.name}, the mask holder: your figures are masked with it too. It "
            "opens one sum for each round, once enough councils have signed whose figures are in it. It gets neither "
            "figures nor answers. While it is away no question can be answered. If it works together with the "
            "coordinator, it adds no protection."
        )
        yield f"Fingerprint of the mask holder's key: {fingerprint(parse_public(holder.key))}."


def _list(items: Iterator[str]) -> str:
    return "; ".join(items)


def _funding(agreement: Agreement) -> str:
    if agreement.funding_use == "never":
        return "No question may inform a decision about funding."
    return "A question may inform a decision about funding only if it says so; you decide on each such question."


def _dataset(name: str, agreement: Agreement) -> str:
    allowed = agreement.datasets[name]
    sensitive = "; ".join(f"{column}, approved by {who}" for column, who in allowed.class_2_approved_by.items())
    return (
        f"From the data set '{name}' only these columns are read: {', '.join(allowed.columns)}. "
        f"Statistics: {', '.join(allowed.statistics)}. One {allowed.unit} counts in at most {allowed.max_cells} "
        f"cell(s) of a table." + (f" Sensitive columns: {sensitive}." if sensitive else "")
    )


def _group(agreement: Agreement, name: str) -> str:
    group = agreement.group(name)
    rules = agreement.cohort_rules(group)
    return (
        f"Group '{group.name}' ({group.label}): {len(group.councils)} councils, of which at least "
        f"{agreement.min_cohort} must answer. The promise holds as long as no more than {rules.max_colluders} of them "
        "work together with the coordinator against the others."
        + (f" Made from a lookup: {group.made_from}." if group.made_from else "")
    )


def _budget(agreement: Agreement) -> str:
    # A rounded figure for reading only: nothing is decided by it.
    factor = exp(float(min(agreement.budget_epsilon, Fraction(50))))
    return (
        f"In a calendar year all questions together may cost epsilon {agreement.budget.epsilon} for each household, "
        f"and one question {agreement.max_epsilon_per_query}. That means: whatever the answers say, they are at most "
        f"{factor:,.1f} times as likely with a household in the records as without it. The chance that this fails is "
        f"at most {agreement.budget.delta}."
    )


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs between two documents of names, lists and texts, one sentence for each difference.

    A sentence ends with "looser" where the change lets more be learned, with "stricter" where it lets less be.
    """
    before, after = dict(leaves(old)), dict(leaves(new))
    both = dict.fromkeys((*before, *after))
    return tuple(_judged(leaf, before, after) for leaf in both if before.get(leaf) != after.get(leaf))


class Leaf(NamedTuple):
    """One thing an agreement says: a field, or one item of a list."""

    path: tuple[str, ...]
    item: str = ""

    @property
    def label(self) -> str:
        """Where it stands, for people."""
        words = ", ".join(part if part.startswith("'") else part.replace("_", " ") for part in self.path)
        return f"{words}: {self.item}" if self.item else words


def leaves(document: Mapping[str, Any]) -> Iterator[tuple[Leaf, str]]:
    """Everything that a document of names, lists and texts says, one thing at a time."""
    yield from _walk((), document)


def _walk(path: tuple[str, ...], value: Any) -> Iterator[tuple[Leaf, str]]:
    match value:
        case Mapping():
            for name, item in value.items():
                yield from _walk((*path, str(name)), item)
        case list():
            yield from _walk_list(path, value)
        case None:  # a field that says nothing is not there
            return
        case _:
            yield Leaf(path), str(value)


def _walk_list(path: tuple[str, ...], items: list[Any]) -> Iterator[tuple[Leaf, str]]:
    seen: Counter[str] = Counter()
    for item in items:
        if not isinstance(item, dict):
            yield Leaf(path, str(item)), ""
            continue
        # Entries are told apart by their name, so that moving one is no change. Two of one name are numbered, so
        # that neither hides what happens to the other.
        name = str(next((item[key] for key in _NAMES if key in item), None))
        seen[name] += 1
        number = f" ({seen[name]})" if seen[name] > 1 else ""
        yield from _walk((*path, f"'{name}{number}'"), item)


def sentence(leaf: Leaf, before: Mapping[Leaf, str], after: Mapping[Leaf, str]) -> str:
    """One difference between two documents, as told by :func:`leaves`."""
    return _told(leaf, before, after, direction="")


def _judged(leaf: Leaf, before: Mapping[Leaf, str], after: Mapping[Leaf, str]) -> str:
    both = leaf in before and leaf in after
    direction = _direction(leaf.path[-1], before[leaf], after[leaf]) if both else ""
    return _told(leaf, before, after, direction=direction)


def _told(leaf: Leaf, before: Mapping[Leaf, str], after: Mapping[Leaf, str], *, direction: str) -> str:
    if leaf not in before:
        return f"New – {leaf.label}{_value(after[leaf])}."
    if leaf not in after:
        return f"Gone – {leaf.label}{_value(before[leaf])}."
    return f"Changed – {leaf.label}: it was {before[leaf]}, it is now {after[leaf]}{direction}."


def _value(text: str) -> str:
    return f": {text.rstrip('.')}" if text else ""


def _direction(field: str, before: str, after: str) -> str:
    if field not in LOOSER_WHEN_HIGHER | LOOSER_WHEN_LOWER:
        return ""
    rises = Fraction(after) > Fraction(before)
    return "; this is looser" if rises == (field in LOOSER_WHEN_HIGHER) else "; this is stricter"
