"""An agreement that asks for masks which withstand a quantum computer: nodes hold rounds so, and only so."""

import json

import numpy as np
import pytest

from federated.agreement_words import describe
from federated.differences import Way, compare
from federated.errors import PolicyRefusal
from federated.plan import derive_plan, open_plan
from federated.privacy import Mechanism
from federated.round_context import round_context
from protocols.encoding import canonical_json
from protocols.secagg import Stage, size_limit
from protocols.suite import Suite
from protocols.wire.link_message import Kind
from tests.integration.federation_world import SCHEMA, Rehearsal, World

HYBRID = {"key_agreement": "x25519+mlkem768"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("hybrid"), agreement=HYBRID) as made:
        yield made


def test_a_round_is_held_with_the_keys_that_the_agreement_asks_for(world):
    proposal = world.propose()
    assert proposal.plan.suite is Suite.HYBRID
    round_ = Rehearsal(world, proposal)
    adverts = round_.invite()
    context = round_context(proposal.plan, world.roster, round_.sid, b"")
    keys = 2 * Suite.HYBRID.public_size
    assert all(keys < len(advert) <= size_limit(Stage.ADVERT, context) for advert in adverts.values())
    round_.share_keys()
    round_.masked_inputs()
    round_.confirm()
    found = round_.unmask()
    assert found.u3 == tuple(world.councils)
    # Noise of the plan, and no mask left: one would be uniform over 64 bits.
    assert np.abs(found.total).max() < 2**40


def test_a_coordinator_that_would_have_the_weaker_keys_is_refused(world):
    plan = world.propose().plan
    document = json.loads(plan.encode())
    assert document["cohort"].pop("key_agreement") == "x25519+mlkem768"
    with pytest.raises(PolicyRefusal, match="'cohort'"):
        open_plan(canonical_json(document), agreement=world.agreement, roster=world.roster, schema=SCHEMA)
    (world.folder / "weaker").mkdir()
    with World(world.folder / "weaker") as other:
        weaker = other.propose().plan
        assert "key_agreement" not in json.loads(weaker.encode())["cohort"]
        adverts = Rehearsal(other, other.propose()).until(Kind.ADVERTS).requests
    strong = Rehearsal(world, world.propose()).until(Kind.ADVERTS)
    council = world.councils[0]
    reply = world.seat(council).send(strong.packed(Kind.ADVERTS, adverts[council]))
    assert "bytes; " in world.seat(council).read(reply).body["reason"]


def test_people_are_told_which_keys_and_which_are_weaker(world):
    _, usual = world.make_agreement()
    assert any("quantum computer" in line for line in describe(world.agreement))
    assert not any("quantum computer" in line for line in describe(usual))
    (weaker,) = compare(world.agreement, usual)
    (stronger,) = compare(usual, world.agreement)
    assert (weaker.way, stronger.way) == (Way.LOOSER, Way.STRICTER)
    assert "key agreement" in weaker.said


def test_plans_of_agreements_that_do_not_say_keep_their_bytes(world):
    _, usual = world.make_agreement()
    plan = derive_plan(
        world.question(),
        agreement=usual,
        roster=world.roster,
        schema=SCHEMA,
        mechanism=Mechanism.DISCRETE_LAPLACE,
        terms=world.terms(world.manifest),
    )
    assert plan.suite is Suite.X25519
    assert set(json.loads(plan.encode())["cohort"]) == {"profile", "max_colluders", "min_cohort", "min_honest"}
