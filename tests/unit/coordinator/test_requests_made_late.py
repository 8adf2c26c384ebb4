"""Requests that are too large together are made one at a time, as each is sent: SHARES of 300 councils are 800 MB."""

import asyncio
from collections.abc import Iterator, Mapping

from coordinator.asks import Ask, AskBook, Chosen
from coordinator.council_link import InProcessLink
from coordinator.courier import Courier
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind, LinkMessage
from protocols.wire.pieces import InPieces
from tests.integration.link_harness import async_test, councils

SOME = councils(5)
SID = bytes(32)


class Made(Mapping[CouncilId, bytes]):
    """Payloads that count how often each was made."""

    def __init__(self) -> None:
        self.made: list[CouncilId] = []

    def __getitem__(self, council: CouncilId) -> bytes:
        self.made.append(council)
        return council.encode()

    def __iter__(self) -> Iterator[CouncilId]:
        return iter(SOME)

    def __len__(self) -> int:
        return len(SOME)


@async_test
async def test_over_the_in_process_link_each_request_is_made_when_its_council_is_asked() -> None:
    payloads = Made()
    made_before: list[int] = []

    def answer(request: bytes) -> bytes:
        made_before.append(len(payloads.made))
        message = LinkMessage.decode(request)
        return LinkMessage(kind=Kind.MASKED_INPUT, reference=message.reference, payload=message.payload).encode()

    link = InProcessLink(dict.fromkeys(SOME, answer), threads=1)
    asking = Courier(link).ask(Kind.SHARES, SID, payloads, timeout_s=5)
    answers = {council: message.payload async for council, message in asking}
    assert answers == {council: council.encode() for council in SOME}
    assert made_before == [1, 2, 3, 4, 5]
    await link.close()


@async_test
async def test_an_ask_makes_its_request_each_time_it_is_sent_and_none_when_it_is_over() -> None:
    payloads = Made()
    sent: list[Ask] = []
    book = AskBook()
    replies = book.exchange(payloads, timeout_s=5, send=sent.append)
    pending = asyncio.ensure_future(anext(replies))
    await asyncio.sleep(0)
    assert payloads.made == []
    assert [sent[0].request, sent[0].request] == [SOME[0].encode()] * 2
    book.settle(sent[0], b"x")
    assert sent[0].request == b""
    assert await pending == (SOME[0], b"x")
    await replies.aclose()
    assert [ask.request for ask in sent] == [b""] * 5
    assert payloads.made == [SOME[0]] * 2


def test_a_choice_of_requests_makes_none_of_them() -> None:
    payloads = Made()
    chosen = Chosen(payloads, {SOME[1], SOME[3], "E06999999"})
    assert list(chosen) == [SOME[1], SOME[3]]
    assert len(chosen) == 2
    assert set(payloads.keys() - chosen.keys()) == {SOME[0], SOME[2], SOME[4]}
    assert payloads.made == []
    assert chosen[SOME[3]] == SOME[3].encode()
    assert SOME[0] not in chosen
    assert chosen.get(SOME[0]) is None
    assert payloads.made == [SOME[3]]


class Shared(InPieces[CouncilId]):
    """Payloads of a long part that is the same for all, and a short one."""

    same = bytes(1_000_000)

    def pieces(self, key: CouncilId) -> tuple[bytes, ...]:
        return (self.same, key.encode())

    def __iter__(self) -> Iterator[CouncilId]:
        return iter(SOME)

    def __len__(self) -> int:
        return len(SOME)


@async_test
async def test_what_the_requests_to_many_councils_share_is_held_once_down_to_the_link() -> None:
    sent: list[Ask] = []

    class Link(InProcessLink):
        def _send(self, ask: Ask) -> None:
            sent.append(ask)

    link = Link(dict.fromkeys(SOME, bytes))
    asking = Courier(link).ask(Kind.SHARES, SID, Shared(), timeout_s=5)
    waiting = asyncio.ensure_future(anext(asking))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(sent) == 5
    assert all(any(piece is Shared.same for piece in ask.pieces) for ask in sent)
    for council, ask in zip(SOME, sent, strict=True):
        message = LinkMessage(kind=Kind.SHARES, reference=SID, payload=Shared.same + council.encode())
        assert ask.request == message.encode()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asking.aclose()
    await link.close()
