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
