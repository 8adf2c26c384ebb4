"""A node in a round, with a dishonest coordinator: what it refuses, what stays charged, and when data is read.

The rounds are real: five nodes, each with its own ledger and extract. The test is the coordinator. A node that
refuses a stage says why in a signed complaint; another node of the same round, sent the true request, goes on.
"""

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from council_node import rounds
from council_node.decisions import Decisions
from council_node.ledger import Ledger
from council_node.overdue import overdue_answers
from council_node.receipts import find_receipt, receipts
from council_node.status import node_status, print_status
from federated.errors import InternalError, PolicyRefusal
from federated.ledger_entries import RoundState
from federated.release import CouncilRecord, make_release
from federated.signing import open_statement
from protocols.encoding import canonical_json, sha256
from protocols.envelope import SignedMessage, read_signed, sign_message, verify_message
from protocols.identifiers import CouncilId, Digest
from protocols.secagg import SecureSum
from protocols.secagg.messages import (
    Advert,
    Stage,
    advert_of,
    dealt_body,
    decode_adverts,
    decode_shares,
    decode_statements,
    decode_survivors,
    encode_list,
    encode_shares,
)
from protocols.secagg.transcript import leaf
from protocols.suite import Suite
from protocols.wire.codec import Reader
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import (
    CANARY,
    COUNCILS,
    ME,
    NOW,
    SCHEMA,
    STRANGER,
    Rehearsal,
    Said,
    Seat,
    World,
    abort,
    invitation,
    round_of,
    trusted_keys,
)

OTHER = COUNCILS[3]
SURE = 1 - Fraction(1, 10**9)
REPLIES = {
    Kind.ADVERTS: Kind.KEY_SHARES,
    Kind.SHARES: Kind.MASKED_INPUT,
    Kind.SURVIVORS: Kind.CONFIRMATION,
    Kind.STATEMENTS: Kind.UNMASK,
}
STAGES = tuple(REPLIES)


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as made:
        yield made


def rehearse(world: World) -> Rehearsal:
    return Rehearsal(world, world.propose())


# What a stage is refused for


@dataclass(frozen=True)
class AtStage:
    """One change to a stage's request, or to the council's own state before it.

    Attributes:
        change: Given the round, gives the payload for this council.
    """

    name: str
    stage: Kind
    rule: str
    change: Callable[[Rehearsal], bytes]
    words: str = ""
    world: dict[str, Any] = field(default_factory=dict)


def adverts(round_: Rehearsal) -> tuple[SignedMessage, ...]:
    return decode_adverts(round_.requests[ME], round_.aggregator._context)


def adverts_of(*councils: CouncilId) -> Callable[[Rehearsal], bytes]:
    def change(round_: Rehearsal) -> bytes:
        return encode_list(Stage.ADVERTS, [message for message in adverts(round_) if message.sender in councils])

    return change


def advert_by(round_: Rehearsal, sender: CouncilId, key: Any, **changes: Any) -> bytes:
    """The adverts, that of one council replaced by another of the same form."""

    def made(message: SignedMessage) -> SignedMessage:
        if message.sender != sender:
            return message
        body = replace(advert_of(message, Suite.X25519), **changes).encode_body()
        return sign_message(sid=round_.sid, stage=Stage.ADVERT, sender=sender, body=body, sign=key.sign)

    return encode_list(Stage.ADVERTS, [made(message) for message in adverts(round_)])


def swapped_identity(round_: Rehearsal) -> bytes:
    return advert_by(round_, OTHER, STRANGER)


def copied_keys(round_: Rehearsal) -> bytes:
    victim: Advert = advert_of(
        next(message for message in adverts(round_) if message.sender == COUNCILS[0]), Suite.X25519
    )
    return advert_by(round_, OTHER, round_.world.keys[OTHER], mask_key=victim.mask_key)


def invented_council(round_: Rehearsal) -> bytes:
    body = adverts(round_)[0].body
    stranger = CouncilId("E06000047")
    extra = sign_message(sid=round_.sid, stage=Stage.ADVERT, sender=stranger, body=body, sign=STRANGER.sign)
    messages = [message for message in adverts(round_) if message.sender != COUNCILS[-1]]
    return encode_list(Stage.ADVERTS, [*messages, extra])


