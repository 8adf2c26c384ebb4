"""What this council answers to each proposed question: `approved`, `refused` or `pending`, signed and stored.

Two things make a decision: what the checks of step 3 said last, and what people at the council did. A refusal by the
checks comes first, and stands for as long as they refuse; nobody can approve over it. Automatic approval is the same
path without the wait. Every act stays in the store with who did it and why (requirement R9); names stay here, and
only the decision, its rule and its reason are sent. No decision looks at a case value.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final, TypeAlias

from council_node.decision_records import Act, Decision, Verdict, read_decision
from council_node.node_store import DocumentKind, NodeStore, StoreConflict
from federated.errors import FileProblem, PolicyRefusal
from federated.keys import SigningKey
from federated.signing import sign_statement
from federated.timestamps import time_text
from protocols.identifiers import CouncilId, Digest

__all__ = ["Act", "Decision", "Decisions", "Verdict"]

STATEMENT_KIND: Final = "decision"
DECLINED: Final = "declined"
WITHDRAWN: Final = "withdrawn"
NOT_APPROVED: Final = "not_approved"

Acts: TypeAlias = Sequence[tuple[Act, str, str]]
"""(act, role, note) of each act, oldest first."""


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

    def consider(
        self,
        plan_digest: Digest,
        *,
        title: str,
        refusal: PolicyRefusal | None,
        persons_reasons: Sequence[str],
        extract_date: date | None,
        now: datetime,
    ) -> Decision:
        """Answer a proposal, first or repeated. The same state of affairs gives the very same signed bytes.

        Args:
            plan_digest: The plan.
            title: Title of its question.
            refusal: What the checks of step 3 said just now; None when every one passed.
            persons_reasons: Why a person must decide (`council_node.policy.persons_reasons`); empty for automatic.
            extract_date: Date of the extract, if there is one.
            now: Time, UTC.
        """
        checks = "" if refusal is None else refusal.rule
        said = "" if refusal is None else f"{refusal} {refusal.remedy}".strip()
        dated = "" if extract_date is None else extract_date.isoformat()

        def decide(history: tuple[Decision, ...]) -> Decision:
            verdict, rule, reason = self._outcome(_acts(history), checks, said, automatic=not persons_reasons)
            if verdict is Verdict.PENDING:
                reason = f"{reason} Why a person: {'; '.join(persons_reasons)}."
            if history:
                last = history[-1]
                if (last.verdict, last.rule, last.reason, last.extract_date) == (verdict, rule, reason, dated):
                    return last
            return Decision(
                plan_digest=plan_digest,
                title=title,
                verdict=verdict,
                rule=rule,
                reason=reason,
                extract_date=dated,
                decided_at=time_text(now),
                act=Act.REVIEW,
                checks=checks,
                automatic=not persons_reasons,
            )

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

    def approve(self, plan_digest: Digest, *, by: str, role: str, reason: str, now: datetime) -> Decision:
        """Approve a question, in one role. With several roles needed, it stays pending until each has approved.

        Raises:
            FileProblem: No such proposal, or no name or role was given.
            PolicyRefusal: The checks refuse it, by their rule: nobody can approve over that.
        """
        return self._act(Act.APPROVE, plan_digest, by=by, role=role, note=reason, now=now)

    def refuse(self, plan_digest: Digest, *, by: str, role: str, reason: str, now: datetime) -> Decision:
        """Refuse a question; the reason is sent to whoever asked. It can be approved later on.

        Raises:
            FileProblem: No such proposal, no reason, name or role was given, or it is approved: withdraw it.
        """
        return self._act(Act.REFUSE, plan_digest, by=by, role=role, note=reason, now=now)

    def withdraw(self, plan_digest: Digest, *, by: str, role: str, reason: str, now: datetime) -> Decision:
        """Take an approval back. It holds for every round whose charge is not yet spent.

        Raises:
            FileProblem: No such proposal, no reason, name or role was given, or it is not approved.
        """
        return self._act(Act.WITHDRAW, plan_digest, by=by, role=role, note=reason, now=now)

    # Reading

    def latest(self, plan_digest: Digest) -> Decision | None:
        """Where a proposal stands."""
        document = self._store.latest(DocumentKind.DECISION, plan_digest.hex())
        return None if document is None else read_decision(document.body)

    def history(self, plan_digest: Digest) -> tuple[Decision, ...]:
        """Every act on a proposal, oldest first."""
        documents = self._store.history(DocumentKind.DECISION, plan_digest.hex())
        return tuple(read_decision(document.body) for document in documents)

    def pending(self) -> tuple[Decision, ...]:
        """Proposals that wait for a person."""
        found = (read_decision(document.body) for document in self._store.all_latest(DocumentKind.DECISION))
        return tuple(decision for decision in found if decision.verdict is Verdict.PENDING)

    # Inside

    def _act(self, act: Act, plan_digest: Digest, *, by: str, role: str, note: str, now: datetime) -> Decision:
        for option, text in {"by": by, "role": role, "reason": note}.items():
            if not text.strip() and not (option == "reason" and act is Act.APPROVE):
                raise FileProblem(f"The decision does not say its --{option}.", remedy=f"Add --{option}.")

        def decide(history: tuple[Decision, ...]) -> Decision:
            reviewed = _last_review(history, plan_digest)
            _check_possible(act, reviewed, history[-1].verdict)
            acts = (*_acts(history), (act, role, note))
            verdict, rule, reason = self._outcome(acts, reviewed.checks, reviewed.reason, automatic=reviewed.automatic)
            return replace(
                reviewed,
                verdict=verdict,
                rule=rule,
                reason=reason,
                decided_at=time_text(now),
                act=act,
                by=by,
                role=role,
                note=note,
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
            signed = sign_statement(STATEMENT_KIND, decision.statement(self._council), self._key)
            decision = replace(decision, envelope=signed)
            try:
                self._store.put(DocumentKind.DECISION, plan_digest.hex(), decision.encode(), now, after=len(history))
            except StoreConflict:
                continue
            return decision


def _acts(history: Sequence[Decision]) -> Acts:
    return [(item.act, item.role, item.note) for item in history]


def _last_review(history: Sequence[Decision], plan_digest: Digest) -> Decision:
    for item in reversed(history):
        if item.act is Act.REVIEW:
            return item
    raise FileProblem(
        f"No question with the digest {plan_digest.hex()} has been proposed to this council.",
        remedy="`council-node status` lists the questions that wait.",
    )


def _check_possible(act: Act, reviewed: Decision, standing: Verdict) -> None:
    if act is Act.APPROVE and reviewed.checks:
        raise PolicyRefusal(reviewed.checks, reviewed.reason, remedy="Nobody can approve over a failed check.")
    if act is Act.REFUSE and standing is Verdict.APPROVED:
        raise FileProblem("This question is approved.", remedy="Use `council-node withdraw` to take that back.")
    if act is Act.WITHDRAW and standing is not Verdict.APPROVED:
        raise FileProblem("This question is not approved.", remedy="Use `council-node refuse` to refuse it.")


def _role(text: str) -> str:
    return " ".join(text.casefold().split())
