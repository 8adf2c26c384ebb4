import json
import random
from datetime import UTC, date, datetime, timedelta

import pytest

from council_node.decision_records import Act, Verdict, read_decision
from council_node.decisions import Considered, Decisions, red_lines_to_answer
from council_node.node_store import DocumentKind, NodeStore
from council_node.standing_approvals import said_of_repeats
from federated.errors import FileProblem, PolicyRefusal
from federated.keys import make_key, trusted_keys
from federated.manifest import RED_LINES
from federated.signing import open_statement
from protocols.encoding import sha256
from protocols.identifiers import CouncilId

ME = CouncilId("E06000001")
KEY = make_key(random.Random(7).randbytes)
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
PLAN, OTHER = sha256(b"plan"), sha256(b"other plan")
WHY = ("this council decides on every question",)
PERSON = {"by": "A. Officer", "role": "Data protection officer", "reason": "the purpose is clear"}


@pytest.fixture
def store(tmp_path):
    with NodeStore.open(tmp_path / "node.db") as opened:
        yield opened


@pytest.fixture
def decisions(store):
    return Decisions(store, ME, KEY)


HOLDING = {name: "holds" for name, _ in RED_LINES}


def consider(
    decisions, plan=PLAN, *, refusal=None, why=WHY, extract=date(2026, 2, 1), now=NOW, red_lines=HOLDING, **more
):
    found = Considered(
        title="A question",
        refusal=refusal,
        persons_reasons=why,
        red_lines=red_lines,
        extract_date=extract,
        **more,
    )
    return decisions.consider(plan, found, now)


def expired():
    return PolicyRefusal("plan_expired", "The plan has expired.", remedy="Plan it again.")


def opened(decision):
    return open_statement("decision", decision.envelope, trusted_keys(KEY.public))


def test_a_question_waits_for_a_person_and_says_why(decisions):
    found = consider(decisions)
    assert opened(found) == {
        "version": 1,
        "council": ME,
        "plan_digest": PLAN.hex(),
        "decision": "pending",
        "rule": "",
        "reason": "Still to approve it: a person at the council. Why a person: this council decides on every question.",
        "extract_date": "2026-02-01",
        "decided_at": "2026-03-01T09:00:00Z",
    }
    assert [item.plan_digest for item in decisions.pending()] == [PLAN]
    with pytest.raises(PolicyRefusal, check=lambda error: error.rule == "not_approved"):
        decisions.check_approved(PLAN)


def test_a_question_never_proposed_is_not_approved(decisions):
    with pytest.raises(PolicyRefusal, check=lambda error: error.rule == "not_approved"):
        decisions.check_approved(PLAN)


def test_automatic_approval_is_the_same_path_without_the_wait(decisions):
    found = consider(decisions, why=())
    assert (found.verdict, opened(found)["decision"]) == (Verdict.APPROVED, "approved")
    assert decisions.check_approved(PLAN) == found
    assert decisions.pending() == ()


def test_a_refusal_by_the_checks_names_its_rule(decisions):
    found = consider(decisions, refusal=expired(), why=())
    assert opened(found)["rule"] == "plan_expired"
    assert opened(found)["reason"] == "The plan has expired. Plan it again."
    with pytest.raises(PolicyRefusal, check=lambda error: error.rule == "plan_expired") as caught:
        decisions.check_approved(PLAN)
    assert caught.value.diagnostics() == "Refused (plan_expired): The plan has expired. Plan it again."


def test_a_person_approves(decisions):
    consider(decisions)
    found = decisions.approve(PLAN, now=LATER, **PERSON)
    assert opened(found)["decision"] == "approved"
    assert decisions.check_approved(PLAN) == found
    assert (found.by, found.role, found.note, found.act) == (*PERSON.values(), Act.APPROVE)


def test_names_and_notes_of_approval_stay_at_the_council(decisions):
    consider(decisions)
    payload = json.dumps(opened(decisions.approve(PLAN, now=LATER, **PERSON)))
    assert not any(text in payload for text in PERSON.values())


