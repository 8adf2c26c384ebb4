"""The link message: one encoding, strictly read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.wire.link_message import (
    IN_WORDS,
    MESSAGE_LIMIT,
    NO_REFERENCE,
    REPLIES,
    WORDS_BYTES,
    Kind,
    LinkMessage,
    fault,
)

REFERENCE = bytes(range(32))
HEAD = 2 + len(REFERENCE) + 4
GOOD = LinkMessage(kind=Kind.SHARES, reference=REFERENCE, payload=b"payload").encode()


@given(st.sampled_from(Kind), st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_what_is_encoded_is_decoded(kind, reference, payload) -> None:
    message = LinkMessage(kind=kind, reference=reference, payload=payload.rstrip() if kind in IN_WORDS else payload)
    assert LinkMessage.decode(message.encode()) == message


@pytest.mark.parametrize("kind", sorted(IN_WORDS))
@pytest.mark.parametrize(("length", "filled"), [(0, 1), (1, 1), (WORDS_BYTES, 1), (WORDS_BYTES + 1, 2)])
def test_words_are_as_long_as_other_words(kind, length, filled) -> None:
    message = LinkMessage(kind=kind, reference=REFERENCE, payload=b"w" * length)
    encoded = message.encode()
    assert len(encoded) == HEAD + filled * WORDS_BYTES
    assert LinkMessage.decode(encoded) == message


def filled_otherwise(kind, payload):
    return b"\x01" + bytes([kind]) + REFERENCE + len(payload).to_bytes(4, "big") + payload


@pytest.mark.parametrize("kind", sorted(IN_WORDS))
@pytest.mark.parametrize("payload", [b"", b"{}", b"{}".ljust(WORDS_BYTES - 1), b"{}".ljust(2 * WORDS_BYTES)])
def test_words_filled_up_otherwise_are_refused(kind, payload) -> None:
    with pytest.raises(MalformedMessage, match="not filled up"):
        LinkMessage.decode(filled_otherwise(kind, payload))
    assert LinkMessage.decode(filled_otherwise(kind, b"{}".ljust(WORDS_BYTES))).payload == b"{}"


def test_words_that_end_with_a_blank_are_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError, match="blank"):
        LinkMessage(kind=Kind.FAULT, reference=REFERENCE, payload=b"{} ").encode()


def test_the_replies_in_words_are_those_that_are_no_message_of_the_protocol() -> None:
    of_councils = {Kind.ADVERT, Kind.KEY_SHARES, Kind.MASKED_INPUT, Kind.CONFIRMATION, Kind.UNMASK}
    of_the_protocol = of_councils | {Kind.HELD, Kind.OPENED}
    assert frozenset().union(*REPLIES.values()) == IN_WORDS | of_the_protocol


@given(st.binary(max_size=80))
def test_what_decodes_encodes_to_the_same_bytes(content) -> None:
    try:
        message = LinkMessage.decode(content)
    except MalformedMessage:
        return
    assert message.encode() == content


def test_the_layout_is_fixed() -> None:
    assert GOOD == b"\x01\x07" + REFERENCE + b"\x00\x00\x00\x07" + b"payload"
    assert [kind.value for kind in Kind] == list(range(1, len(Kind) + 1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x02" + GOOD[1:],
        b"\x00" + GOOD[1:],
        GOOD[:1] + b"\x00" + GOOD[2:],
        GOOD[:1] + bytes([len(Kind) + 1]) + GOOD[2:],
        GOOD + b"\x00",
        GOOD[:34] + b"\x00\x00\x00\x06" + GOOD[38:],
        GOOD[:34] + b"\x00\x00\x00\x08" + GOOD[38:],
        GOOD[:34] + b"\xff\xff\xff\xff" + GOOD[38:],
        *(GOOD[:length] for length in range(1, len(GOOD))),
    ],
)
def test_anything_else_is_refused(content) -> None:
    with pytest.raises(MalformedMessage):
        LinkMessage.decode(content)


def test_the_limit_is_on_the_whole_message() -> None:
    assert LinkMessage.decode(GOOD, limit=len(GOOD)).payload == b"payload"
    with pytest.raises(MalformedMessage, match=f"{len(GOOD)} bytes; at most {len(GOOD) - 1}"):
        LinkMessage.decode(GOOD, limit=len(GOOD) - 1)
    assert MESSAGE_LIMIT == 64 * 2**20


def test_a_reference_of_another_length_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        LinkMessage(kind=Kind.ABORT, reference=b"short", payload=b"").encode()


def test_the_payload_is_in_no_repr() -> None:
    assert "payload" not in repr(LinkMessage(kind=Kind.ABORT, reference=NO_REFERENCE, payload=b"secret"))


@pytest.mark.parametrize("request_kind", Kind)
@pytest.mark.parametrize("reply_kind", Kind)
def test_every_pair_of_request_and_reply(request_kind, reply_kind) -> None:
    request = LinkMessage(kind=request_kind, reference=REFERENCE, payload=b"")
    reply = LinkMessage(kind=reply_kind, reference=REFERENCE, payload=b"")
    if request_kind not in REPLIES:
        with pytest.raises(LocalProtocolError):
            request.check_reply(reply)
    elif reply_kind in REPLIES[request_kind]:
        request.check_reply(reply)
    else:
        with pytest.raises(MalformedMessage, match=f"{request_kind.name} was answered by {reply_kind.name}"):
            request.check_reply(reply)


def test_a_reply_about_something_else_is_refused() -> None:
    request = LinkMessage(kind=Kind.SHARES, reference=REFERENCE, payload=b"")
    with pytest.raises(MalformedMessage, match="another plan or round"):
        request.check_reply(LinkMessage(kind=Kind.MASKED_INPUT, reference=NO_REFERENCE, payload=b""))


def test_a_fault_is_json_with_a_version() -> None:
    message = fault(REFERENCE, "internal", "a sentence")
    assert (message.kind, message.reference) == (Kind.FAULT, REFERENCE)
    assert json.loads(message.payload) == {"version": 1, "code": "internal", "message": "a sentence"}
