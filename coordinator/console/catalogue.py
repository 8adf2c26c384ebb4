"""The register of questions: every one that was ever handed in, and what became of it."""

from dataclasses import dataclass
from typing import Final

from coordinator.console.desk import Asked, Desk, cut, digest_of, place_asked
from coordinator.console.evidence import check_question
from coordinator.console.question import QuestionFacts, manifest_of, title_of
from coordinator.console.words import MECHANISMS, STANDINGS, Standing, reason_of, standing_of
from coordinator.proposal_states import OPEN
from coordinator.sign_in.operations import Operation, may
from coordinator.store import Place, ProposalRow, ReleaseRow, RoundRow
from federated.attacker_words import attacker_words
from federated.clauses import MEANINGS
from federated.differences import Difference, compare
from federated.errors import FileProblem
from federated.manifest_form import Manifest
from federated.rationals import rational_text
from federated.timestamps import time_text

__all__ = ["show_list", "show_one"]

SIZE: Final = 25
REPEATS_READ: Final = 5
"""Questions of one manifest that are looked at for the one before: other agreements may have manifests of that name."""
_NAMED: Final = {item.name: item for item in STANDINGS}
_ROUND_ENDS: Final = {
    "running": "It is under way.",
    "released": "It gave the answer.",
    "counted": "It was counted; the answer takes several rounds.",
}
NO_ANSWER: Final = "It ended without an answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of the list."""

    plan: str
    title: str
    standing: Standing
    reason: str
    received: str
    release: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """The question that another one repeats.

    Attributes:
        plan: Its plan.
        period: First and last day it asked about.
        changes: What its manifest and the later one differ in.
        same_agreement: Whether both were asked under the same version of the agreement.
    """

    plan: str
    period: tuple[str, str]
    changes: tuple[Difference, ...]
    same_agreement: bool


def show_list(desk: Desk, asked: Asked) -> str:
    """Every question, newest first; those of one standing when that is asked for."""
    chosen = _NAMED.get(asked.wanted.get("state", ""))
    start, newer = place_asked(asked.wanted, desk.store.proposals.place_of)
    states = frozenset() if chosen is None else frozenset(state.value for state in chosen.states)
    found = desk.store.proposals.page(states, size=SIZE + 1, start=start, newer=newer)
    rows, pages = cut(
        found,
        SIZE,
        start=start,
        newer=newer,
        identity=lambda row: row.plan_digest,
        address="/questions?" if chosen is None else f"/questions?state={chosen.name}&",
    )
    releases = desk.store.releases.digests_of([row.plan_digest for row in rows])
    items = [
        Item(
            plan=row.plan_digest.hex(),
            title=title_of(row),
            standing=standing_of(row),
            reason=reason_of(row),
            received=time_text(row.received_at),
            release=releases[row.plan_digest].hex() if row.plan_digest in releases else None,
        )
        for row in rows
    ]
    title = "Questions" if chosen is None else f"Questions: {chosen.label.lower()}"
    return desk.page(
        "questions.html",
        asked.visitor,
        title=title,
        current="/questions",
        items=items,
        pages=pages,
        chosen=chosen,
        standings=STANDINGS,
    )


def show_one(desk: Desk, asked: Asked) -> str:
    """One question: why it is asked, what it costs, and what became of it."""
    digest = digest_of(asked.names["plan"], "question")
    row = desk.store.proposals.get(digest)
    if row is None:
        raise FileProblem("There is no such question here.", remedy="The list of questions has all there are.")
    facts, manifest = QuestionFacts.read(row), manifest_of(row)
    release = desk.store.releases.of_plan(digest)
    kept = release if release is not None and release.deleted_at is None else None
    agreement = desk.files.agreement(row.agreement_digest)
    trusted = may(asked.visitor, Operation.VIEW_FIGURES, agreement=facts.agreement)
    return desk.page(
        "question.html",
        asked.visitor,
        title=facts.title,
        current="/questions",
        row=row,
        standing=standing_of(row),
        reason=reason_of(row),
        overdue=facts.overdue(row, desk.clock()),
        facts=facts,
        epsilon=None if facts.charge.epsilon is None else rational_text(facts.charge.epsilon),
        rho=rational_text(facts.charge.rho),
        delta=rational_text(facts.delta),
        learned=attacker_words(facts.charge, facts.delta, facts.unit)[:3],
        mechanism=MECHANISMS[facts.mechanism],
        manifest=manifest,
        repeat=_repeat(desk, row, facts, manifest),
        purpose=MEANINGS[manifest.purpose_category],
        prohibited=[MEANINGS[use] for use in manifest.prohibited_uses],
        agreement=agreement,
        councils=desk.council_names(facts.councils),
        history=_history(row, desk.store.rounds.of_plan(digest), release),
        release=None if kept is None else kept.digest.hex(),
        checks=check_question(desk, row, kept) if trusted else None,
        watched=may(asked.visitor, Operation.WATCH, agreement=facts.agreement),
    )


def _repeat(desk: Desk, row: ProposalRow, facts: QuestionFacts, manifest: Manifest) -> Repeat | None:
    """The last question before this one with the same manifest under the same agreement."""
    if not row.manifest_id:
        return None
    for before in desk.store.proposals.of_manifest(row.manifest_id, size=REPEATS_READ, before=_place(row)):
        earlier = QuestionFacts.read(before)
        if earlier.agreement == facts.agreement:
            changes = compare(manifest_of(before), manifest)
            same = before.agreement_digest == row.agreement_digest
            return Repeat(plan=before.plan_digest.hex(), period=earlier.period, changes=changes, same_agreement=same)
    return None


def _history(row: ProposalRow, rounds: tuple[RoundRow, ...], release: ReleaseRow | None) -> list[tuple[str, str]]:
    """What happened when; of a round only whether it gave an answer, not who was in it.

    The page gives times of day to those alone who have signed in: by the minute anybody could tell how long the
    councils of one question took, and watch a council's connection beside it.
    """
    lines = [(time_text(row.received_at), "It was handed in.")]
    lines += [
        (time_text(item.started_at), f"Round {item.attempt} began. {_ROUND_ENDS.get(item.outcome, NO_ANSWER)}")
        for item in rounds
    ]
    if release is not None:
        lines.append((time_text(release.created_at), "The answer was made and sent to the councils in it."))
        if release.deleted_at is not None:
            lines.append((time_text(release.deleted_at), "The answer was deleted here, as its time was over."))
    # While councils decide, the moment of a change is that of one council's decision.
    elif row.state not in OPEN and row.changed_at != row.received_at:
        lines.append((time_text(row.changed_at), f"{standing_of(row).label}. {reason_of(row)}"))
    return lines


def _place(row: ProposalRow) -> Place:
    return row.received_at, row.plan_digest