def test_a_person_refuses_and_the_reason_is_sent(decisions):
    consider(decisions)
    found = opened(decisions.refuse(PLAN, now=LATER, **PERSON | {"reason": "not for us"}))
    assert (found["decision"], found["rule"], found["reason"]) == ("refused", "declined", "not for us")
    with pytest.raises(PolicyRefusal, match="not for us", check=lambda error: error.rule == "declined"):
        decisions.check_approved(PLAN)


def test_the_same_proposal_gets_the_very_same_bytes(decisions):
    first = consider(decisions)
    assert consider(decisions, now=LATER).envelope == first.envelope
    approved = decisions.approve(PLAN, now=LATER, **PERSON)
    assert consider(decisions, now=LATER + timedelta(days=1)).envelope == approved.envelope
    assert len(decisions.history(PLAN)) == 2


def test_a_new_extract_date_is_told(decisions):
    consider(decisions)
    assert opened(consider(decisions, extract=date(2026, 3, 1), now=LATER))["extract_date"] == "2026-03-01"
    assert opened(consider(decisions, extract=None, now=LATER))["extract_date"] == ""


def test_an_approval_can_be_withdrawn(decisions):
    consider(decisions, why=())
    found = opened(decisions.withdraw(PLAN, now=LATER, **PERSON | {"reason": "the purpose changed"}))
    assert (found["decision"], found["rule"], found["reason"]) == ("refused", "withdrawn", "the purpose changed")
    # Neither automatic approval nor a repeated proposal brings it back.
    assert consider(decisions, why=(), now=LATER).rule == "withdrawn"
    with pytest.raises(PolicyRefusal, check=lambda error: error.rule == "withdrawn"):
        decisions.check_approved(PLAN)


def test_what_was_refused_or_withdrawn_can_be_approved_later(decisions):
    consider(decisions)
    decisions.refuse(PLAN, now=NOW, **PERSON)
    assert decisions.approve(PLAN, now=LATER, **PERSON).verdict is Verdict.APPROVED
    decisions.withdraw(PLAN, now=LATER, **PERSON)
    assert decisions.approve(PLAN, now=LATER, **PERSON).verdict is Verdict.APPROVED
    assert [item.act.value for item in decisions.history(PLAN)] == [
        "review",
        "refuse",
        "approve",
        "withdraw",
        "approve",
    ]


def test_nobody_approves_over_a_failed_check(decisions):
    consider(decisions, refusal=expired())
    with pytest.raises(PolicyRefusal, check=lambda error: error.rule == "plan_expired"):
        decisions.approve(PLAN, now=LATER, **PERSON)
    assert decisions.latest(PLAN).verdict is Verdict.REFUSED


def test_a_failed_check_stands_above_an_approval_and_gives_way_again(decisions):
    consider(decisions)
    decisions.approve(PLAN, now=NOW, **PERSON)
    paused = PolicyRefusal("paused", "This council has paused.")
    assert consider(decisions, refusal=paused, now=LATER).rule == "paused"
    with pytest.raises(PolicyRefusal, check=lambda error: error.rule == "paused"):
        decisions.check_approved(PLAN)
    assert consider(decisions, now=LATER).verdict is Verdict.APPROVED


def test_a_stricter_policy_takes_automatic_approval_back(decisions):
    consider(decisions, why=())
    assert consider(decisions, why=WHY, now=LATER).verdict is Verdict.PENDING


def test_every_role_needed_must_approve(store):
    decisions = Decisions(store, ME, KEY, ("Data protection officer", "information  asset owner"))
    consider(decisions)
    first = decisions.approve(PLAN, now=NOW, **PERSON)
    assert first.verdict is Verdict.PENDING
    assert opened(first)["reason"] == "Still to approve it: information asset owner."
    assert decisions.approve(PLAN, now=NOW, **PERSON).verdict is Verdict.PENDING
    last = decisions.approve(PLAN, now=LATER, **PERSON | {"role": "Information Asset Owner"})
    assert last.verdict is Verdict.APPROVED
    decisions.withdraw(PLAN, now=LATER, **PERSON)
    # Approvals from before the withdrawal no longer count.
    assert decisions.approve(PLAN, now=LATER, **PERSON).verdict is Verdict.PENDING