def peer_saw_a_later_ledger(round_: Rehearsal) -> bytes:
    claim = advert_of(next(message for message in adverts(round_) if message.sender == OTHER), Suite.X25519).claim
    seen = [99 if council == ME else count for council, count in zip(round_.plan.eligible, claim.seen, strict=True)]
    return advert_by(round_, OTHER, round_.world.keys[OTHER], claim=replace(claim, seen=tuple(seen)))


def shares_of(*dealers: CouncilId) -> Callable[[Rehearsal], bytes]:
    def change(round_: Rehearsal) -> bytes:
        kept = [item for item in _shares(round_) if item[0].message.sender in dealers]
        return encode_shares([dealt.message.encode() for dealt, _ in kept], [opening.encode() for _, opening in kept])

    return change


def _shares(round_: Rehearsal) -> tuple[Any, ...]:
    return decode_shares(round_.requests[ME], round_.aggregator._context, receiver=ME, members=len(COUNCILS))


def share_of_somebody_else(round_: Rehearsal) -> bytes:
    """One dealer's opening replaced by the one it made for another council."""
    others = decode_shares(round_.requests[OTHER], round_.aggregator._context, receiver=OTHER, members=len(COUNCILS))
    found = _shares(round_)
    openings = [opening.encode() for _, opening in found]
    openings[0] = others[0][1].encode()
    return encode_shares([dealt.message.encode() for dealt, _ in found], openings)


def badly_dealt(round_: Rehearsal) -> bytes:
    """A dealer that seals nonsense for this council, and signs for it."""
    found = list(_shares(round_))
    dealt, opening = found[0]
    bad = replace(opening, ciphertext=bytes(len(opening.ciphertext)))
    leaves = [dealt.leaf(position) for position in range(len(COUNCILS))]
    leaves[COUNCILS.index(ME)] = leaf(bad.encode())
    sender = dealt.message.sender
    message = sign_message(
        sid=round_.sid,
        stage=Stage.KEY_SHARES,
        sender=sender,
        body=dealt_body(dealt.h1, dealt.self_commitment, leaves),
        sign=round_.world.keys[sender].sign,
    )
    dealings = [message.encode(), *(item.message.encode() for item, _ in found[1:])]
    return encode_shares(dealings, [item.encode() for item in (bad, *(opening for _, opening in found[1:]))])


def survivors_of(*councils: CouncilId) -> Callable[[Rehearsal], bytes]:
    def change(round_: Rehearsal) -> bytes:
        headers = decode_survivors(round_.requests[ME], round_.aggregator._context)
        return encode_list(Stage.SURVIVORS, [header for header in headers if header.sender in councils])

    return change


def survivor_invented(round_: Rehearsal) -> bytes:
    headers = list(decode_survivors(round_.requests[ME], round_.aggregator._context))
    forged = sign_message(
        sid=round_.sid, stage=Stage.MASKED_INPUT, sender=OTHER, body=headers[3].body, sign=STRANGER.sign
    )
    assert headers[3].sender == OTHER
    return encode_list(Stage.SURVIVORS, [*headers[:3], forged, *headers[4:]])


def statements_of(count: int) -> Callable[[Rehearsal], bytes]:
    def change(round_: Rehearsal) -> bytes:
        messages = decode_statements(round_.requests[ME], round_.aggregator._context)
        return encode_list(Stage.STATEMENTS, messages[:count])

    return change


def statement_on_another_list(round_: Rehearsal) -> bytes:
    messages = list(decode_statements(round_.requests[ME], round_.aggregator._context))
    signer = messages[-1].sender
    messages[-1] = sign_message(
        sid=round_.sid,
        stage=Stage.CONFIRMATION,
        sender=signer,
        body=sha256(b"another list"),
        sign=round_.world.keys[signer].sign,
    )
    return encode_list(Stage.STATEMENTS, messages)


def first_this(event: Callable[[Rehearsal], object]) -> Callable[[Rehearsal], bytes]:
    """The true request, after something has happened at this council."""

    def change(round_: Rehearsal) -> bytes:
        event(round_)
        return round_.requests[ME]

    return change


def withdraw(round_: Rehearsal) -> None:
    seat = round_.seats[ME]
    Decisions(seat.station.store, ME, seat.key).withdraw(
        Digest(round_.plan.digest), by="A Person", role="data protection officer", reason="New advice", now=NOW
    )


