"""What became of a question, council by council, for analysts and reviewers of its agreement: as over gRPC.

Everything is read from the store, so the page can be left and come back to. Whoever wants it to load itself again says
so, and can stop that: a page that changes by itself is hard to read for many people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from coordinator.console.desk import Asked, Desk, Moved, Refreshing, digest_of
from coordinator.console.drafts import writing
from coordinator.console.question import QuestionFacts
from coordinator.console.words import standing_of
from coordinator.proposal_states import OPEN
from coordinator.sign_in.operations import Operation, may, reaches
from coordinator.store import DecisionRow, InboxRow, ProposalRow, RoundCouncilRow
from coordinator.withdrawal import can_withdraw, withdraw_own
from federated.errors import FileProblem, QueryError
from federated.plain_english import as_sentence
from protocols.identifiers import CouncilId, Digest

__all__ = ["SECONDS", "CouncilShown", "in_latest_round", "show", "take_back"]

SECONDS: Final = 5
"""Between two loadings of a page that is followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a council stands, in a word, with the colour of its tag."""

    label: str
    colour: str


WAITING: Final = State(label="Waiting", colour="grey")
DECIDED: Final = {
    "approved": State(label="Approved", colour="blue"),
    "pending": State(label="Waiting for a person", colour="yellow"),
    "refused": State(label="Refused", colour="red"),
}
OUTCOMES: Final = {
    "answered": State(label="Taking part", colour="turquoise"),
    "contributed": State(label="Answered", colour="green"),
    "dropped": State(label="Dropped", colour="orange"),
    "unreachable": State(label="Dropped", colour="orange"),
    "refused": State(label="Refused", colour="red"),
}

STAGE_TOLD: Final = {
    "answered": "It has answered the stage '{}'. ",
    "dropped": "In the stage '{}'. ",
    "unreachable": "In the stage '{}'. ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CouncilShown:
    """One council as shown.

    Attributes:
        said: Why, in its own words or the coordinator's; empty where there is nothing to say.
        rule: Of a refusal.
    """

    name: str
    state: State
    said: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A question that the visitor may watch; until the coordinator has taken it, there is its letter alone."""

    digest: Digest
    agreement: str
    row: ProposalRow | None
    facts: QuestionFacts | None
    handed_in: InboxRow | None

    @property
    def refused(self) -> bool:
        return self.handed_in is not None and self.handed_in.state == "settled" and self.handed_in.watch_digest is None

    @property
    def going(self) -> bool:
        return not self.refused if self.row is None else self.row.state in OPEN


def show(desk: Desk, asked: Asked) -> str | Refreshing:
    """A question as analysts and reviewers of its agreement see it."""
    question = _question(desk, asked)
    following = question.going and "follow" in asked.wanted
    page = _page(desk, asked, question, following=following)
    return Refreshing(page=page, seconds=SECONDS) if following else page


def take_back(desk: Desk, asked: Asked) -> str | Moved:
    """Take the question back, for the account that handed it in."""
    store, question = writing(desk), _question(desk, asked)
    if question.row is None:
        raise FileProblem("The coordinator has not taken the question yet.", remedy="Try again in a few seconds.")
    try:
        withdraw_own(
            store,
            asked.visitor,
            question.row,
            agreement=question.agreement,
            reason=asked.form.get("reason", ""),
            now=desk.clock(),
        )
    except QueryError as error:
        return _page(desk, asked, question, problem=error.diagnostics())
    return Moved(to=f"/asked/{question.digest.hex()}")


def _question(desk: Desk, asked: Asked) -> _Question:
    digest = digest_of(asked.names["plan"], "question")
    handed_in = desk.store.inbox.latest_of(digest)
    row = desk.store.proposals.get(digest)
    facts = None if row is None else QuestionFacts.read(row)
    theirs = facts.agreement if facts is not None else "" if handed_in is None else handed_in.agreement_id
    if not theirs or not may(asked.visitor, Operation.WATCH, agreement=theirs):
        # Another agreement's question is as if it were not there: of that, the register tells what it tells everybody.
        raise FileProblem("There is no such question of yours here.", remedy="The register has every question.")
    return _Question(digest=digest, agreement=theirs, row=row, facts=facts, handed_in=handed_in)


