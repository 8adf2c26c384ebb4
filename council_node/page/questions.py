"""Pages of the questions put to this council: what waits, why it is asked, and the form that decides."""

from dataclasses import dataclass
from typing import Any, Final

from council_node.decisions import Decision, Decisions, Verdict
from council_node.node_store import NodeStore
from council_node.page.desk import Asked, Desk, part_of
from council_node.page.proposed import read_proposed
from council_node.policy_file import read_policy
from council_node.status import node_status
from federated.clauses import MEANINGS
from federated.errors import FileProblem
from federated.keys import read_private_key
from federated.manifest import RED_LINES
from protocols.identifiers import Digest

__all__ = ["check", "record", "show_list", "show_one"]

SIZE: Final = 50
LONGEST: Final = {"name": 100, "role": 100, "reason": 1000}
DIGEST_DIGITS: Final = 64
ACTS: Final = {"approve": "Approve", "refuse": "Refuse", "withdraw": "Take the approval back"}
"""What people can do, as the form names it; the keys are those of `council_node.decisions.Act`."""
POSSIBLE: Final = {
    Verdict.PENDING: ("approve", "refuse"),
    Verdict.REFUSED: ("approve",),
    Verdict.APPROVED: ("withdraw",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The decision form as somebody filled it in."""

    act: str = ""
    name: str = ""
    role: str = ""
    reason: str = ""

    @classmethod
    def read(cls, form: Any) -> "Filled":
        """From the fields sent."""
        return cls(**{name: " ".join(form.get(name, "").split()) for name in cls.__dataclass_fields__})

    def errors(self, possible: tuple[str, ...]) -> dict[str, str]:
        """What is missing or too long, by field, in the order of the form."""
        found = {}
        if self.act not in possible:
            found["act"] = "Choose what you decide"
        for field, what in {"name": "your name", "role": "your role"}.items():
            if not getattr(self, field):
                found[field] = f"Enter {what}"
        if not self.reason and self.act != "approve":
            found["reason"] = "Enter why, in a sentence"
        for field, most in LONGEST.items():
            if len(getattr(self, field)) > most:
                found[field] = f"Shorten this to {most} characters"
        return found


def show_list(desk: Desk, asked: Asked) -> str:
    """Every question: those that wait first."""
    decisions = node_status(desk.settings).decisions
    waiting = [item for item in decisions if item.verdict is Verdict.PENDING]
    others = [item for item in decisions if item.verdict is not Verdict.PENDING]
    shown, pages = part_of(
        len(others), SIZE, asked.wanted.get("page", ""), lambda number: f"{desk.link('questions')}?page={number}"
    )
    return desk.page(
        "questions.html", title="Questions", current="questions", waiting=waiting, others=others[shown], pages=pages
    )


def show_one(desk: Desk, asked: Asked) -> str:
    """One question with its form."""
    recorded = asked.wanted.get("recorded") == "yes"
    return _question(desk, _digest(asked), Filled(), {}, recorded=recorded)


def check(desk: Desk, asked: Asked) -> str:
    """The form, sent: shown again with what is missing, or what will be recorded, to be confirmed."""
    digest, filled = _digest(asked), Filled.read(asked.form)
    with desk.store() as store:
        decision = _latest(desk, store, digest)
    errors = filled.errors(POSSIBLE[decision.verdict])
    if errors or asked.form.get("step") == "change":
        return _question(desk, digest, filled, errors if asked.form.get("step") != "change" else {})
    return desk.page(
        "confirm.html",
        title="Check your decision",
        current="questions",
        decision=decision,
        filled=filled,
        act=ACTS[filled.act],
        token=desk.door.form_token,
    )


def record(desk: Desk, asked: Asked) -> str:
    """The confirmed form: recorded and signed exactly as the commands `approve`, `refuse` and `withdraw` do."""
    digest, filled = _digest(asked), Filled.read(asked.form)
    with desk.store() as store:
        errors = filled.errors(POSSIBLE[_latest(desk, store, digest).verdict])
        if not errors:
            acts = _decisions(desk, store)
            act = {"approve": acts.approve, "refuse": acts.refuse, "withdraw": acts.withdraw}[filled.act]
            act(digest, by=filled.name, role=filled.role, reason=filled.reason, now=desk.clock())
    if errors:
        return _question(desk, digest, filled, errors)
    return f"{desk.link('questions', digest.hex())}?recorded=yes"


def _question(desk: Desk, digest: Digest, filled: Filled, errors: dict[str, str], *, recorded: bool = False) -> str:
    with desk.store() as store:
        history = _decisions(desk, store).history(digest)
        decision = _latest(desk, store, digest)
        proposed = read_proposed(store, digest)
    needed = read_policy(desk.settings.policy).approvals_needed
    return desk.page(
        "question.html",
        title=decision.title,
        current="questions",
        decision=decision,
        history=history,
        proposed=proposed,
        fields=() if proposed is None else proposed.fields(desk.schema),
        needed=needed,
        meanings=MEANINGS,
        red_lines=RED_LINES,
        possible={act: ACTS[act] for act in POSSIBLE[decision.verdict]} if not decision.checks else {},
        filled=filled,
        errors=errors,
        recorded=recorded,
        token=desk.door.form_token,
    )


def _latest(desk: Desk, store: NodeStore, digest: Digest) -> Decision:
    found = _decisions(desk, store).latest(digest)
    if found is None:
        raise FileProblem("This question was never put to this council.", remedy="The list of questions has all.")
    return found


def _decisions(desk: Desk, store: NodeStore) -> Decisions:
    needed = read_policy(desk.settings.policy).approvals_needed
    return Decisions(store, desk.council, read_private_key(desk.settings.keys.identity), needed)


def _digest(asked: Asked) -> Digest:
    text = asked.names["plan"]
    try:
        if len(text) == DIGEST_DIGITS:
            return Digest(bytes.fromhex(text))
    except ValueError:
        pass
    raise FileProblem("The address names no question.", remedy="The list of questions has all.")
