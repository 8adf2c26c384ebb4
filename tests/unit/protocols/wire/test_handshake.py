"""What a council signs when it connects or enrols."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId
from protocols.wire.handshake import (
    check_enrol_proof,
    check_link_proof,
    choose_version,
    enrol_statement,
    link_statement,
)

COUNCIL = CouncilId("E06000001")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
PARTS = {
    "nonce": bytes(32),
    "coordinator_id": "coordinator",
    "council": COUNCIL,
    "server_name": "host.example",
    "version": 1,
    "offered": (1,),
}


def test_the_statement_is_fixed() -> None:
    expected = b"".join(
        len(part).to_bytes(8, "big") + part
        for part in (b"link/v1", bytes(32), b"coordinator", b"E06000001", b"host.example", b"\0\0\0\1\0\0\0\1")
    )
    assert link_statement(**PARTS) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": b"\x01" + bytes(31)},
        {"coordinator_id": "other"},
        {"council": CouncilId("E06000002")},
        {"server_name": "relay.example"},
        {"version": 2},
        {"offered": (1, 2)},
    ],
)
def test_a_proof_holds_for_nothing_else(change) -> None:
    signature = KEY.sign(link_statement(**PARTS))
    check_link_proof(PUBLIC, signature, link_statement(**PARTS), COUNCIL)
    with pytest.raises(RemoteProtocolError, match="E06000001 did not prove"):
        check_link_proof(PUBLIC, signature, link_statement(**{**PARTS, **change}), COUNCIL)


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(65)])
def test_a_proof_that_is_no_signature_is_refused(signature) -> None:
    with pytest.raises(RemoteProtocolError):
        check_link_proof(PUBLIC, signature, link_statement(**PARTS), COUNCIL)


def test_host_names_are_compared_without_case() -> None:
    assert link_statement(**{**PARTS, "server_name": "HOST.example"}) == link_statement(**PARTS)


def test_the_version_in_use_is_chosen_and_odd_offers_refused() -> None:
    assert choose_version([1]) == choose_version([1, 2, 9]) == 1
    for offer in ([], [2], [1, 1], [2, 1], list(range(1, 18))):
        with pytest.raises(MalformedMessage):
            choose_version(offer)


def test_a_link_proof_and_an_enrolment_proof_are_not_each_other() -> None:
    check_enrol_proof(COUNCIL, PUBLIC, KEY.sign(enrol_statement(COUNCIL, PUBLIC)))
    with pytest.raises(RemoteProtocolError):
        check_enrol_proof(COUNCIL, PUBLIC, KEY.sign(link_statement(**PARTS)))
    with pytest.raises(MalformedMessage, match="32 bytes, not 31"):
        check_enrol_proof(COUNCIL, PUBLIC[:31], bytes(64))