def _page(desk: Desk, asked: Asked, question: _Question, *, following: bool = False, problem: str = "") -> str:
    digest, row, facts, handed_in = question.digest, question.row, question.facts, question.handed_in
    release = desk.store.releases.of_plan(digest)
    shown = () if row is None or facts is None else _councils(desk, row, facts)
    back = (
        desk.deciding is not None
        and row is not None
        and may(asked.visitor, Operation.WITHDRAW, agreement=question.agreement)
        and can_withdraw(desk.store, asked.visitor, row)
    )
    return desk.page(
        "watch.html",
        asked.visitor,
        title="Your question" if facts is None else facts.title,
        current="/ask" if reaches(asked.visitor, Operation.PROPOSE) else "/questions",
        errors={"reason": problem} if problem else {},
        asks=reaches(asked.visitor, Operation.PROPOSE),
        plan=digest.hex(),
        standing=None if row is None else standing_of(row),
        reason="" if row is None else as_sentence(row.reason) if row.reason else standing_of(row).meaning,
        handed_in=handed_in,
        elsewhere=_elsewhere(handed_in, digest),
        refused=question.refused,
        going=question.going,
        following=following,
        seconds=SECONDS,
        can_take_back=back,
        councils=shown,
        counts=_counts(shown),
        release=None if release is None or release.deleted_at is not None else release.digest.hex(),
    )


def _elsewhere(handed_in: InboxRow | None, digest: Digest) -> str:
    """The plan to watch instead, where the identical question was asked before."""
    watched = None if handed_in is None else handed_in.watch_digest
    return "" if watched is None or watched == digest else watched.hex()


def _councils(desk: Desk, row: ProposalRow, facts: QuestionFacts) -> tuple[CouncilShown, ...]:
    decided = {item.council: item for item in desk.store.proposals.decisions(row.plan_digest)}
    became: Mapping[str, RoundCouncilRow] = {item.council: item for item in in_latest_round(desk, row.plan_digest)}
    found = [
        _council(desk.council_name(council), decided.get(CouncilId(council)), became.get(council))
        for council in facts.councils
    ]
    return tuple(sorted(found, key=lambda item: item.name))


def in_latest_round(desk: Desk, plan: Digest) -> tuple[RoundCouncilRow, ...]:
    """What became of each council in the latest round; while that runs, how each stands after its last stage."""
    books = desk.store.rounds
    latest = max(books.of_plan(plan), key=lambda item: item.attempt, default=None)
    if latest is None:
        return ()
    return books.progress(latest.sid) if latest.outcome == "running" else books.councils(latest.sid)


def _council(name: str, decision: DecisionRow | None, outcome: RoundCouncilRow | None) -> CouncilShown:
    if outcome is not None and outcome.outcome in OUTCOMES:
        known = outcome.stage in outcome.reason  # a reason can say the stage itself
        stage = "" if known else STAGE_TOLD.get(outcome.outcome, "").format(outcome.stage)
        said = f"{stage}{as_sentence(outcome.reason) if outcome.reason else ''}".strip()
        return CouncilShown(name=name, state=OUTCOMES[outcome.outcome], said=said, rule=outcome.rule)
    if decision is None:
        return CouncilShown(name=name, state=WAITING)
    return CouncilShown(
        name=name,
        state=DECIDED[decision.decision],
        said=as_sentence(decision.reason) if decision.reason else "",
        rule=decision.rule,
    )


def _counts(shown: tuple[CouncilShown, ...]) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    for item in shown:
        found[item.state.label] = found.get(item.state.label, 0) + 1
    return sorted(found.items())
