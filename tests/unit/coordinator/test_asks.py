"""The book of requests that await a reply."""

import asyncio

from coordinator.asks import Ask, AskBook
from tests.integration.link_harness import async_test, councils

ONE, TWO = councils(2)


@async_test
async def test_asks_are_numbered_and_forgotten() -> None:
    book = AskBook()
    sent: list[Ask] = []
    replies = book.exchange({ONE: b"a", TWO: b"b"}, timeout_s=5, send=sent.append)
    assert book.last_id == 0  # nothing happens before the first step
    pending = asyncio.ensure_future(anext(replies))
    await asyncio.sleep(0)
    assert [(ask.request_id, ask.council, ask.request) for ask in sent] == [(1, ONE, b"a"), (2, TWO, b"b")]
    assert book.waiting(ONE) == (sent[0],)
    assert book.find(TWO, 1) is None
    book.settle(sent[0], b"x")
    assert await pending == (ONE, b"x")
    assert book.waiting(ONE) == ()
    await replies.aclose()
    assert book.waiting(TWO) == ()
    assert [(ask.open, ask.request) for ask in sent] == [(False, b""), (False, b"")]


@async_test
async def test_a_reply_is_released_once_taken_or_left() -> None:
    book = AskBook()
    released: list[str] = []

    def send(ask: Ask) -> None:
        book.settle(ask, b"", lambda: released.append(ask.council))

    replies = book.exchange({ONE: b"", TWO: b""}, timeout_s=5, send=send)
    await anext(replies)
    assert released == [ONE]
    await replies.aclose()
    assert released == [ONE, TWO]


async def begin(book: AskBook, sent: list[Ask], content: bytes, *, timeout_s: float = 5, in_turn: bool = True):
    """Start an exchange with both councils, and stop where it waits for its first reply."""
    replies = book.exchange({ONE: content, TWO: content}, timeout_s=timeout_s, send=sent.append, in_turn=in_turn)
    first = asyncio.ensure_future(anext(replies))
    await asyncio.sleep(0)
    return replies, first


def contents(asks: list[Ask], council: str) -> list[bytes]:
    return [ask.request for ask in asks if ask.council == council and ask.open]


@async_test
async def test_long_work_is_sent_to_a_council_one_at_a_time_and_the_rest_at_once() -> None:
    book, sent = AskBook(), []
    long, first_long = await begin(book, sent, b"count 1")
    later, first_later = await begin(book, sent, b"count 2")
    short, first_short = await begin(book, sent, b"confirm", in_turn=False)
    assert contents(sent, ONE) == contents(sent, TWO) == [b"count 1", b"confirm"]
    assert [ask.request for ask in book.waiting(ONE)] == [b"count 1", b"confirm"]  # so after a reconnection too
    book.settle(sent[0], b"counted")
    assert await first_long == (ONE, b"counted")
    assert contents(sent, ONE) == [b"confirm", b"count 2"]
    assert contents(sent, TWO) == [b"count 1", b"confirm"]  # the other council has not answered its first yet
    for replies, first in ((long, first_long), (later, first_later), (short, first_short)):
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await replies.aclose()
    assert book.waiting(ONE) == book.waiting(TWO) == ()


@async_test
async def test_a_council_that_never_answers_long_work_holds_the_next_up_to_the_deadline() -> None:
    book, sent = AskBook(), []
    _long, first_long = await begin(book, sent, b"count 1", timeout_s=0.1)
    later, first_later = await begin(book, sent, b"count 2")
    assert contents(sent, ONE) == [b"count 1"]
    assert await asyncio.gather(first_long, return_exceptions=True)  # the deadline has come
    assert contents(sent, ONE) == contents(sent, TWO) == [b"count 2"]
    first_later.cancel()
    await asyncio.gather(first_later, return_exceptions=True)
    await later.aclose()


@async_test
async def test_long_work_given_up_before_its_turn_is_never_sent() -> None:
    book, sent = AskBook(), []
    long, first_long = await begin(book, sent, b"count 1")
    given_up, first_given_up = await begin(book, sent, b"count 2")
    first_given_up.cancel()
    await asyncio.gather(first_given_up, return_exceptions=True)
    await given_up.aclose()
    book.settle(sent[0], b"counted")
    await first_long
    assert contents(sent, ONE) == []
    assert len(sent) == 2
    await long.aclose()