@pytest.mark.parametrize("act", ["approve", "refuse", "withdraw"])
def test_acts_need_a_proposal_a_name_a_role_and_a_reason(decisions, act):
    do = getattr(decisions, act)
    with pytest.raises(FileProblem, match="has been proposed"):
        do(OTHER, now=NOW, **PERSON)
    consider(decisions, why=() if act == "withdraw" else WHY)
    for name in ("by", "role") if act == "approve" else PERSON:
        with pytest.raises(FileProblem, match=f"--{name}"):
            do(PLAN, now=NOW, **PERSON | {name: " "})
    do(PLAN, now=NOW, **PERSON)


def test_refusing_and_withdrawing_are_told_apart(decisions):
    consider(decisions)
    with pytest.raises(FileProblem, match="not approved"):
        decisions.withdraw(PLAN, now=NOW, **PERSON)
    decisions.approve(PLAN, now=NOW, **PERSON)
    with pytest.raises(FileProblem, match="is approved"):
        decisions.refuse(PLAN, now=NOW, **PERSON)


def test_each_plan_has_its_own_decision(decisions):
    consider(decisions, why=())
    consider(decisions, OTHER)
    decisions.check_approved(PLAN)
    with pytest.raises(PolicyRefusal):
        decisions.check_approved(OTHER)


def test_a_withdrawal_by_another_program_is_not_overwritten(store, decisions):
    consider(decisions, why=())
    elsewhere = Decisions(store, ME, KEY)
    real = decisions.history

    def withdrawn_meanwhile(plan_digest):
        found = real(plan_digest)
        if len(found) == 1:
            elsewhere.withdraw(PLAN, now=NOW, **PERSON)
        return found

    decisions.history = withdrawn_meanwhile
    # The node decides on what it read before the withdrawal, and must look again.
    assert consider(decisions, why=(), extract=date(2026, 2, 28), now=LATER).rule == "withdrawn"


def test_stored_decisions_read_back_and_others_are_refused(store, decisions):
    consider(decisions)
    found = decisions.approve(PLAN, now=LATER, **PERSON)
    assert read_decision(found.encode()) == found
    assert store.latest(DocumentKind.DECISION, PLAN.hex()).body == found.encode()
    good = json.loads(found.encode())
    for bad in (b"", b"{}", found.encode() + b" ", json.dumps(good | {"version": 3}).encode()):
        with pytest.raises(FileProblem, match="not of version 1 or 2"):
            read_decision(bad)


# Red lines

ASKED = HOLDING | {"lawful": "ask", "convincing_purpose": "ask"}
YES = {"lawful": True, "convincing_purpose": True}


def recorded(decision):
    return open_statement("decision-record", decision.record, trusted_keys(KEY.public))


@pytest.mark.parametrize("answers", [{}, {"lawful": True}, {"convincing_purpose": True, "secure": True}])
def test_an_unanswered_red_line_blocks_approval(decisions, answers):
    consider(decisions, red_lines=ASKED)
    with pytest.raises(FileProblem, match="not answered") as caught:
        decisions.approve(PLAN, now=NOW, answers=answers, **PERSON)
    assert all((name in str(caught.value)) is (name not in answers) for name in YES)
    assert decisions.latest(PLAN).verdict is Verdict.PENDING
    assert decisions.approve(PLAN, now=NOW, answers=YES, **PERSON).verdict is Verdict.APPROVED


@pytest.mark.parametrize("name", [name for name, _ in RED_LINES])
def test_nobody_approves_over_a_red_line_that_they_say_does_not_hold(decisions, name):
    consider(decisions, red_lines=ASKED)
    with pytest.raises(FileProblem, match=f"no to the red line '{name}'"):
        decisions.approve(PLAN, now=NOW, answers=YES | {name: False}, **PERSON)
    refused = decisions.refuse(PLAN, now=NOW, answers={name: False}, **PERSON)
    assert recorded(refused)["answers"] == {name: "no"}


def test_an_answer_to_something_else_is_a_mistake(decisions):
    consider(decisions, red_lines=ASKED)
    with pytest.raises(FileProblem, match="no red line 'lawfull'"):
        decisions.approve(PLAN, now=NOW, answers=YES | {"lawfull": True}, **PERSON)


