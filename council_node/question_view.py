"""What waits for a decision at this council, and one question with all that a person needs to decide on it.

Read from the node's files while the node runs: nothing here changes anything, and no case is looked at.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from council_node.agreements import agreement_path
from council_node.decision_records import Act, read_decision
from council_node.decisions import Decision, red_lines_to_answer
from council_node.ledger import Ledger, period_of
from council_node.node_store import DocumentKind, NodeStore
from council_node.policy import class_2_columns
from council_node.policy_file import Policy, read_policy
from council_node.settings import Settings
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.attacker_words import attacker_words, shown_down
from federated.errors import FileProblem, PolicyRefusal
from federated.ledger_entries import RoundState
from federated.manifest import MANIFEST_TYPE, Manifest, parse_manifest
from federated.plan import PLAN_TYPE, Plan, open_plan
from federated.privacy import Budget, Totals, remaining
from federated.question_words import Section, question_sections
from federated.red_lines import RedLine, red_lines
from federated.roster import open_roster
from federated.schema import Schema, load_schema
from federated.signing import unsafe_payload
from protocols.identifiers import CouncilId, Digest

__all__ = ["QuestionView", "Signed", "find_question", "view_question", "waiting_first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The signed files of a question as received."""

    plan: bytes
    manifest: bytes
    agreement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionView:
    """One question as its decider sees it.

    Attributes:
        plan: The plan.
        manifest: Its manifest.
        decision: Where it stands here.
        history: Every act on it here, oldest first.
        sections: The question in plain words, the same for every council.
        own: What is this council's alone: where it stands, what remains, what has to be answered.
        lines: The seven red lines.
        to_answer: Those that whoever approves must answer.
        signed: The files it came in.
    """

    plan: Plan
    manifest: Manifest
    decision: Decision
    history: tuple[Decision, ...]
    sections: tuple[Section, ...]
    own: tuple[Section, ...]
    lines: tuple[RedLine, ...]
    to_answer: tuple[str, ...]
    signed: Signed

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {
            "version": 1,
            "plan_digest": self.plan.digest.hex(),
            "title": self.plan.question.title,
            "decision": self.decision.verdict.value,
            "rule": self.decision.rule,
            "reason": self.decision.reason,
            "columns": sorted(self.plan.question.columns()),
            "red_lines": [
                {"name": line.name, "standing": line.standing.value, "found": list(line.found)} for line in self.lines
            ],
            "to_answer": list(self.to_answer),
            "sections": [{"title": part.title, "lines": list(part.lines)} for part in (*self.sections, *self.own)],
        }


def find_question(store: NodeStore, text: str) -> Digest:
    """The proposed question whose digest begins so.

    Raises:
        FileProblem: There is none, or there are several.
    """
    found = [item.name for item in store.all_latest(DocumentKind.DECISION) if item.name.startswith(text.lower())]
    if len(found) != 1:
        raise FileProblem(
            f"{len(found)} proposed questions have a digest that begins with '{text}'.",
            remedy="`council-node questions` lists them; give more digits.",
        )
    return Digest(bytes.fromhex(found[0]))


def waiting_first(store: NodeStore) -> tuple[Decision, ...]:
    """The latest decision on each question: those that wait before all others, the newest first."""
    found = [read_decision(item.body) for item in store.all_latest(DocumentKind.DECISION)]
    newest = sorted(found, key=lambda item: item.decided_at, reverse=True)
    return tuple(sorted(newest, key=lambda item: item.verdict.value != "pending"))


def view_question(settings: Settings, store: NodeStore, digest: Digest, now: datetime) -> QuestionView:
    """Read a question from the node's files.

    Args:
        settings: Of the node.
        store: Its store.
        digest: The plan's digest.
        now: Time, UTC; its year is the one whose budget is shown.

    Raises:
        FileProblem: The question was never proposed here, or its time is over and it was purged.
        PolicyRefusal: The list of councils or the agreement is another one by now, so it cannot be answered any more.
    """
    history = tuple(read_decision(item.body) for item in store.history(DocumentKind.DECISION, digest.hex()))
    signed, agreement = _papers(settings, store, digest)
    schema = load_schema()
    plan = _plan(settings, store, signed, agreement, schema)
    manifest = parse_manifest(unsafe_payload(signed.manifest, MANIFEST_TYPE))
    decision = history[-1]
    dataset = schema.dataset(plan.question.dataset)
    sensitive = bool(class_2_columns(dataset, plan.question.columns()))
    remains = _remains(settings, plan, agreement, sensitive=sensitive, now=now)
    return QuestionView(
        plan=plan,
        manifest=manifest,
        decision=decision,
        history=history,
        sections=question_sections(plan, manifest, agreement, schema),
        own=(
            Section(title="Where it stands here", lines=_standing(history, read_policy(settings.policy))),
            Section(title="What remains after it, here", lines=remains),
        ),
        lines=red_lines(plan.question, manifest, agreement=agreement, dataset=dataset),
        to_answer=red_lines_to_answer(decision),
        signed=signed,
    )


