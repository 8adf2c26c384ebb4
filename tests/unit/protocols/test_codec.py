"""The strict reader and its writers."""

import pytest

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.wire.codec import Reader, short_text, unsigned


def reader(content, limit=1000):
    return Reader(content, what="the test message", limit=limit)


def test_fields_are_read_in_order_and_nothing_is_left():
    content = unsigned(1, 1) + unsigned(513, 2) + short_text("E06000001") + unsigned(3, 4) + b"abc" + b"rest"
    fields = reader(content)
    fields.constant(1, "version")
    assert fields.unsigned(2, "count") == 513
    assert fields.short_text("council") == "E06000001"
    start = fields.position
    assert fields.prefixed(3, "body") == b"abc"
    assert fields.since(start) == b"\0\0\0\3abc"
    assert bytes(fields.view(4, "rest")) == b"rest"
    fields.finish()


@pytest.mark.parametrize(("value", "size"), [(256, 1), (-1, 1), (2**64, 8)])
def test_a_number_that_does_not_fit_is_our_own_fault(value, size):
    with pytest.raises(LocalProtocolError):
        unsigned(value, size)


def test_the_limit_is_checked_before_anything_is_read():
    with pytest.raises(MalformedMessage, match="has 11 bytes; at most 10 are allowed"):
        reader(bytes(11), limit=10)


def test_a_field_beyond_the_end_is_refused():
    with pytest.raises(MalformedMessage, match="cut short: key needs 5 bytes and 4 are left"):
        reader(bytes(4)).take(5, "key")


def test_a_length_over_its_limit_is_refused_even_if_the_bytes_are_there():
    with pytest.raises(MalformedMessage, match="a body of 4 bytes; at most 3 are allowed"):
        reader(unsigned(4, 4) + b"abcd").prefixed(3, "body")


def test_a_huge_length_allocates_nothing():
    with pytest.raises(MalformedMessage, match="cut short"):
        reader(b"\xff\xff\xff\xff").prefixed(2**40, "body")


def test_left_over_bytes_are_refused():
    with pytest.raises(MalformedMessage, match="2 bytes left over"):
        reader(b"ab").finish()


def test_another_constant_is_refused():
    with pytest.raises(MalformedMessage, match="has version 2; 1 was expected"):
        reader(b"\2").constant(1, "version")


@pytest.mark.parametrize("text", [b"\xff\xfe", b"", b"a b", b"x" * 33])
def test_a_council_id_is_short_printable_ascii(text):
    with pytest.raises(MalformedMessage):
        reader(bytes((len(text),)) + text).short_text("council")