def clock(moment: datetime) -> Callable[[Rehearsal], object]:
    """A moment that comes in the middle of a round; one that began long before is over by then for another reason."""

    def event(round_: Rehearsal) -> None:
        round_.world.now = moment
        under_way = round_.seats[ME].node._rounds._active
        under_way[round_.sid] = replace(under_way[round_.sid], started=moment)

    return first_this(event)


def leave_the_agreement(round_: Rehearsal) -> None:
    settings = round_.seats[ME].station.settings
    (settings.agreements / f"{round_.plan.agreement_id}.dsse").unlink()


FOUR = {"agreement": {"min_cohort": 5}}

AT_STAGE = [
    AtStage("adverts_of_three", Kind.ADVERTS, "smallest_round", adverts_of(*COUNCILS[:3])),
    AtStage("adverts_below_min_cohort", Kind.ADVERTS, "min_cohort", adverts_of(*COUNCILS[:4]), "asks for 5", FOUR),
    AtStage("adverts_without_ours", Kind.ADVERTS, "protocol", adverts_of(*COUNCILS[:2], *COUNCILS[3:])),
    AtStage("advert_of_a_swapped_key", Kind.ADVERTS, "protocol", swapped_identity, "not signed by its identity"),
    AtStage("advert_with_copied_keys", Kind.ADVERTS, "protocol", copied_keys),
    AtStage("advert_of_an_invented_council", Kind.ADVERTS, "protocol", invented_council),
    AtStage("our_ledger_went_back", Kind.ADVERTS, "ledger_rollback", peer_saw_a_later_ledger),
    AtStage("adverts_cut_short", Kind.ADVERTS, "protocol", lambda r: r.requests[ME][:-1]),
    AtStage("adverts_with_more", Kind.ADVERTS, "protocol", lambda r: r.requests[ME] + b"\0"),
    AtStage("shares_of_three", Kind.SHARES, "below_threshold", shares_of(*COUNCILS[:3])),
    AtStage("shares_without_ours", Kind.SHARES, "protocol", shares_of(*COUNCILS[:2], *COUNCILS[3:])),
    AtStage("share_of_somebody_else", Kind.SHARES, "protocol", share_of_somebody_else),
    AtStage("share_of_nonsense", Kind.SHARES, "bad_key_share", badly_dealt, COUNCILS[0]),
    AtStage("withdrawn_meanwhile", Kind.SHARES, "withdrawn", first_this(withdraw), "New advice"),
    AtStage("paused_meanwhile", Kind.SHARES, "paused", first_this(lambda r: r.seats[ME].policy(paused=True))),
    AtStage("plan_expired_meanwhile", Kind.SHARES, "plan_expired", clock(NOW + timedelta(days=81))),
    AtStage("agreement_expired_meanwhile", Kind.SHARES, "agreement_expired", clock(datetime(2026, 4, 1, tzinfo=UTC))),
    AtStage("left_the_agreement_meanwhile", Kind.SHARES, "agreement_unknown", first_this(leave_the_agreement)),
    AtStage(
        "ledger_exhausted_meanwhile",
        Kind.SHARES,
        "ledger_exhausted",
        first_this(lambda r: r.seats[ME].station.ledger.mark_exhausted("for the test", NOW)),
    ),
    AtStage("survivors_below_threshold", Kind.SURVIVORS, "below_threshold", survivors_of(*COUNCILS[:3])),
    AtStage("survivors_without_us", Kind.SURVIVORS, "protocol", survivors_of(*COUNCILS[:2], *COUNCILS[3:])),
    AtStage("survivor_invented", Kind.SURVIVORS, "protocol", survivor_invented),
    AtStage("statements_below_threshold", Kind.STATEMENTS, "below_threshold", statements_of(3)),
    AtStage("statement_on_another_list", Kind.STATEMENTS, "protocol", statement_on_another_list, "another list"),
]