def _papers(settings: Settings, store: NodeStore, digest: Digest) -> tuple[Signed, Agreement]:
    document = store.latest(DocumentKind.PROPOSAL, digest.hex())
    if document is None:
        raise FileProblem(
            "The files of this question are not kept here any more.", remedy="Its decisions are: see `status`."
        )
    body = json.loads(document.body)
    plan = body["plan"].encode("utf-8")
    name = str(json.loads(unsafe_payload(plan, PLAN_TYPE))["agreement"]["id"])
    path = agreement_path(settings, name)
    try:
        envelope = path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: the agreement cannot be read ({error.strerror}).") from error
    # Our own pinned file: its signatures were checked when it was accepted, and are again for each question.
    agreement = parse_agreement(unsafe_payload(envelope, AGREEMENT_TYPE), source=str(path))
    return Signed(plan=plan, manifest=body["manifest"].encode("utf-8"), agreement=envelope), agreement


def _plan(settings: Settings, store: NodeStore, signed: Signed, agreement: Agreement, schema: Schema) -> Plan:
    kept = store.latest(DocumentKind.ROSTER, "current")
    if kept is None:
        raise PolicyRefusal("roster", "This council has no list of councils yet.")
    roster = open_roster(kept.body, settings.trust, kept.saved_at, None)
    return open_plan(unsafe_payload(signed.plan, PLAN_TYPE), agreement=agreement, roster=roster, schema=schema)


def _standing(history: tuple[Decision, ...], policy: Policy) -> tuple[str, ...]:
    last = history[-1]
    lines = [f"{last.verdict.value.capitalize()}. {last.reason}".strip()]
    if last.basis:
        lines.append(f"It rests on {last.basis}.")
    if policy.approvals_needed:
        lines.append(f"Roles that must each approve here: {', '.join(policy.approvals_needed)}.")
    for item in history:
        if item.act is not Act.REVIEW:
            forum = f" Forum: {item.forum}." if item.forum else ""
            lines.append(f"{item.decided_at}: {item.act.value} by {item.by}, {item.role}. {item.note}{forum}".strip())
    unanswered = red_lines_to_answer(last)
    if last.verdict.value == "pending":
        lines.append(f"Red lines that whoever approves must answer: {', '.join(unanswered)}.")
    return tuple(lines)


def _remains(
    settings: Settings, plan: Plan, agreement: Agreement, *, sensitive: bool, now: datetime
) -> tuple[str, ...]:
    policy = read_policy(settings.policy)
    year = period_of(now)
    spent = _spending(settings, agreement, plan, year)
    budget = Budget(epsilon=agreement.budget_epsilon, delta=agreement.budget_delta)
    lines = [_left(f"Under this agreement in {year}", spent.under_agreement, budget)]
    if policy.year_cap is not None:
        lines.append(_left(f"Of this council's own cap for {year}", spent.in_all, policy.year_cap))
    if policy.class_2_year_cap is not None and sensitive:
        where = f"Of the cap for the most sensitive columns in {year}"
        lines.append(_left(where, spent.on_class_2, policy.class_2_year_cap))
    what = f"all answers of {year} under all agreements, this one included,"
    lines += attacker_words(spent.in_all, plan.delta, plan.question.unit, what=what)[:2]
    return tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spending:
    """What a year has cost with this question in it: spent, reserved, and its charge unless that is among them."""

    under_agreement: Totals
    in_all: Totals
    on_class_2: Totals


def _spending(settings: Settings, agreement: Agreement, plan: Plan, year: str) -> _Spending:
    under = in_all = on_class_2 = Totals()
    charged = False
    if settings.ledger_file.exists():
        with Ledger.read_only(settings.ledger_file, CouncilId(settings.council.id)) as ledger:
            under, in_all = ledger.committed(agreement.id, year), ledger.committed_in(year)
            on_class_2 = ledger.committed_in(year, class_2=True)
            charged = any(
                item.plan_digest == plan.digest and item.state is not RoundState.RELEASED for item in ledger.rounds()
            )
    if charged:
        return _Spending(under_agreement=under, in_all=in_all, on_class_2=on_class_2)
    return _Spending(
        under_agreement=under.plus(plan.charge),
        in_all=in_all.plus(plan.charge),
        on_class_2=on_class_2.plus(plan.charge),
    )


def _left(where: str, after: Totals, budget: Budget) -> str:
    left = remaining(after, budget)
    return (
        f"{where}, room for one more question of epsilon {shown_down(left.epsilon)}, or of rho "
        f"{shown_down(left.rho, decimals=6)} (of epsilon {shown_down(budget.epsilon)} in all)."
    )
