"""Pages of the questions put to this council: what waits, why it is asked, and the form that decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from council_node.decisions import Act, Decision, Decisions, Verdict, red_lines_to_answer
from council_node.node_store import NodeStore
from council_node.page.desk import NO_ERRORS, Asked, Desk
from council_node.policy_file import read_policy
from council_node.question_view import QuestionView, view_question, waiting_first
from federated.errors import FederatedError, FileProblem
from federated.keys import read_private_key
from federated.manifest import RED_LINES
from federated.pages import part_of
from protocols.identifiers import Digest

__all__ = ["check", "record", "show_list", "show_one"]

SIZE: Final = 50
LONGEST: Final = {"by": 100, "role": 100, "reason": 1000, "forum": 300}
DIGEST_DIGITS: Final = 64
WORDS: Final = {Act.APPROVE: "Approve", Act.REFUSE: "Refuse", Act.WITHDRAW: "Take the approval back"}
"""What people can do, as the form names it."""
POSSIBLE: Final = {
    Verdict.PENDING: (Act.APPROVE, Act.REFUSE),
    Verdict.REFUSED: (Act.APPROVE,),
    Verdict.APPROVED: (Act.WITHDRAW,),
}
LINE: Final = "line_"
"""What the fields of the red lines begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The decision form as somebody filled it in; the fields are those of the commands."""

    act: str = ""
    by: str = ""
    role: str = ""
    reason: str = ""
    forum: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, form: Mapping[str, str]) -> "Filled":
        """From the fields sent; surplus blanks and line breaks do not count."""
        texts = {name: " ".join(form.get(name, "").split()) for name in ("act", *LONGEST)}
        names = [name for name, _ in RED_LINES]
        return cls(answers={name: form[LINE + name] for name in names if form.get(LINE + name)}, **texts)

    @property
    def fields(self) -> dict[str, str]:
        """As they were sent."""
        texts = {name: str(getattr(self, name)) for name in ("act", *LONGEST)}
        return texts | {LINE + name: said for name, said in self.answers.items()}

    def errors(self, decision: Decision) -> dict[str, str]:
        """What is missing, too long or stands in the way, by field, in the order of the form."""
        found = {}
        if self.act not in POSSIBLE[decision.verdict]:
            found["act"] = "Choose what you decide"
        if self.act == Act.APPROVE:
            found |= self._line_errors(red_lines_to_answer(decision))
        for name, what in {"by": "your name", "role": "your role"}.items():
            if not getattr(self, name):
                found[name] = f"Enter {what}"
        if not self.reason and self.act != Act.APPROVE:
            found["reason"] = "Enter why, in a sentence"
        for name, most in LONGEST.items():
            if len(getattr(self, name)) > most:
                found[name] = f"Shorten this to {most} characters"
        return found

    def _line_errors(self, to_answer: tuple[str, ...]) -> dict[str, str]:
        said = {name: self.answers.get(name) for name in to_answer}
        return {
            LINE + name: "Answer this red line" if answer is None else "A question that crosses this is only refused"
            for name, answer in said.items()
            if answer != "yes"
        }


def show_list(desk: Desk, asked: Asked) -> str:
    """Every question: those that wait first."""
    with desk.store() as store:
        decisions = waiting_first(store)
    waiting = [item for item in decisions if item.verdict is Verdict.PENDING]
    others = decisions[len(waiting) :]
    shown, pages = part_of(
        len(others), SIZE, asked.wanted.get("page", ""), lambda number: f"{desk.link('questions')}?page={number}"
    )
    return desk.page(
        "questions.html", title="Questions", current="questions", waiting=waiting, others=others[shown], pages=pages
    )


def show_one(desk: Desk, asked: Asked) -> str:
    """One question with its form."""
    return _question(desk, _digest(asked), Filled(), recorded=asked.wanted.get("recorded") == "yes")


def check(desk: Desk, asked: Asked) -> str:
    """The form, sent: shown again with what is missing, or what will be recorded, to be confirmed."""
    digest, filled = _digest(asked), Filled.read(asked.form)
    with desk.store() as store:
        decision = _latest(desk, store, digest)
    changing = asked.form.get("step") == "change"
    errors = {} if changing else filled.errors(decision)
    if errors or changing:
        return _question(desk, digest, filled, errors)
    return desk.page(
        "confirm.html",
        title="Check your decision",
        current="questions",
        decision=decision,
        filled=filled,
        act=WORDS[Act(filled.act)],
        answered=[(must, filled.answers[name]) for name, must in RED_LINES if name in filled.answers],
        token=desk.door.form_token,
    )


def record(desk: Desk, asked: Asked) -> str:
    """The confirmed form: recorded and signed exactly as the commands `approve`, `refuse` and `withdraw` do."""
    digest, filled = _digest(asked), Filled.read(asked.form)
    with desk.store() as store:
        errors = filled.errors(_latest(desk, store, digest))
        if not errors:
            _act(_decisions(desk, store), digest, filled, desk)
    if errors:
        return _question(desk, digest, filled, errors)
    return f"{desk.link('questions', digest.hex())}?recorded=yes"


def _act(decisions: Decisions, digest: Digest, filled: Filled, desk: Desk) -> None:
    by, role, reason, now = filled.by, filled.role, filled.reason, desk.clock()
    answers = {name: said == "yes" for name, said in filled.answers.items()}
    match Act(filled.act):
        case Act.APPROVE:
            decisions.approve(digest, by=by, role=role, reason=reason, answers=answers, forum=filled.forum, now=now)
        case Act.REFUSE:
            decisions.refuse(digest, by=by, role=role, reason=reason, answers=answers, forum=filled.forum, now=now)
        case _:
            decisions.withdraw(digest, by=by, role=role, reason=reason, now=now)


def _question(
    desk: Desk, digest: Digest, filled: Filled, errors: Mapping[str, str] = NO_ERRORS, *, recorded: bool = False
) -> str:
    view: QuestionView | None = None
    unreadable = ""
    with desk.store() as store:
        decision = _latest(desk, store, digest)
        history = _decisions(desk, store).history(digest)
        try:
            view = view_question(desk.settings, store, digest, desk.clock())
        except FederatedError as error:
            unreadable = error.diagnostics()
    # Nobody approves what they cannot read.
    acts = [act for act in POSSIBLE[decision.verdict] if view is not None or act is not Act.APPROVE]
    must_be_true = dict(RED_LINES)
    return desk.page(
        "question.html",
        title=decision.title,
        current="questions",
        decision=decision,
        history=history,
        sections=() if view is None else (*view.sections, *view.own[1:]),
        unreadable=unreadable,
        needed=read_policy(desk.settings.policy).approvals_needed,
        possible={} if decision.checks else {act.value: WORDS[act] for act in acts},
        lines={LINE + name: must_be_true[name] for name in red_lines_to_answer(decision)},
        filled=filled.fields,
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
