"""Requests and replies over a relay: read exactly, and a signature that fits nothing but its own request."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.encoding import length_prefixed
from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId
from protocols.wire.handshake import check_link_proof, link_statement
from protocols.wire.relayed import RelayedKind, RelayedReply, RelayedRequest, relayed_statement

COUNCIL = CouncilId("E06000001")
REQUEST = RelayedRequest(
    kind=RelayedKind.ASK, nonce=bytes(range(32)), coordinator_id="hub", ticket=b"t" * 32, body=b"question"
)
REPLY = RelayedReply(council=COUNCIL, signature=bytes(64), body=b"answer")
PLACE = "flower/1/2"


@pytest.mark.parametrize("message", [REQUEST, replace(REQUEST, kind=RelayedKind.PROVE, body=b""), REPLY])
def test_what_is_written_is_read_back_and_nothing_else_is(message):
    content = message.encode()
    kind = type(message)
    assert kind.decode(content) == message
    assert kind.decode(content).encode() == content
    for cut in range(len(content)):
        with pytest.raises(MalformedMessage):
            kind.decode(content[:cut])
    for other in (content + b"x", bytes([2]) + content[1:]):
        with pytest.raises(MalformedMessage):
            kind.decode(other)


def test_a_kind_that_does_not_exist_is_refused():
    content = REQUEST.encode()
    with pytest.raises(MalformedMessage, match="kind 9"):
        RelayedRequest.decode(content[:1] + b"\x09" + content[2:])


def test_a_body_beyond_the_limit_is_refused():
    with pytest.raises(MalformedMessage, match="at most"):
        RelayedRequest.decode(replace(REQUEST, body=bytes(2000)).encode(), limit=100)
    with pytest.raises(MalformedMessage, match="at most"):
        RelayedReply.decode(replace(REPLY, body=bytes(100)).encode(), limit=99)


def test_a_signature_fits_its_own_request_reply_council_and_place_alone():
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    signed = key.sign(relayed_statement(REQUEST.asked, council=COUNCIL, place=PLACE, body=b"answer"))
    fits = {"request": REQUEST, "council": COUNCIL, "place": PLACE, "body": b"answer"}

    def check(**changes):
        parts = fits | changes
        check_link_proof(public, signed, relayed_statement(parts.pop("request").asked, **parts), COUNCIL)

    check()
    for changes in (
        {"request": replace(REQUEST, nonce=bytes(32))},
        {"request": replace(REQUEST, coordinator_id="other")},
        {"request": replace(REQUEST, body=b"other question")},
        {"request": replace(REQUEST, kind=RelayedKind.PROVE)},
        {"council": CouncilId("E06000002")},
        {"place": "flower/1/3"},
        {"body": b"other answer"},
    ):
        with pytest.raises(RemoteProtocolError):
            check(**changes)


def test_a_proof_holds_the_links_own_statement_with_the_place_where_the_tls_name_stands_and_the_ticket():
    request = replace(REQUEST, kind=RelayedKind.PROVE, body=b"")
    said = relayed_statement(request.asked, council=COUNCIL, place=PLACE, body=b"ticket")
    own = link_statement(
        nonce=request.nonce, coordinator_id="hub", council=COUNCIL, server_name=PLACE, version=1, offered=(1,)
    )
    assert said == length_prefixed("relayed-proof/v1", own, b"ticket")
