"""Messages in chunks: what is cut is put together, and nothing else is."""

import pytest

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.wire.chunks import (
    CHUNK_BYTES,
    REQUEST_ID_MAX,
    Assembler,
    Message,
    abandonment,
    chunks_of,
    chunks_of_pieces,
)
from protocols.wire.council_link_pb2 import Chunk


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_is_cut_is_put_together(size) -> None:
    content = bytes(index % 251 for index in range(size))
    assembler = Assembler()
    chunks = list(chunks_of(7, content))
    assert len(chunks) == max(1, -(-size // CHUNK_BYTES)) + (size > CHUNK_BYTES)
    *before, last = [assembler.add(chunk) for chunk in chunks]
    assert before == [None] * len(before)
    assert last == Message(request_id=7, content=content)
    assert assembler.request_id == 0


@pytest.mark.parametrize(
    "sizes",
    [(), (0, 0), (3, 4), (CHUNK_BYTES - 1, 1), (CHUNK_BYTES, 1), (1, CHUNK_BYTES), (2 * CHUNK_BYTES + 5, 0, 7)],
)
def test_a_message_in_pieces_is_cut_as_the_whole_of_it_is(sizes) -> None:
    pieces = [bytes((place + index) % 251 for index in range(size)) for place, size in enumerate(sizes)]
    assert list(chunks_of_pieces(7, pieces)) == list(chunks_of(7, b"".join(pieces)))


@pytest.mark.parametrize("request_id", [0, -1, REQUEST_ID_MAX + 1])
def test_an_id_outside_its_range_is_our_own_fault(request_id) -> None:
    with pytest.raises(LocalProtocolError):
        list(chunks_of(request_id, b""))


def test_the_limit_is_on_the_announced_length() -> None:
    (chunk,) = chunks_of(1, b"12345")
    assert Assembler(5).add(chunk) is not None
    with pytest.raises(MalformedMessage, match="5 bytes was announced; at most 4"):
        Assembler(4).add(chunk)


FULL = bytes(CHUNK_BYTES)
ANNOUNCED = Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES)
FIRST = Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, content=FULL)


def begun() -> Assembler:
    assembler = Assembler()
    assert assembler.add(ANNOUNCED) is None
    assert assembler.request_id == 1
    assert assembler.add(FIRST) is None
    return assembler


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(request_id=2, total_bytes=2 * CHUNK_BYTES, content=FULL, last=True),
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES + 1, content=FULL),
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, content=FULL),
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, content=FULL[1:], last=True),
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, content=FULL + b"x", last=True),
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, content=b"", last=True),
        ANNOUNCED,
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, content=b"x", abandoned=True),
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, last=True, abandoned=True),
    ],
)
@pytest.mark.parametrize("discarded", [False, True])
def test_a_chunk_that_does_not_continue_its_message_is_refused(chunk, discarded) -> None:
    assembler = begun()
    if discarded:
        assembler.discard()
    with pytest.raises(MalformedMessage):
        assembler.add(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(request_id=0, total_bytes=1, content=b"x", last=True),
        Chunk(request_id=1, total_bytes=1, content=b"x"),
        FIRST,
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, last=True),
        Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, content=b"x"),
        Chunk(request_id=1, total_bytes=0),
    ],
)
def test_a_chunk_that_cannot_begin_a_message_is_refused(chunk) -> None:
    with pytest.raises(MalformedMessage):
        Assembler().add(chunk)


def test_an_announcement_comes_once() -> None:
    assembler = Assembler()
    assembler.add(ANNOUNCED)
    with pytest.raises(MalformedMessage):
        assembler.add(ANNOUNCED)


def test_an_abandoned_message_is_forgotten() -> None:
    assembler = begun()
    assert assembler.add(abandonment(1, 2 * CHUNK_BYTES)) is None
    (chunk,) = chunks_of(2, b"next")
    assert assembler.add(chunk) == Message(request_id=2, content=b"next")


def test_a_discarded_message_is_checked_but_not_kept() -> None:
    assembler = begun()
    assembler.discard()
    last = Chunk(request_id=1, total_bytes=2 * CHUNK_BYTES, content=FULL, last=True)
    assert assembler.add(last) == Message(request_id=1, content=None)
    (chunk,) = chunks_of(2, b"next")
    assert assembler.add(chunk) == Message(request_id=2, content=b"next")
