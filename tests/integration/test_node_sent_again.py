"""What a coordinator sends again, as it was or otherwise, neither fills the council's disk nor rewrites what it kept."""

import json

import pytest

from council_node.node_store import DocumentKind
from council_node.receipts import receipts
from federated.manifest import MANIFEST_TYPE
from federated.signing import sign_payload
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import ANALYST, ME, Proposal, World
from tests.unit.council_node.proof_round import answered


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as made:
        yield made


def revisions(seat, kind, name):
    return len(seat.station.store.history(kind, name))


def test_an_answer_sent_again_is_acknowledged_and_kept_once(world):
    round_, seat = answered(world), world.seat(ME)
    name = round_.sid.hex()
    content = seat.station.store.latest(DocumentKind.RELEASE, name).body
    for _ in range(3):
        again = LinkMessage(kind=Kind.RELEASE, reference=round_.sid, payload=content).encode()
        assert seat.ask(again).kind is Kind.RECEIPT
    assert [revisions(seat, kind, name) for kind in (DocumentKind.RELEASE, DocumentKind.RECEIPT)] == [1, 1]


def test_another_answer_of_the_same_round_is_refused(world):
    """Else the coordinator could publish one thing, and have the council's receipt name another."""
    round_, seat = answered(world), world.seat(ME)
    store = seat.station.store
    before = receipts(store)
    body = json.loads(store.latest(DocumentKind.RELEASE, round_.sid.hex()).body)
    body["councils"][0]["name"] = "Another council"
    other = LinkMessage(kind=Kind.RELEASE, reference=round_.sid, payload=json.dumps(body).encode()).encode()
    said = seat.ask(other)
    assert (said.kind, "another answer of that round" in said.words) == (Kind.FAULT, True)
    seat.restart()
    assert seat.ask(other).kind is Kind.FAULT
    assert receipts(seat.station.store) == before


def test_a_proposal_spelt_in_many_ways_is_kept_once_for_each_manifest(world):
    seat, proposal = world.seat(ME), world.propose()
    for spaces in range(4):
        spelt = proposal.request(manifest=proposal.manifest.decode() + " " * spaces)
        assert seat.ask(spelt).body["decision"] == "approved"
    name = proposal.plan.digest.hex()
    assert revisions(seat, DocumentKind.PROPOSAL, name) == 1
    manifest = world.make_manifest(decision="In June 2026 the board decides which two towns get a night shelter.")
    other = Proposal(
        plan=proposal.plan,
        content=proposal.content,
        envelope=proposal.envelope,
        manifest=sign_payload(manifest, MANIFEST_TYPE, [ANALYST]),
    )
    assert seat.propose(other).rule == "manifest_mismatch"
    assert seat.propose(proposal).body["decision"] == "approved"
    assert revisions(seat, DocumentKind.PROPOSAL, name) == 3