@pytest.mark.parametrize("case", AT_STAGE, ids=[case.name for case in AT_STAGE])
def test_a_stage_is_refused_by_the_node_and_the_ledger_says_what_it_cost(tmp_path, case):
    with World(tmp_path, **case.world) as world:
        round_ = rehearse(world).until(case.stage)
        me, other = round_.seats[ME], round_.seats[OTHER]
        reading = reads_of(me)
        assert other.ask(round_.message(case.stage, OTHER)).kind is REPLIES[case.stage]
        spent = case.stage in {Kind.SURVIVORS, Kind.STATEMENTS}
        assert me.state(round_.sid) == ("spent" if spent else "reserved")

        said = me.ask(round_.packed(case.stage, case.change(round_)))

        assert (said.kind, said.rule) == (Kind.COMPLAINT, case.rule), said
        assert case.words in said.words
        assert said.body["sid"] == round_.sid.hex()
        assert me.state(round_.sid) == ("spent" if spent else "released")
        assert reading == []
        # The round is over here, whatever comes now, and its receipt says that nothing came of it.
        assert rule_of(me.ask(round_.message(case.stage, ME))) == "unknown_round"
        (receipt,) = receipts(me.station.store)
        assert (receipt.answered, receipt.cost.charged) == (False, spent)


def test_a_complaint_about_a_dealer_carries_what_the_dealer_signed(world):
    round_ = rehearse(world).until(Kind.SHARES)
    payload = badly_dealt(round_)
    said = round_.seats[ME].ask(round_.packed(Kind.SHARES, payload))
    evidence = b64decode(said.body["evidence"])
    assert evidence in payload
    message = read_signed(
        Reader(evidence, what="evidence", limit=len(evidence)),
        stage=Stage.KEY_SHARES,
        body_size=len(_shares(round_)[0][0].message.body),
    )
    verify_message(message, sid=round_.sid, identity=world.keys[COUNCILS[0]].public)


def rule_of(said: Said) -> str:
    """The rule that a fault's sentence names."""
    assert said.kind is Kind.FAULT
    return said.words.split("(")[1].split(")")[0]


def reads_of(seat: Seat) -> list[str]:
    """From now on, the state of the charge each time this council's data is read, as the file on the disk has it."""
    seen: list[str] = []
    compute = seat.station.compute

    def spy(plan: Any, *iteration: Any) -> Any:
        with Ledger.read_only(seat.station.settings.ledger_file, seat.council) as written:
            (found,) = [item for item in written.rounds() if item.plan_digest == plan.digest]
        seen.append(found.state.value)
        return compute(plan, *iteration)

    seat.station.compute = spy
    return seen


# Debit before compute


def test_no_case_is_read_before_the_ledger_says_spent(world):
    round_ = rehearse(world).until(Kind.SHARES)
    me = round_.seats[ME]
    reading = reads_of(me)
    assert me.state(round_.sid) == "reserved"
    assert me.ask(round_.message(Kind.SHARES, ME)).kind is Kind.MASKED_INPUT
    assert reading == ["spent"]


def test_no_case_is_read_when_the_charge_cannot_be_written(world, monkeypatch):
    round_ = rehearse(world).until(Kind.SHARES)
    me = round_.seats[ME]
    reading = reads_of(me)

    def full(*_: object) -> None:
        raise PolicyRefusal("ledger_unavailable", "The disk is full.")

    monkeypatch.setattr(me.station.ledger, "spend", full)
    said = me.ask(round_.message(Kind.SHARES, ME))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "ledger_unavailable")
    assert reading == []


def test_the_secrets_go_even_when_the_ledger_cannot_take_the_reservation_back(world, monkeypatch):
    round_ = rehearse(world).until(Kind.SHARES)
    me = round_.seats[ME]
    (active,) = me.node._rounds._active.values()

    def full(*_: object) -> None:
        raise PolicyRefusal("ledger_unavailable", "The disk is full.")

    monkeypatch.setattr(me.station.ledger, "release", full)
    assert rule_of(me.ask(abort(round_.sid))) == "ledger_unavailable"
    assert active.session._stage is None


def test_a_failure_after_the_charge_leaves_it_standing_and_tells_nobody_a_case_value(world):
    round_ = rehearse(world).until(Kind.SHARES)
    me = round_.seats[ME]

    def fail(*_: Any) -> None:
        raise InternalError(f"Line 17 of /srv/extracts/cases.csv: {CANARY}-3 is not a number.")

    me.station.compute = fail
    reply = me.send(round_.message(Kind.SHARES, ME))
    said = me.read(reply)

    assert (said.kind, said.rule) == (Kind.COMPLAINT, "fault")
    assert CANARY.encode() not in reply
    assert CANARY not in said.words
    assert "extracts" not in said.words
    assert me.state(round_.sid) == "spent"
    assert rule_of(me.ask(round_.message(Kind.SHARES, ME))) == "unknown_round"
    assert me.state(round_.sid) == "spent"
    assert [event for event, _ in me.events if event == "stage_failed"] == ["stage_failed"]
    # Receipt and ledger go into the evidence pack, which is made to be shown.
    receipt = find_receipt(me.station.store, round_.sid.hex())
    assert "a fault of this council's node" in receipt.outcome
    kept = receipt.encode() + b"".join(canonical_json(entry.body) for entry in me.station.ledger.entries())
    assert b"extracts" not in kept
    assert CANARY.encode() not in kept


