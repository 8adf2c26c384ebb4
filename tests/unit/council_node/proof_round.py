"""A small federation with something to show: one answered round, one that broke off after the charge, and a refusal."""

from pathlib import Path

from federated.release import CouncilRecord, make_release
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import ME, NOW, SCHEMA, Rehearsal, Seat, World, abort


def answered(world: World, *, nonce: int = 1) -> Rehearsal:
    """A round to its end, with the answer kept by every node."""
    rehearsal = Rehearsal(world, world.propose(), nonce=nonce).until(Kind.STATEMENTS)
    result = rehearsal.unmask()
    release = make_release(
        rehearsal.plan,
        result,
        schema=SCHEMA,
        sid=rehearsal.sid,
        councils=[CouncilRecord(council=c, name=c, outcome="contributed") for c in rehearsal.plan.eligible],
        now=NOW,
        software="test",
    )
    for seat in rehearsal.seats.values():
        reply = LinkMessage(kind=Kind.RELEASE, reference=rehearsal.sid, payload=release.encode()).encode()
        assert seat.ask(reply).kind is Kind.RECEIPT
    return rehearsal


def broken_off(world: World) -> Rehearsal:
    """A round that ended after this council's masked input had left."""
    rehearsal = Rehearsal(world, world.propose(), nonce=2).until(Kind.SURVIVORS)
    for seat in rehearsal.seats.values():
        seat.ask(abort(rehearsal.sid))
    return rehearsal


def eventful(folder: Path) -> tuple[World, Seat, Rehearsal]:
    """A world whose node ME has an answered round, a broken one, and a question it refused."""
    world = World(folder)
    round_ = answered(world)
    broken_off(world)
    seat = world.seat(ME)
    seat.policy(paused=True)
    assert seat.propose(world.propose()).body["decision"] == "refused"
    seat.policy(paused=False)
    return world, seat, round_