def test_each_person_who_approves_answers(store):
    decisions = Decisions(store, ME, KEY, ("data protection officer", "information asset owner"))
    consider(decisions, red_lines=ASKED)
    decisions.approve(PLAN, now=NOW, answers=YES, **PERSON)
    with pytest.raises(FileProblem, match="not answered"):
        decisions.approve(PLAN, now=NOW, **PERSON | {"role": "information asset owner"})


def test_answers_names_and_forum_are_signed_and_kept_and_not_sent(decisions):
    consider(decisions, red_lines=ASKED)
    forum = "Information governance forum of the region, minute 7 of 3 February"
    found = decisions.approve(PLAN, now=LATER, answers=YES, forum=forum, **PERSON)
    kept = recorded(decisions.latest(PLAN))
    assert kept == opened(found) | {
        "act": "approve",
        "by": PERSON["by"],
        "role": PERSON["role"],
        "note": PERSON["reason"],
        "forum": forum,
        "basis": "",
        "red_lines": ASKED,
        "answers": {"lawful": "yes", "convincing_purpose": "yes"},
    }
    assert not any(text in found.envelope.decode() for text in (forum, "red_lines", *PERSON.values()))
    # Nobody else's answers are taken for theirs.
    assert consider(decisions, red_lines=ASKED, extract=None, now=LATER).answers == {}


def test_an_automatic_approval_keeps_the_policys_own_words(decisions):
    words = {"lawful": "Our solicitor says so.", "convincing_purpose": "We chose them."}
    found = consider(decisions, why=(), red_lines=ASKED, answers=words, basis="the policy")
    assert (recorded(found)["answers"], recorded(found)["basis"]) == (words, "the policy")
    assert consider(decisions, OTHER, red_lines=ASKED, answers=words, basis="the policy").answers == {}


def test_a_record_from_before_there_were_red_lines_has_all_seven_asked(store, decisions):
    found = consider(decisions)
    old = found.encode(1)
    assert read_decision(old).encode(1) == old
    assert set(json.loads(found.encode())) - set(json.loads(old)) == {
        "red_lines",
        "answers",
        "forum",
        "basis",
        "repeat",
        "record",
    }
    store.put(DocumentKind.DECISION, OTHER.hex(), old, NOW)
    assert red_lines_to_answer(decisions.latest(OTHER)) == tuple(name for name, _ in RED_LINES)
    with pytest.raises(FileProblem, match="7 red line"):
        decisions.approve(OTHER, now=NOW, **PERSON)


def test_a_policy_made_stricter_counts_although_the_answer_stays_the_same(store):
    """A person approved; then automatic approval is turned off, and a second role is needed after a withdrawal."""
    decisions = Decisions(store, ME, KEY, ("data protection officer", "information asset owner"))
    consider(decisions, why=())
    assert consider(decisions, why=WHY, now=LATER).verdict is Verdict.PENDING
    decisions.refuse(PLAN, now=LATER, **PERSON)
    assert consider(decisions, why=WHY, now=LATER).verdict is Verdict.REFUSED
    assert decisions.approve(PLAN, now=LATER, **PERSON).verdict is Verdict.PENDING


# Standing approvals


def repeat(decisions, plan, *, of="aa" * 32, now=NOW + timedelta(days=30)):
    return said_of_repeats(decisions, plan, of).covering(days=30, now=now)


def test_a_persons_approval_covers_repeats_for_a_while(decisions):
    consider(decisions, repeat="aa" * 32)
    assert repeat(decisions, OTHER) is None
    given = decisions.approve(PLAN, now=NOW, **PERSON)
    assert repeat(decisions, OTHER) == given
    consider(decisions, repeat="aa" * 32, extract=None, now=LATER)  # a later review makes it no younger
    assert repeat(decisions, OTHER) == given
    assert repeat(decisions, PLAN) is None
    assert repeat(decisions, OTHER, of="bb" * 32, now=NOW) is None
    assert repeat(decisions, OTHER, now=NOW + timedelta(days=30, seconds=1)) is None
    decisions.withdraw(PLAN, now=LATER, **PERSON)
    assert repeat(decisions, OTHER) is None


def test_an_automatic_approval_covers_nothing(decisions):
    consider(decisions, why=(), repeat="aa" * 32)
    assert repeat(decisions, OTHER) is None
