"""What this council answers to each proposed question: `approved`, `refused` or `pending`, signed and stored.

Two things make a decision: what the checks of step 3 said last, and what people at the council did. A refusal by the
checks comes first, and stands for as long as they refuse; nobody can approve over it. Automatic approval is the same
path without the wait. Every act stays in the store with who did it and why (requirement R9); names stay here, and
only the decision, its rule and its reason are sent. No decision looks at a case value.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final, TypeAlias

from council_node.decision_records import Act, Decision, Verdict, read_decision
from council_node.node_store import DocumentKind, NodeStore, StoreConflict
from federated.errors import FileProblem, PolicyRefusal
from federated.keys import SigningKey
from federated.manifest import RED_LINES
from federated.red_lines import Standing
from federated.signing import sign_statement
from federated.timestamps import time_text
from protocols.identifiers import CouncilId, Digest

__all__ = ["Act", "Considered", "Decision", "Decisions", "Verdict", "red_lines_to_answer"]

STATEMENT_KIND: Final = "decision"
RECORD_KIND: Final = "decision-record"
"""Kind of the statement that is kept here: it names people, and is never sent."""
DECLINED: Final = "declined"
WITHDRAWN: Final = "withdrawn"
NOT_APPROVED: Final = "not_approved"

Acts: TypeAlias = Sequence[tuple[Act, str, str]]
"""(act, role, note) of each act, oldest first."""
_RED_LINES: Final = frozenset(name for name, _ in RED_LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """What the node found out about a proposed question.

    Attributes:
        title: Title of the question.
        refusal: What the checks of step 3 said; None when every one passed.
        persons_reasons: Why a person must decide (`council_node.policy.persons_reasons`); empty for automatic.
        red_lines: Where each red line stands, by name.
        answers: The policy's written answers to red lines that are judgements.
        basis: On what an approval without a person rests.
        repeat: What a repeat of the question has in common with it.
        extract_date: Date of the extract, if there is one.
    """

    title: str
    refusal: PolicyRefusal | None
    persons_reasons: Sequence[str]
    red_lines: Mapping[str, str]
    answers: Mapping[str, str] = field(default_factory=dict)
    basis: str = ""
    repeat: str = ""
    extract_date: date | None

    @property
    def automatic(self) -> bool:
        """Whether no person has to decide."""
        return not self.persons_reasons


class Decisions:
    """The decisions of one council.

    Args:
        store: Where they are kept.
        council: This council.
        key: Its identity key.
        roles_needed: Roles that must each approve; when empty, one person's approval is enough.
    """

    def __init__(self, store: NodeStore, council: CouncilId, key: SigningKey, roles_needed: Sequence[str] = ()) -> None:
        self._store = store
        self._council = council
        self._key = key
        self._needed = frozenset(map(_role, roles_needed))

    # What the node does

    def consider(self, plan_digest: Digest, found: Considered, now: datetime) -> Decision:
        """Answer a proposal, first or repeated. The same state of affairs gives the very same signed bytes.

        Args:
            plan_digest: The plan.
            found: What the checks of step 3 said just now.
            now: Time, UTC.
        """
        refusal = found.refusal
        checks = "" if refusal is None else refusal.rule
        said = "" if refusal is None else f"{refusal} {refusal.remedy}".strip()

        def decide(history: tuple[Decision, ...]) -> Decision:
            verdict, rule, reason = self._outcome(_acts(history), checks, said, automatic=found.automatic)
            if verdict is Verdict.PENDING:
                reason = f"{reason} Why a person: {'; '.join(found.persons_reasons)}."
            by_itself = verdict is Verdict.APPROVED and found.automatic and not _approvers(history)
            decision = Decision(
                plan_digest=plan_digest,
                title=found.title,
                verdict=verdict,
                rule=rule,
                reason=reason,
                extract_date="" if found.extract_date is None else found.extract_date.isoformat(),
                decided_at=time_text(now),
                act=Act.REVIEW,
                checks=checks,
                automatic=found.automatic,
                red_lines=found.red_lines,
                answers=found.answers if by_itself else {},
                basis=found.basis if by_itself else "",
                repeat=found.repeat,
            )
            return history[-1] if history and _same(history[-1], decision) else decision

        return self._settle(plan_digest, decide, now)

    def check_approved(self, plan_digest: Digest) -> Decision:
        """The decision that lets a round begin or go on. Run at each invitation, and again before data is read.

        Raises:
            PolicyRefusal: `not_approved` when nobody has decided, else the rule of the refusal.
        """
        history = self.history(plan_digest)
        if not history or history[-1].verdict is Verdict.PENDING:
            raise PolicyRefusal(NOT_APPROVED, "This council has not approved the question.", remedy="Wait for it.")
        if history[-1].verdict is Verdict.REFUSED:
            raise PolicyRefusal(history[-1].rule, history[-1].reason)
        return history[-1]

    # What people do

    def approve(
        self,
        plan_digest: Digest,
        *,
        by: str,
        role: str,
        reason: str,
        answers: Mapping[str, bool] | None = None,
        forum: str = "",
        now: datetime,
    ) -> Decision:
        """Approve a question, in one role. With several roles needed, it stays pending until each has approved.

        Args:
            plan_digest: The question.
            by: Who approves.
            role: In which role.
            reason: Why; may be empty.
            answers: For each red line that was not computed: whether it holds, by the judgement of who approves.
            forum: A forum's decision that this follows, if any.
            now: Time, UTC.

        Raises:
            FileProblem: No such proposal, no name or role was given, or a red line is unanswered or does not hold.
            PolicyRefusal: The checks refuse it, by their rule: nobody can approve over that.
        """
        act = _PersonsAct(act=Act.APPROVE, by=by, role=role, note=reason, answers=answers or {}, forum=forum)
        return self._act(act, plan_digest, now)

    def refuse(
        self,
        plan_digest: Digest,
        *,
        by: str,
        role: str,
        reason: str,
        answers: Mapping[str, bool] | None = None,
        forum: str = "",
        now: datetime,
    ) -> Decision:
        """Refuse a question; the reason is sent to whoever asked. It can be approved later on.

        Raises:
            FileProblem: No such proposal, no reason, name or role was given, or it is approved: withdraw it.
        """
        act = _PersonsAct(act=Act.REFUSE, by=by, role=role, note=reason, answers=answers or {}, forum=forum)
        return self._act(act, plan_digest, now)

    def withdraw(self, plan_digest: Digest, *, by: str, role: str, reason: str, now: datetime) -> Decision:
        """Take an approval back. It holds for every round whose charge is not yet spent.

        Raises:
            FileProblem: No such proposal, no reason, name or role was given, or it is not approved.
        """
        return self._act(_PersonsAct(act=Act.WITHDRAW, by=by, role=role, note=reason), plan_digest, now)

    # Reading

    def latest(self, plan_digest: Digest) -> Decision | None:
        """Where a proposal stands."""
        document = self._store.latest(DocumentKind.DECISION, plan_digest.hex())
        return None if document is None else read_decision(document.body)

    def history(self, plan_digest: Digest) -> tuple[Decision, ...]:
        """Every act on a proposal, oldest first."""
        documents = self._store.history(DocumentKind.DECISION, plan_digest.hex())
        return tuple(read_decision(document.body) for document in documents)

    def all_latest(self) -> Iterator[Decision]:
        """Where each proposal stands."""
        return (read_decision(document.body) for document in self._store.all_latest(DocumentKind.DECISION))

    def pending(self) -> tuple[Decision, ...]:
        """Proposals that wait for a person."""
        return tuple(decision for decision in self.all_latest() if decision.verdict is Verdict.PENDING)

    def full_approval(self, history: Sequence[Decision]) -> tuple[Decision, ...]:
        """The approvals by people that count today, once everybody who is needed has given theirs; else none."""
        return () if self._still_needed(_acts(history)) else _approvers(history)

    # Inside

    def _act(self, done: "_PersonsAct", plan_digest: Digest, now: datetime) -> Decision:
        done.check_complete()

        def decide(history: tuple[Decision, ...]) -> Decision:
            reviewed = _last_review(history, plan_digest)
            _check_possible(done, reviewed, history[-1].verdict)
            acts = (*_acts(history), (done.act, done.role, done.note))
            verdict, rule, reason = self._outcome(acts, reviewed.checks, reviewed.reason, automatic=reviewed.automatic)
            return replace(
                reviewed,
                verdict=verdict,
                rule=rule,
                reason=reason,
                decided_at=time_text(now),
                act=done.act,
                by=done.by,
                role=done.role,
                note=done.note,
                answers={name: "yes" if holds else "no" for name, holds in done.answers.items()},
                forum=done.forum,
                basis="",
            )

        return self._settle(plan_digest, decide, now)

    def _outcome(self, acts: Acts, checks: str, said: str, *, automatic: bool) -> tuple[Verdict, str, str]:
        """(verdict, rule, reason) after these acts; a refusal by the checks stands above what people did."""
        if checks:
            return Verdict.REFUSED, checks, said
        people = [act for act in acts if act[0] is not Act.REVIEW]
        if people and people[-1][0] in {Act.REFUSE, Act.WITHDRAW}:
            rule = DECLINED if people[-1][0] is Act.REFUSE else WITHDRAWN
            return Verdict.REFUSED, rule, people[-1][2]
        missing = self._still_needed(people)
        if automatic or not missing:
            return Verdict.APPROVED, "", ""
        return Verdict.PENDING, "", f"Still to approve it: {', '.join(sorted(missing))}."

    def _still_needed(self, people: Acts) -> frozenset[str]:
        """Roles whose approval is missing; approvals from before a refusal or withdrawal no longer count."""
        given: frozenset[str] = frozenset()
        for act, role, _ in people:
            if act is not Act.REVIEW:
                given = given | {_role(role)} if act is Act.APPROVE else frozenset()
        if self._needed:
            return self._needed - given
        return frozenset() if given else frozenset({"a person at the council"})

    def _settle(
        self, plan_digest: Digest, decide: Callable[[tuple[Decision, ...]], Decision], now: datetime
    ) -> Decision:
        """Decide on the history as it stands, again if another program added to it meanwhile, then sign and store.

        Signed before it is stored, and stored before it is sent: what was sent can always be shown.
        """
        while True:
            history = self.history(plan_digest)
            decision = decide(history)
            if decision in history:
                return decision
            decision = replace(
                decision,
                envelope=sign_statement(STATEMENT_KIND, decision.statement(self._council), self._key),
                record=sign_statement(RECORD_KIND, decision.full_statement(self._council), self._key),
            )
            try:
                self._store.put(DocumentKind.DECISION, plan_digest.hex(), decision.encode(), now, after=len(history))
            except StoreConflict:
                continue
            return decision


@dataclass(frozen=True, slots=True, kw_only=True)
class _PersonsAct:
    """What somebody did, as they gave it."""

    act: Act
    by: str
    role: str
    note: str
    answers: Mapping[str, bool] = field(default_factory=dict)
    forum: str = ""

    def check_complete(self) -> None:
        for option, text in {"by": self.by, "role": self.role, "reason": self.note}.items():
            if not text.strip() and not (option == "reason" and self.act is Act.APPROVE):
                raise FileProblem(f"The decision does not say its --{option}.", remedy=f"Add --{option}.")
        unknown = sorted(set(self.answers) - _RED_LINES)
        if unknown:
            raise FileProblem(
                f"There is no red line '{unknown[0]}'.", remedy=f"The seven are: {', '.join(sorted(_RED_LINES))}."
            )


def red_lines_to_answer(reviewed: Decision) -> tuple[str, ...]:
    """Red lines that whoever approves must answer; all seven where the record is too old to say."""
    if not reviewed.red_lines:
        return tuple(name for name, _ in RED_LINES)
    return tuple(name for name, _ in RED_LINES if reviewed.red_lines.get(name) != Standing.HOLDS)


def _acts(history: Sequence[Decision]) -> Acts:
    return [(item.act, item.role, item.note) for item in history]


def _approvers(history: Sequence[Decision]) -> tuple[Decision, ...]:
    """The approvals by people that count today: those since the last refusal or withdrawal."""
    counted: tuple[Decision, ...] = ()
    for item in history:
        if item.act is Act.APPROVE:
            counted = (*counted, item)
        elif item.act is not Act.REVIEW:
            counted = ()
    return counted


def _same(last: Decision, now: Decision) -> bool:
    """Whether another review would say nothing new."""
    return all(
        getattr(last, name) == getattr(now, name)
        for name in ("verdict", "rule", "reason", "extract_date", "automatic", "red_lines", "repeat")
    )


def _last_review(history: Sequence[Decision], plan_digest: Digest) -> Decision:
    for item in reversed(history):
        if item.act is Act.REVIEW:
            return item
    raise FileProblem(
        f"No question with the digest {plan_digest.hex()} has been proposed to this council.",
        remedy="`council-node status` lists the questions that wait.",
    )


def _check_possible(done: _PersonsAct, reviewed: Decision, standing: Verdict) -> None:
    if done.act is Act.APPROVE:
        if reviewed.checks:
            raise PolicyRefusal(reviewed.checks, reviewed.reason, remedy="Nobody can approve over a failed check.")
        _check_answers(done, reviewed)
    if done.act is Act.REFUSE and standing is Verdict.APPROVED:
        raise FileProblem("This question is approved.", remedy="Use `council-node withdraw` to take that back.")
    if done.act is Act.WITHDRAW and standing is not Verdict.APPROVED:
        raise FileProblem("This question is not approved.", remedy="Use `council-node refuse` to refuse it.")


def _check_answers(done: _PersonsAct, reviewed: Decision) -> None:
    """Each red line that is a judgement is answered by whoever approves, and by yes (requirement R65)."""
    crossed = sorted(name for name, holds in done.answers.items() if not holds)
    if crossed:
        raise FileProblem(
            f"You answered no to the red line '{crossed[0]}', and nobody can approve over a red line.",
            remedy="Use `council-node refuse`, with the same answers.",
        )
    missing = [name for name in red_lines_to_answer(reviewed) if name not in done.answers]
    if missing:
        raise FileProblem(
            f"{len(missing)} red line(s) are not answered: {', '.join(missing)}.",
            remedy=f"Read them with `council-node question`, then add --answer {missing[0]}=yes, one for each.",
        )


def _role(text: str) -> str:
    return " ".join(text.casefold().split())