@pytest.mark.parametrize("damage", ["gone", "cut", "headings"])
def test_an_extract_that_changes_after_the_advert_costs_the_charge_and_says_nothing_of_itself(world, damage):
    round_ = rehearse(world).until(Kind.SHARES)
    me = round_.seats[ME]
    path = me.folder / "extract.csv"
    match damage:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:20])
        case "headings":
            path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[1:]))  # a case stands in the headings' place
    reply = me.send(round_.message(Kind.SHARES, ME))
    said = me.read(reply)
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "fault")
    assert me.state(round_.sid) == "spent"
    assert CANARY not in said.words
    assert str(me.folder) not in said.words


def test_a_row_that_cannot_be_used_is_no_reason_to_leave_a_round(world):
    round_ = rehearse(world).until(Kind.SHARES)
    me = round_.seats[ME]
    with (me.folder / "extract.csv").open("a", encoding="utf-8") as file:
        file.write(f'{CANARY}-x,the thirty-first,"unfinished\n\x00,,\n{CANARY}-y,2025-02-30,purple,?,\n')
    assert me.ask(round_.message(Kind.SHARES, ME)).kind is Kind.MASKED_INPUT


# The same request, the same bytes; another one, the end


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name.lower())
def test_the_same_request_gets_the_very_same_reply(world, stage):
    round_ = rehearse(world).until(stage)
    me = round_.seats[ME]
    reading = reads_of(me)
    request = round_.message(stage, ME)
    first = me.send(request)
    entries = me.station.ledger.counter
    assert LinkMessage.decode(first).kind is REPLIES[stage]
    assert me.send(request) == first
    assert me.send(request) == first
    assert me.station.ledger.counter == entries
    assert reading == (["spent"] if stage is Kind.SHARES else [])


@pytest.mark.parametrize("later", STAGES[1:], ids=lambda stage: stage.name.lower())
def test_an_earlier_request_gets_its_own_reply_again_and_the_round_goes_on(world, later):
    round_ = rehearse(world)
    me = round_.seats[ME]
    stage = STAGES[STAGES.index(later) - 1]
    round_.until(stage)
    request = round_.message(stage, ME)
    first = me.send(request)
    {Kind.SHARES: round_.share_keys, Kind.SURVIVORS: round_.masked_inputs, Kind.STATEMENTS: round_.confirm}[later]()
    assert me.send(request) == first
    assert me.ask(round_.message(later, ME)).kind is REPLIES[later]


SECOND = {
    Kind.ADVERTS: adverts_of(*COUNCILS[:4]),
    Kind.SHARES: shares_of(*COUNCILS[:4]),
    Kind.SURVIVORS: survivors_of(*COUNCILS[:4]),
    Kind.STATEMENTS: statements_of(3),
}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name.lower())
def test_a_different_second_request_ends_the_round(world, stage):
    """Each second request but the last would have been answered, had it come first."""
    round_ = rehearse(world).until(stage)
    me, other = round_.seats[ME], round_.seats[OTHER]
    if stage in {Kind.ADVERTS, Kind.SURVIVORS}:
        assert other.ask(round_.packed(stage, SECOND[stage](round_))).kind is REPLIES[stage]
    assert me.ask(round_.message(stage, ME)).kind is REPLIES[stage]
    before = me.state(round_.sid)
    said = me.ask(round_.packed(stage, SECOND[stage](round_)))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "protocol")
    assert "second, different" in said.words
    assert me.state(round_.sid) == ("released" if before == "reserved" else "spent")
    assert rule_of(me.ask(round_.message(stage, ME))) == "unknown_round"


