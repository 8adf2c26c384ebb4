"""Whoever sees how long a council's messages are learns the plan and who takes part, and nothing of its records."""

import csv

import pytest

from council_node.link_session import own_fault
from federated.errors import InternalError, PolicyRefusal
from protocols.wire import link_message
from protocols.wire.chunks import chunks_of
from protocols.wire.council_link_pb2 import NodeFrame
from protocols.wire.link_message import ASKED_OF_COUNCILS, IN_WORDS, WORDS_BYTES, Kind, LinkMessage
from tests.integration.federation_world import CANARY, COUNCILS, ME, SCHEMA, Rehearsal, World, abort, invitation
from tests.unit.council_node.proof_round import answered

HEADINGS = ("household_key", "assessment_date", "assessment_outcome", "household_type", "free_text")
OUTCOMES = tuple(code.code for code in SCHEMA.dataset("case").columns["assessment_outcome"].codes)
KINDS = tuple(code.code for code in SCHEMA.dataset("case").columns["household_type"].codes)


def nobody(number):
    return []


def one_huge_cell(number):
    return [f"{CANARY}-{number}", "2025-02-03", OUTCOMES[0], KINDS[0], ""]


def every_cell(number):
    return [f"{CANARY}-{number}", "2025-01-31", OUTCOMES[number % len(OUTCOMES)], KINDS[number % len(KINDS)], "x" * 40]


def broken(number):
    return [CANARY * (number % 9), "2025-02-30", f"{CANARY}\x00{number}", "purple", '"' * number]


RECORDS = {
    "nobody": (nobody, 0),
    "twenty thousand in one cell": (one_huge_cell, 20_000),
    "some in every cell": (every_cell, 500),
    "rows that cannot be used": (broken, 500),
}


def write_records(seat, records):
    row, count = RECORDS[records]
    with (seat.folder / "extract.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        writer.writerows(row(number) for number in range(count))


def bytes_on_the_link(reply):
    """Of all frames that carry a reply over our own link."""
    return tuple(NodeFrame(reply=chunk).ByteSize() for chunk in chunks_of(1, reply))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("sizes"), councils=COUNCILS[:5]) as made:
        yield made


def sizes_of_a_round(world, records, nonce):
    """The sizes of what one council's node replies to each kind of request, from the question to the answer."""
    seat, sizes = world.seat(ME), {}
    write_records(seat, records)
    answer = seat.node.answer

    def watched(request):
        reply = answer(request)
        sizes.setdefault(LinkMessage.decode(request).kind, []).append(bytes_on_the_link(reply))
        return reply

    seat.node.answer = watched
    answered(world, nonce=nonce)
    seat.ask(LinkMessage(kind=Kind.BUDGET_REQUEST, reference=bytes(32), payload=b"").encode())
    seat.node.answer = answer
    return sizes


def test_every_message_of_a_round_is_as_long_whatever_the_records_are(world):
    found = {records: sizes_of_a_round(world, records, nonce) for nonce, records in enumerate(RECORDS, start=50)}
    first = found["nobody"]
    assert first.keys() == ASKED_OF_COUNCILS - {Kind.ABORT, Kind.ROSTER}
    for records, sizes in found.items():
        assert sizes == first, records


# What is refused, complained of, or fails: as long as anything else of its stage that is said in words.

ON_THE_LINK = bytes_on_the_link(LinkMessage(kind=Kind.FAULT, reference=bytes(32), payload=b"{}").encode())
LONG = f"Line 17 of cases.csv: {CANARY}-3 is not a number. " * 20
FAILURES = (PolicyRefusal("a_rule", "Short."), PolicyRefusal("a_rule", LONG), InternalError(LONG))


def raises(failure):
    def fail(*_):
        raise failure

    return fail


def refused(world):
    """Replies of ME to what is refused or cannot be understood, at any time."""
    me = world.seat(ME)
    round_ = Rehearsal(world, world.propose(), nonce=1).until(Kind.ADVERTS)
    yield me.send(round_.packed(Kind.ADVERTS, b"no such message"))  # a complaint
    yield me.send(round_.message(Kind.ADVERTS, ME))  # of a round that has ended
    yield me.send(abort(round_.sid))
    yield me.send(b"no such message")
    me.policy(paused=True)
    yield me.send(world.propose().request())
    yield me.send(invitation(world, round_.plan, nonce=2))
    me.policy(paused=False)
    yield own_fault(round_.message(Kind.ADVERTS, ME))


def failed_readings(world):
    """Replies of ME in rounds in which its records cannot be read, or not be counted."""
    me = world.seat(ME)
    for nonce, failure in enumerate(FAILURES, start=3):
        round_ = Rehearsal(world, world.propose(), nonce=nonce).until(Kind.SHARES)
        me.station.compute = raises(failure)
        yield me.send(round_.message(Kind.SHARES, ME))
        del me.station.compute
        for seat in world.seats().values():
            seat.ask(abort(round_.sid))


def test_whatever_is_said_in_words_is_as_long(world):
    replies = [*refused(world), *failed_readings(world)]
    assert {LinkMessage.decode(reply).kind for reply in replies} == IN_WORDS - {Kind.BUDGET_STATEMENT}
    assert {bytes_on_the_link(reply) for reply in replies} == {ON_THE_LINK}


def test_words_that_are_not_filled_up_are_seen(world, monkeypatch):
    monkeypatch.setattr(link_message, "_filled", lambda words: words)
    assert len({bytes_on_the_link(reply) for reply in failed_readings(world)}) > 1


def test_the_sizes_seen_are_those_of_the_frames():
    assert ON_THE_LINK[0] > WORDS_BYTES
    assert bytes_on_the_link(bytes(10)) != bytes_on_the_link(bytes(11))
