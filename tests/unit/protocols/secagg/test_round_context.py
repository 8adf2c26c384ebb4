"""What the parties agree on before a round."""

import pytest

from protocols.encoding import sha256
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.identifiers import CouncilId, RoundId
from protocols.ring import Ring
from protocols.secagg import CohortRules, LedgerClaim, Profile, RoundContext, round_id
from protocols.suite import Suite

IDS = tuple(CouncilId(f"E0000000{number}") for number in range(1, 6))
FIELDS = {
    "sid": RoundId(sha256(b"sid")),
    "plan_digest": sha256(b"plan"),
    "eligible": IDS,
    "identities": {council: sha256(council.encode()) for council in IDS},
    "rules": CohortRules(profile=Profile.CAREFUL, eligible_count=5, min_cohort=5, min_honest=3),
    "ring": Ring(bits=32),
    "cells": 10,
    "suite": Suite.X25519,
    "holder": None,
}
ROUND = {
    "plan_digest": sha256(b"plan"),
    "roster_digest": sha256(b"roster"),
    "coordinator_id": "coordinator",
    "attempt": 1,
    "nonce": bytes(32),
}


def test_a_good_context_is_accepted():
    context = RoundContext(**FIELDS)
    assert context.vector_bytes == 40
    assert context.identity(IDS[2]) == sha256(IDS[2].encode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"sid": b"short"},
        {"plan_digest": b"short"},
        {"cells": 0},
        {"eligible": IDS[::-1]},
        {"eligible": (*IDS[:4], IDS[3])},
        {"eligible": IDS[:4]},
        {"identities": {council: sha256(council.encode()) for council in IDS[:4]}},
        {"identities": dict.fromkeys(IDS, bytes(32))},
        {"identities": {council: sha256(council.encode()) for council in (*IDS, "E00000009")}},
        {"identities": {council: sha256(council.encode()) for council in (*IDS[:4], "E00000009")}},
        {"identities": {council: council.encode() for council in IDS}},
    ],
)
def test_a_context_that_could_be_read_in_two_ways_is_refused(wrong):
    with pytest.raises(LocalProtocolError):
        RoundContext(**FIELDS | wrong)


def test_no_round_is_made_without_saying_what_its_keys_are_agreed_with():
    """Whoever forgot it would run the weaker suite under an agreement that asks for the stronger."""
    with pytest.raises(TypeError, match="suite"):
        RoundContext(**{name: value for name, value in FIELDS.items() if name != "suite"})


def test_a_council_that_is_not_eligible_has_no_identity():
    with pytest.raises(RemoteProtocolError, match="E00000009 is not one of the 5 eligible"):
        RoundContext(**FIELDS).identity(CouncilId("E00000009"))


def test_every_part_of_a_round_id_matters():
    changes = [
        {},
        {"plan_digest": sha256(b"x")},
        {"roster_digest": sha256(b"x")},
        {"coordinator_id": "x"},
        {"attempt": 2},
        {"nonce": b"x" * 32},
    ]
    assert len({round_id(**ROUND | change) for change in changes}) == len(changes)
    assert round_id(**ROUND) == round_id(**ROUND)


@pytest.mark.parametrize("wrong", [{"attempt": 0}, {"nonce": b"short"}, {"plan_digest": b""}, {"roster_digest": b""}])
def test_an_incomplete_round_id_is_refused(wrong):
    with pytest.raises(LocalProtocolError):
        round_id(**ROUND | wrong)


@pytest.mark.parametrize(
    "wrong", [{"counter": -1}, {"counter": 2**64}, {"head": b""}, {"seen": (1, -1)}, {"seen": (2**64,)}]
)
def test_a_claim_that_does_not_fit_an_advert_is_refused(wrong):
    with pytest.raises(LocalProtocolError):
        LedgerClaim(**{"counter": 1, "head": bytes(32), "seen": (0, 2**64 - 1)} | wrong)
