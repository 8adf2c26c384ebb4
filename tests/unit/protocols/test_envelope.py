"""Signed messages: what a signature covers."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.encoding import sha256
from protocols.envelope import SignedMessage, read_signed, sign_message, verify_message
from protocols.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId, RoundId
from protocols.wire.codec import Reader

KEY = Ed25519PrivateKey.from_private_bytes(b"i" * 32)
IDENTITY = KEY.public_key().public_bytes_raw()
SID = RoundId(sha256(b"sid"))
MESSAGE = sign_message(sid=SID, stage=3, sender=CouncilId("E06000001"), body=b"body", sign=KEY.sign)


def read(content, **expected):
    reader = Reader(content, what="the message", limit=1000)
    message = read_signed(reader, **{"stage": 3, "body_size": 4} | expected)
    reader.finish()
    return message


def test_a_message_survives_the_wire_and_verifies():
    assert read(MESSAGE.encode()) == MESSAGE
    verify_message(MESSAGE, sid=SID, identity=IDENTITY)


@pytest.mark.parametrize(
    "change",
    [{"stage": 4}, {"sender": CouncilId("E06000002")}, {"body": b"Body"}, {"signature": bytes(64)}],
)
def test_every_field_is_signed(change):
    fields = {name: getattr(MESSAGE, name) for name in ("stage", "sender", "body", "signature")} | change
    with pytest.raises(RemoteProtocolError) as caught:
        verify_message(SignedMessage(**fields), sid=SID, identity=IDENTITY)
    assert caught.value.culprit == fields["sender"]


def test_a_message_of_another_round_or_key_does_not_verify():
    other = Ed25519PrivateKey.from_private_bytes(b"j" * 32).public_key().public_bytes_raw()
    with pytest.raises(RemoteProtocolError):
        verify_message(MESSAGE, sid=RoundId(sha256(b"other")), identity=IDENTITY)
    with pytest.raises(RemoteProtocolError):
        verify_message(MESSAGE, sid=SID, identity=other)


def test_another_stage_version_or_length_is_malformed():
    content = MESSAGE.encode()
    with pytest.raises(MalformedMessage, match="stage 3; 4 was expected"):
        read(content, stage=4)
    with pytest.raises(MalformedMessage, match="version 2; 1 was expected"):
        read(b"\2" + content[1:])
    with pytest.raises(MalformedMessage, match="at most 3"):
        read(content, body_size=3)
    with pytest.raises(MalformedMessage, match="has 4 bytes; 5 were expected"):
        read(content, body_size=5)


def test_a_signer_that_signs_nothing_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        sign_message(sid=SID, stage=3, sender=CouncilId("E06000001"), body=b"", sign=lambda content: b"")


def test_an_identity_of_another_length_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        verify_message(MESSAGE, sid=SID, identity=b"short")


def test_a_body_does_not_show():
    assert "body" not in repr(MESSAGE)