@pytest.mark.parametrize(
    ("ready", "sent"),
    [(ready, sent) for ready in STAGES for sent in STAGES if STAGES.index(sent) > STAGES.index(ready)],
    ids=lambda stage: stage.name.lower(),
)
def test_a_stage_skipped_ends_the_round(world, ready, sent):
    """The stages' true requests come from a finished rehearsal of a round that this one was not."""
    finished = rehearse(world).until(sent)
    round_ = rehearse(world).until(ready)
    me = round_.seats[ME]
    reading = reads_of(me)
    spent = ready in {Kind.SURVIVORS, Kind.STATEMENTS}
    said = me.ask(round_.packed(sent, finished.requests[ME]))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "protocol")
    assert "out of order" in said.words
    assert reading == []
    assert me.state(round_.sid) == ("spent" if spent else "released")


# Given back, and not


@pytest.mark.parametrize("ready", [Kind.ADVERTS, Kind.SHARES], ids=lambda stage: stage.name.lower())
def test_an_abort_before_the_masked_input_gives_the_reservation_back(world, ready):
    round_ = rehearse(world).until(ready)
    me = round_.seats[ME]
    period = str(NOW.year)
    assert me.station.ledger.committed(world.agreement.id, period).epsilon == 1
    said = me.ask(abort(round_.sid))
    assert said.kind is Kind.RECEIPT
    body = open_statement("receipt", said.payload, trusted_keys(me.key.public))
    assert (body["council"], body["sid"]) == (ME, round_.sid.hex())
    assert me.state(round_.sid) == "released"
    assert me.station.ledger.committed(world.agreement.id, period).epsilon == 0
    assert rule_of(me.ask(round_.message(ready, ME))) == "unknown_round"


@pytest.mark.parametrize("ready", [Kind.SURVIVORS, Kind.STATEMENTS], ids=lambda stage: stage.name.lower())
def test_an_abort_after_the_masked_input_gives_nothing_back(world, ready):
    round_ = rehearse(world).until(ready)
    me = round_.seats[ME]
    assert me.ask(abort(round_.sid)).kind is Kind.RECEIPT
    assert me.ask(abort(round_.sid)).kind is Kind.RECEIPT
    assert me.state(round_.sid) == "spent"
    assert me.station.ledger.committed(world.agreement.id, str(NOW.year)).epsilon == 1


def test_an_abort_of_a_round_we_were_not_in_changes_nothing(world):
    me = world.seat()
    before = me.station.ledger.head
    assert me.ask(abort(bytes(32))).kind is Kind.RECEIPT
    assert me.station.ledger.head == before
    assert "deletion_recorded" not in [event for event, _ in me.events]


def test_what_was_deleted_is_logged_once_for_each_round(world):
    round_ = rehearse(world).until(Kind.SURVIVORS)
    me = round_.seats[ME]
    for _ in range(2):
        me.ask(abort(round_.sid))
    assert [event for event, _ in me.events].count("deletion_recorded") == 1


@pytest.mark.parametrize(
    ("ready", "state"),
    [(Kind.ADVERTS, "released"), (Kind.SHARES, "released"), (Kind.SURVIVORS, "spent"), (Kind.STATEMENTS, "spent")],
    ids=lambda value: value if isinstance(value, str) else value.name.lower(),
)
def test_a_restart_gives_back_what_was_reserved_and_keeps_what_was_spent(world, ready, state):
    round_ = rehearse(world).until(ready)
    me = round_.seats[ME]
    me.restart()
    assert me.state(round_.sid) == state
    assert rule_of(me.ask(round_.message(ready, ME))) == "unknown_round"
    assert me.ask(invitation(world, round_.plan)).rule == "replay"


def test_a_round_that_is_not_heard_of_again_ends_by_itself(world):
    round_ = rehearse(world).until(Kind.SHARES)
    me = round_.seats[ME]
    world.now = NOW + timedelta(hours=7)
    proposal = world.propose()
    assert me.propose(proposal).body["decision"] == "approved"
    assert me.invite(proposal.plan).kind is Kind.ADVERT
    assert me.state(round_.sid) == "released"


def test_a_node_takes_part_in_so_many_rounds_and_no_more(world, monkeypatch):
    monkeypatch.setattr(rounds, "MAX_ROUNDS", 2)
    me = world.seat()
    plans = [world.propose() for _ in range(3)]
    for proposal in plans:
        assert me.propose(proposal).body["decision"] == "approved"
    assert [me.invite(proposal.plan).kind for proposal in plans] == [Kind.ADVERT, Kind.ADVERT, Kind.REFUSAL]
    assert me.invite(plans[2].plan).rule == "busy"
    assert me.ask(abort(round_of(world, plans[0].plan))).kind is Kind.RECEIPT
    assert me.invite(plans[2].plan).kind is Kind.ADVERT


