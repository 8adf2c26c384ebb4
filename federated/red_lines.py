"""The seven red lines of a question (requirement R65): what a computer can tell, and what is left to people.

A line that is crossed blocks every approval. One that holds by computation needs nobody. The rest are judgements: a
person at each council answers them, or the council's policy does in writing. Everything here follows from the
question, its manifest and the agreement; no case is looked at, so a forum can run it without a node.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from federated.agreement import NEEDS_APPROVAL, Agreement
from federated.clauses import MEANINGS, PROHIBITED_USES, BodyType, ProhibitedUse
from federated.crossings import AT_LEAST_A_REGION, crossed_tables, in_words
from federated.manifest import RED_LINES, Manifest
from federated.plain_english import says_nothing
from federated.query import Query
from federated.schema import Dataset

__all__ = ["SAFETY_CODES", "RedLine", "Standing", "asked", "crossed", "red_lines"]

SAFETY_CODES: Final = frozenset(
    {
        "domestic_abuse",
        "domestic_abuse_victim",
        "domestic_abuse_perpetrator",
        "domestic_abuse_unspecified",
        "sexual_abuse",
        "other_abuse",
        "refuge",
        "modern_slavery_victim",
    }
)
"""Codes that could lead an abuser to somebody if they stood beside a small place."""
MANY_SENSITIVE: Final = 2
"""From so many class 2 columns in one table on, people are told so: it describes communities, not needs."""


class Standing(StrEnum):
    """Where one red line stands."""

    HOLDS = "holds"
    """Computed: nobody has to judge it."""
    ASK = "ask"
    """A person has to judge it, or has judged it in writing."""
    CROSSED = "crossed"
    """Computed: the question cannot be approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedLine:
    """One of the seven.

    Attributes:
        name: Its name, for example ``lawful``.
        must_be_true: What it says.
        standing: What was computed.
        found: What that rests on, and what a person should look at, one sentence each.
    """

    name: str
    must_be_true: str
    standing: Standing
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What the lines look at."""

    question: Query
    manifest: Manifest
    agreement: Agreement
    dataset: Dataset

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(sorted(self.question.columns()))

    @property
    def class_2(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if self.dataset.column(name).highest_class >= NEEDS_APPROVAL)

    @property
    def councils(self) -> int:
        return len(self.agreement.group(self.question.group).councils)


_Judged: TypeAlias = tuple[Standing, tuple[str, ...]]


def red_lines(question: Query, manifest: Manifest, *, agreement: Agreement, dataset: Dataset) -> tuple[RedLine, ...]:
    """Judge the seven, in the order of the manifest's form. Run by every node at each proposal, and by reviewers.

    Args:
        question: As asked, checked against the schema.
        manifest: As signed with it.
        agreement: The agreement it is under.
        dataset: The data set it reads.

    Raises:
        PolicyRefusal: `group`: the agreement has no such group.
    """
    case = _Case(question=question, manifest=manifest, agreement=agreement, dataset=dataset)
    judged = {name: _JUDGES[name](case) for name, _ in RED_LINES}
    return tuple(
        RedLine(name=name, must_be_true=text, standing=judged[name][0], found=judged[name][1])
        for name, text in RED_LINES
    )


def crossed(lines: Iterable[RedLine]) -> tuple[RedLine, ...]:
    """Those that no approval can get over."""
    return tuple(line for line in lines if line.standing is Standing.CROSSED)


def asked(lines: Iterable[RedLine]) -> tuple[RedLine, ...]:
    """Those that people must judge."""
    return tuple(line for line in lines if line.standing is Standing.ASK)


def _lawful(case: _Case) -> _Judged:
    approved = case.agreement.datasets[case.question.dataset].class_2_approved_by
    missing = [name for name in case.class_2 if name not in approved]
    if missing:
        return Standing.CROSSED, (f"Nobody named approved the most sensitive column '{missing[0]}' in the agreement.",)
    position = case.manifest.legal_position
    return Standing.ASK, (
        f"Lawful basis claimed, as a draft for your own lawyer: {position.lawful_basis}",
        f"Condition claimed for sensitive data: {position.sensitive_data_condition}",
        f"Consent: {position.consent_position}",
        *(f"'{name}' was approved by: {approved[name]}" for name in case.class_2),
    )


def _convincing(case: _Case) -> _Judged:
    category = case.manifest.purpose_category
    if category not in case.agreement.purpose_categories:
        return Standing.CROSSED, (f"The agreement does not list the purpose '{category.value}'.",)
    return Standing.ASK, (
        f"Kind of purpose, which the agreement lists: {MEANINGS[category]}.",
        f"What would be done differently: {case.manifest.need.done_differently}",
    )


def _safe(case: _Case) -> _Judged:
    telling = [name for name in case.columns if SAFETY_CODES & set(case.dataset.column(name).code_list)]
    if not telling:
        return Standing.HOLDS, ("No column that tells of abuse or refuges is read.",)
    small = [table.name for table in case.question.tables if table.level not in AT_LEAST_A_REGION]
    if small:
        return Standing.CROSSED, (f"The table '{small[0]}' would place abuse or refuges in an area below a region.",)
    if case.councils < case.agreement.min_cohort:
        return Standing.CROSSED, (f"Only {case.councils} councils are asked.",)
    return Standing.ASK, (
        f"Read, and telling of abuse or refuges: {', '.join(telling)}.",
        f"They are counted over {case.councils} councils together or by region, never for a smaller area.",
        f"Who could be harmed, by the proposer's own account: {case.manifest.ethics.who_could_be_harmed}",
    )


def _reuse(case: _Case) -> _Judged:
    manifest, agreement = case.manifest, case.agreement
    declared = manifest.funding_use == "declared" and agreement.funding_use != "never"
    excused = {ProhibitedUse.FUNDING_DECISIONS} if declared else set()
    open_uses = sorted(PROHIBITED_USES - excused - set(manifest.prohibited_uses))
    if open_uses:
        return Standing.CROSSED, (f"The manifest does not rule out {MEANINGS[open_uses[0]]}.",)
    agreed = {(item.body.casefold(), item.type) for item in agreement.recipients}
    strangers = [item.body for item in manifest.recipients if (item.body.casefold(), item.type) not in agreed]
    if strangers:
        return Standing.CROSSED, (f"The agreement does not name '{strangers[0]}' as a recipient.",)
    doubts = tuple(_doubts_of_use(manifest))
    kept = f"It is kept until {manifest.retention.until}: {manifest.retention.then}"
    return (Standing.ASK, (*doubts, kept)) if doubts else (Standing.HOLDS, ("The whole charter is ruled out.", kept))


def _doubts_of_use(manifest: Manifest) -> Iterable[str]:
    if manifest.funding_use_text is not None:
        yield f"It declares a use for funding: {manifest.funding_use_text}"
    if manifest.linked_data != "none":
        yield f"The answer is combined with other data: {manifest.linked_data}"
    yield from (f"A company gets the answer: {r.body}." for r in manifest.recipients if r.type is BodyType.COMMERCIAL)


def _secure(case: _Case) -> _Judged:
    agreement, question = case.agreement, case.question
    if case.councils < agreement.min_cohort:
        return Standing.CROSSED, (f"{case.councils} councils are asked; the agreement needs {agreement.min_cohort}.",)
    if question.epsilon > agreement.max_epsilon:
        return Standing.CROSSED, ("It asks for more epsilon than the agreement allows for one question.",)
    rules = agreement.cohort_rules(agreement.group(question.group))
    return Standing.HOLDS, (
        f"Only masked sums with noise leave, over at least {agreement.min_cohort} councils.",
        f"This holds while at most {rules.max_colluders} of them work with the coordinator against the others.",
        f"No name, reference or free text can be read: the question reads {', '.join(case.columns)}.",
    )


def _transparent(case: _Case) -> _Judged:
    told = case.manifest.ethics.how_people_are_told
    if says_nothing(told):
        return Standing.CROSSED, ("The manifest does not say where residents can read about it.",)
    return Standing.HOLDS, (
        f"Where residents can read about it: {told}",
        f"Questions: {case.manifest.contacts.questions}. Complaints: {case.manifest.contacts.complaints}.",
    )


def _proportionate(case: _Case) -> _Judged:
    explained = {column for dataset, column in case.manifest.columns if dataset == case.question.dataset}
    unexplained = [name for name in case.columns if name not in explained]
    if unexplained:
        return Standing.CROSSED, (f"The manifest does not explain why '{unexplained[0]}' is read.",)
    doubts = tuple(_doubts_of_amount(case, sorted(explained - set(case.columns))))
    if not doubts:
        return Standing.HOLDS, ("It reads no column of the most sensitive kind, and each is explained.",)
    return Standing.ASK, (*doubts, f"Why nothing less would do: {case.manifest.ethics.least_data}")


def _doubts_of_amount(case: _Case, unread: list[str]) -> Iterable[str]:
    if case.class_2:
        yield f"It reads the most sensitive kind of data: {', '.join(case.class_2)}."
    for table in case.question.tables:
        together = [name for name in case.class_2 if name in table.columns()]
        if len(together) >= MANY_SENSITIVE:
            yield f"The table '{table.name}' crosses several of these: {', '.join(together)}."
    for name, characteristics in crossed_tables(case.question, case.dataset).items():
        yield f"The table '{name}' singles out groups by {in_words(characteristics)}."
    if unread:
        yield f"The manifest lists columns that this question does not read: {', '.join(unread)}."


_JUDGES: Final[dict[str, Callable[[_Case], _Judged]]] = {
    "lawful": _lawful,
    "convincing_purpose": _convincing,
    "no_threat_to_safety": _safe,
    "reuse_excluded": _reuse,
    "secure": _secure,
    "transparent": _transparent,
    "proportionate": _proportionate,
}
