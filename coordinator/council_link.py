"""The link to the councils: send these bytes to each, collect replies until a deadline.

The protocol never knows which link it is on. :class:`InProcessLink` is here; the link over gRPC is
:class:`coordinator.grpc_link.GrpcLink`. One contract suite runs on all of them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Final, Protocol

from coordinator.asks import Ask, AskBook, Chosen
from protocols.identifiers import CouncilId

__all__ = ["CouncilLink", "InProcessLink"]


class CouncilLink(Protocol):
    """What a round needs of a transport. A mask holder that it reaches is asked as a council is, under its own id."""

    @property
    def reaches_holders(self) -> bool:
        """Whether a mask holder can be asked over it at all."""
        ...

    def connected(self) -> frozenset[CouncilId]:
        """The councils and mask holders that could be asked at this moment."""
        ...

    def exchange(
        self, requests: Mapping[CouncilId, bytes], *, timeout_s: float, in_turn: bool = False
    ) -> AsyncIterator[tuple[CouncilId, bytes]]:
        """Ask councils and give their replies as they come, at most one each.

        Several exchanges may run at once. A council that is away, or goes away, is sent the same request when it is
        back before the deadline; nodes answer a repeat with the same bytes. A late reply is dropped. A council the
        link does not know is not waited for. Leaving the loop early: close the iterator (``contextlib.aclosing``).

        Args:
            requests: One request for each council asked.
            timeout_s: Seconds, counted from the first step of the iteration.
            in_turn: Answering is long work, and a council answers one thing at a time. It is sent its next request of
                this sort when it has answered the one before, or has missed that one's deadline, so that the short
                requests of other exchanges wait for one such answer at most.

        Yields:
            Council and reply; ends when all have answered, or at the deadline.
        """
        ...


class _Seat:
    """One council of the in-process link: asked one thing at a time, in order, as a node is."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.connected = True
        self.connection = 1  # counts reconnections: a reply belongs to the connection its request came on
        self.unanswered: list[Ask] = []
        self.busy: asyncio.Task[None] | None = None


class InProcessLink:
    """Councils as functions in this process, for simulation and tests.

    Args:
        answer: Each council's node, for example ``Node.answer``. It is never called twice at once for one council.
        threads: Councils that may be answering at the same moment. Threads are shared, not one for each council; with
            one, councils answer in the order asked.
    """

    reaches_holders: Final = True

    def __init__(self, answer: Mapping[CouncilId, Callable[[bytes], bytes]], *, threads: int = 4) -> None:
        self._seats = {council: _Seat(function) for council, function in answer.items()}
        self._book = AskBook()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="council")

    def connected(self) -> frozenset[CouncilId]:
        """The councils that have not been disconnected."""
        return frozenset(council for council, seat in self._seats.items() if seat.connected)

    async def exchange(
        self, requests: Mapping[CouncilId, bytes], *, timeout_s: float, in_turn: bool = False
    ) -> AsyncGenerator[tuple[CouncilId, bytes], None]:
        """See :meth:`CouncilLink.exchange`."""
        known = Chosen(requests, self._seats)
        exchange = self._book.exchange(known, timeout_s=timeout_s, send=self._send, in_turn=in_turn)
        async with aclosing(exchange) as replies:
            async for reply in replies:
                yield reply

    def disconnect(self, council: CouncilId) -> None:
        """Act as if the council's connection broke: what it is answering now goes nowhere."""
        seat = self._seats[council]
        seat.connected = False
        seat.connection += 1
        seat.unanswered.clear()

    def reconnect(self, council: CouncilId) -> None:
        """Act as if the council connected again: it is sent every request it has yet to answer."""
        seat = self._seats[council]
        seat.connected = True
        for ask in self._book.waiting(council):
            self._send(ask)

    async def close(self) -> None:
        """Stop answering; a call under way in a thread ends by itself."""
        tasks = [seat.busy for seat in self._seats.values() if seat.busy is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, ask: Ask) -> None:
        seat = self._seats[ask.council]
        if not seat.connected:
            return
        seat.unanswered.append(ask)
        if seat.busy is None:
            seat.busy = asyncio.create_task(self._serve(seat), name=f"in-process {ask.council}")

    async def _serve(self, seat: _Seat) -> None:
        try:
            while seat.unanswered:
                ask = seat.unanswered.pop(0)
                if ask.open:
                    await self._answer(seat, ask)
        finally:
            seat.busy = None

    async def _answer(self, seat: _Seat, ask: Ask) -> None:
        connection = seat.connection
        requests = ask.requests

        def answer() -> bytes:
            return seat.answer(requests[ask.council])  # made here: those that wait for a thread take no memory

        try:
            reply = await asyncio.get_running_loop().run_in_executor(self._pool, answer)
        except Exception as problem:  # noqa: BLE001 - a council's code failed: raised where the exchange is consumed
            self._book.fail(ask, problem)
            return
        if ask.open and seat.connection == connection:
            self._book.settle(ask, reply)