def test_attempts_count_masked_inputs_whichever_round_they_were_in(world):
    """A plan of two attempts: two rounds may reach the data, a third may not begin."""
    proposal = world.propose()
    for nonce in (1, 2):
        round_ = Rehearsal(world, proposal, nonce=nonce).until(Kind.SHARES)
        assert round_.seats[ME].ask(round_.message(Kind.SHARES, ME)).kind is Kind.MASKED_INPUT
        for seat in round_.seats.values():
            seat.ask(abort(round_.sid))
    me = world.seat()
    said = me.invite(proposal.plan, nonce=3, attempt=2)
    assert (said.kind, said.rule) == (Kind.REFUSAL, "attempts")
    assert world.seat(OTHER).invite(proposal.plan, nonce=3, attempt=2).kind is Kind.ADVERT  # it sent none


# The answer comes back


def release_of(round_: Rehearsal, result: SecureSum, **changes: Any) -> Any:
    made = make_release(
        round_.plan,
        result,
        schema=SCHEMA,
        sid=round_.sid,
        councils=[CouncilRecord(council=c, name=c, outcome="contributed") for c in round_.plan.eligible],
        now=NOW,
        software="test",
    )
    return made.model_copy(update=changes)


def released(sid: bytes, content: bytes) -> bytes:
    return LinkMessage(kind=Kind.RELEASE, reference=sid, payload=content).encode()


def test_the_sum_of_five_real_nodes_is_theirs_and_each_keeps_the_answer(world):
    round_ = rehearse(world).until(Kind.STATEMENTS)
    exact = np.sum([seat.station.compute(round_.plan).vector for seat in round_.seats.values()], axis=0)
    result = round_.unmask()
    noise = round_.plan.released_noise(0, joined=5, contributors=5)
    assert np.abs(result.total - exact).max() <= float(noise.half_width(SURE)[0])
    assert exact.sum() == 5 * 60
    content = release_of(round_, result).encode()
    for seat in round_.seats.values():
        said = seat.ask(released(round_.sid, content))
        assert said.kind is Kind.RECEIPT
        body = open_statement("receipt", said.payload, trusted_keys(seat.key.public))
        assert body["release_digest"] == sha256(content).hex()
        (receipt,) = receipts(seat.station.store)
        assert (receipt.answered, receipt.same_councils, receipt.cost.charged) == (True, True, True)


def test_a_release_of_a_round_we_were_not_in_is_refused(world):
    round_ = rehearse(world).until(Kind.STATEMENTS)
    result = round_.unmask()
    me = round_.seats[ME]
    true = release_of(round_, result)
    elsewhere = bytes(32)
    for sid, release in (
        (elsewhere, true.model_copy(update={"sid": elsewhere.hex()})),  # a round nobody knows
        (elsewhere, true),  # sent for another round than its own
        (round_.sid, true.model_copy(update={"plan_digest": elsewhere.hex()})),  # of another plan
    ):
        assert rule_of(me.ask(released(sid, release.encode()))) == "release"
    assert me.ask(released(round_.sid, b"{}")).kind is Kind.FAULT
    assert receipts(me.station.store) == ()
    assert me.ask(released(round_.sid, true.encode())).kind is Kind.RECEIPT


def test_a_release_of_one_attempt_is_not_taken_for_another(world):
    """Both rounds are of one plan, and this council sent a masked input in both."""
    proposal = world.propose()
    first = Rehearsal(world, proposal, nonce=1).until(Kind.STATEMENTS)
    second = Rehearsal(world, proposal, nonce=2).until(Kind.SURVIVORS)
    true = release_of(first, first.unmask()).encode()
    me = world.seat()
    assert me.state(first.sid) == me.state(second.sid) == "spent"
    assert rule_of(me.ask(released(second.sid, true))) == "release"
    assert me.ask(second.message(Kind.SURVIVORS, ME)).kind is Kind.CONFIRMATION  # the round goes on
    assert me.ask(released(first.sid, true)).kind is Kind.RECEIPT


@pytest.mark.parametrize("ready", [Kind.ADVERTS, Kind.SHARES], ids=lambda stage: stage.name.lower())
def test_a_release_of_a_round_we_have_sent_nothing_in_is_refused(world, ready):
    """A sum cannot hold what was never sent; believing it would leave the reservation in the air."""
    finished = rehearse(world).until(Kind.STATEMENTS)
    true = release_of(finished, finished.unmask())
    round_ = rehearse(world).until(ready)
    me = round_.seats[ME]
    false = true.model_copy(update={"sid": round_.sid.hex(), "plan_digest": round_.plan.digest.hex()})
    assert rule_of(me.ask(released(round_.sid, false.encode()))) == "release"
    assert me.charge(round_.sid).state is RoundState.RESERVED
    if ready is Kind.ADVERTS:
        assert me.ask(round_.message(ready, ME)).kind is Kind.KEY_SHARES  # the round goes on
    me.ask(abort(round_.sid))
    assert me.state(round_.sid) == "released"
    assert rule_of(me.ask(released(round_.sid, false.encode()))) == "release"


def test_a_node_that_was_restarted_takes_the_answer_to_what_it_sent(world):
    round_ = rehearse(world).until(Kind.STATEMENTS)
    result = round_.unmask()
    me = round_.seats[ME]
    me.restart()
    assert me.ask(released(round_.sid, release_of(round_, result).encode())).kind is Kind.RECEIPT


def test_a_release_that_names_other_councils_than_we_signed_is_noticed(world):
    round_ = rehearse(world).until(Kind.STATEMENTS)
    result = round_.unmask()
    me = round_.seats[ME]
    others = tuple(
        CouncilRecord(council=c, name=c, outcome="contributed" if c != OTHER else "dropped")
        for c in round_.plan.eligible
    )
    assert me.ask(released(round_.sid, release_of(round_, result, councils=others).encode())).kind is Kind.RECEIPT
    (receipt,) = receipts(me.station.store)
    assert receipt.same_councils is False


# Requests that are none


def test_bytes_that_are_no_request_get_one_plain_sentence(world):
    me = world.seat()
    for request in (b"", b"\1", bytes(200), me.send(abort(bytes(32)))):
        said = me.ask(request)
        assert said.kind is Kind.FAULT
        assert said.words.rstrip(".").strip()
        assert "Traceback" not in json.dumps(dict(said.body))


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name.lower())
def test_a_stage_of_a_round_we_were_never_invited_to_is_refused(world, stage):
    me = world.seat()
    before = me.station.ledger.head
    request = LinkMessage(kind=stage, reference=sha256(b"a round of somebody else"), payload=b"anything").encode()
    assert rule_of(me.ask(request)) == "unknown_round"
    assert me.station.ledger.head == before


def late_at(seat: Seat, now: datetime) -> list[str]:
    rounds = seat.station.ledger.rounds()
    return [item.title for item in overdue_answers(seat.station.store, rounds, now)]


def test_an_answer_that_does_not_come_back_is_overdue_after_its_day(world, capsys):
    """Whatever the coordinator says: the council finds it in its own files, and `status` says so (R12)."""
    round_ = rehearse(world).until(Kind.SURVIVORS)
    me, due = round_.seats[ME], round_.plan.terms.return_by
    title = round_.plan.question.title
    assert late_at(me, due) == []
    assert late_at(me, due + timedelta(seconds=1)) == [title]
    me.ask(abort(round_.sid))
    assert late_at(me, due + timedelta(days=1)) == [title]

    found = node_status(me.station.settings, due + timedelta(days=1))
    assert [item["plan_digest"] for item in found.as_json()["overdue"]] == [round_.plan.digest.hex()]
    print_status(found)
    assert f"The answer to '{title}' was promised by" in " ".join(capsys.readouterr().out.split())


def test_an_answer_that_came_is_not_overdue_nor_one_to_which_nothing_was_given(world):
    later = NOW + timedelta(days=30)
    gave_nothing = rehearse(world).until(Kind.SHARES).seats[ME]
    assert late_at(gave_nothing, later) == []


def test_an_answer_of_any_attempt_is_the_answer(world):
    proposal = world.propose()
    first = Rehearsal(world, proposal, nonce=1).until(Kind.SURVIVORS)
    second = Rehearsal(world, proposal, nonce=2).until(Kind.STATEMENTS)
    me, later = second.seats[ME], NOW + timedelta(days=30)
    me.ask(abort(first.sid))
    assert len(late_at(me, later)) == 1
    assert me.ask(released(second.sid, release_of(second, second.unmask()).encode())).kind is Kind.RECEIPT
    assert late_at(me, later) == []
