"""Requests that await a reply, for every kind of link: who was asked what, until when, and what came back."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocols.identifiers import CouncilId
from protocols.wire.pieces import InPieces, pieces_of

__all__ = ["Ask", "AskBook", "Chosen", "nothing"]

_NONE: Final[Mapping[CouncilId, bytes]] = {}


def nothing() -> None:
    """Do nothing: the release of a reply that held nothing."""


class Chosen(InPieces[CouncilId]):
    """The requests to some councils, each made when it is looked up: together they can be too large to hold at once."""

    def __init__(self, requests: Mapping[CouncilId, bytes], councils: Container[CouncilId]) -> None:
        self._requests = requests
        self._councils = dict.fromkeys(council for council in requests if council in councils)

    def pieces(self, key: CouncilId) -> Sequence[bytes]:
        """A chosen council's request."""
        if key not in self._councils:
            raise KeyError(key)
        return pieces_of(self._requests, key)

    def __contains__(self, council: object) -> bool:
        return council in self._councils

    def __iter__(self) -> Iterator[CouncilId]:
        return iter(self._councils)

    def __len__(self) -> int:
        return len(self._councils)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    council: CouncilId
    content: bytes = field(repr=False)
    release: Callable[[], None] = nothing
    failure: Exception | None = None


_Inbox = asyncio.Queue[_Reply | None]


@dataclass(slots=True, eq=False, kw_only=True)
class Ask:
    """One request to one council.

    Attributes:
        request_id: Unique in the life of the link, from 1.
        council: Who is asked.
        requests: Where its bytes come from; dropped once nobody waits, as a stalled connection may keep the ask itself.
        in_turn: It is sent once the council has no earlier one of this sort to answer.
        send: Starts sending it, or leaves it for the council's next connection.
        open: A reply is still wanted.
    """

    request_id: int
    council: CouncilId
    requests: Mapping[CouncilId, bytes] = field(repr=False)
    inbox: _Inbox = field(repr=False)
    in_turn: bool
    send: "Callable[[Ask], None]" = field(repr=False)
    open: bool = True

    @property
    def request(self) -> bytes:
        """The bytes to send, the same at each time of asking; none once nobody waits."""
        return b"".join(self.pieces)

    @property
    def pieces(self) -> Sequence[bytes]:
        """The same in pieces."""
        return pieces_of(self.requests, self.council) if self.open else ()


class AskBook:
    """Every open ask of a link; used from one event loop."""

    def __init__(self) -> None:
        self._open: dict[CouncilId, dict[int, Ask]] = {}
        self._last_id = 0

    @property
    def last_id(self) -> int:
        """The newest request id given out; a reply to a higher one answers nothing."""
        return self._last_id

    def waiting(self, council: CouncilId) -> tuple[Ask, ...]:
        """The asks this council was sent and has yet to answer, oldest first: what a new connection is sent."""
        return tuple(ask for ask in self._open.get(council, {}).values() if self._may_go(ask))

    def find(self, council: CouncilId, request_id: int) -> Ask | None:
        """The open ask of *this* council with that number; None when it is over, or another council's."""
        return self._open.get(council, {}).get(request_id)

    def settle(self, ask: Ask, content: bytes, release: Callable[[], None] = nothing) -> None:
        """Hand a reply to the exchange that waits for it.

        Args:
            ask: The open ask it answers.
            content: The reply.
            release: Called once, when the exchange has taken the reply or is over.
        """
        self._close(ask)
        ask.inbox.put_nowait(_Reply(council=ask.council, content=content, release=release))

    def fail(self, ask: Ask, failure: Exception) -> None:
        """Raise ``failure`` where the exchange is consumed: a fault of our own, never a council's."""
        self._close(ask)
        ask.inbox.put_nowait(_Reply(council=ask.council, content=b"", failure=failure))

    async def exchange(
        self,
        requests: Mapping[CouncilId, bytes],
        *,
        timeout_s: float,
        send: Callable[[Ask], None],
        in_turn: bool = False,
    ) -> AsyncGenerator[tuple[CouncilId, bytes], None]:
        """Ask, and give the replies as they come, at most one for each council.

        Args:
            requests: What to ask whom.
            timeout_s: Seconds from the first step of the iteration; what arrives later is dropped, even while the
                caller is busy with an earlier reply.
            send: Starts sending an ask, or leaves it for the council's next connection; does not wait.
            in_turn: Send each council its request once it has answered, or has been given up on, all earlier ones of
                this sort.
        """
        inbox: _Inbox = asyncio.Queue()
        asks = [self._ask(council, requests, inbox, send, in_turn=in_turn) for council in requests]
        deadline = asyncio.get_running_loop().call_later(timeout_s, self._expire, asks, inbox)
        try:
            for ask in asks:
                if self._may_go(ask):
                    send(ask)
            for _ in asks:
                reply = await inbox.get()
                if reply is None:
                    return
                reply.release()
                if reply.failure is not None:
                    raise reply.failure
                yield reply.council, reply.content
        finally:
            deadline.cancel()
            self._expire(asks, inbox)
            while (left := inbox.get_nowait()) is not None:
                left.release()

    def _ask(
        self,
        council: CouncilId,
        requests: Mapping[CouncilId, bytes],
        inbox: _Inbox,
        send: Callable[[Ask], None],
        *,
        in_turn: bool,
    ) -> Ask:
        self._last_id += 1
        ask = Ask(request_id=self._last_id, council=council, requests=requests, inbox=inbox, in_turn=in_turn, send=send)
        self._open.setdefault(council, {})[ask.request_id] = ask
        return ask

    def _may_go(self, ask: Ask) -> bool:
        return ask.open and (not ask.in_turn or self._first_in_turn(ask.council) is ask)

    def _first_in_turn(self, council: CouncilId) -> Ask | None:
        return next((ask for ask in self._open.get(council, {}).values() if ask.in_turn), None)

    def _expire(self, asks: list[Ask], inbox: _Inbox) -> None:
        for ask in asks:
            self._close(ask)
        inbox.put_nowait(None)  # after every reply that came in time

    def _close(self, ask: Ask) -> None:
        held_others_back = ask.in_turn and self._may_go(ask)
        ask.open = False
        ask.requests = _NONE
        of_council = self._open.get(ask.council, {})
        of_council.pop(ask.request_id, None)
        if not of_council:
            self._open.pop(ask.council, None)
        following = self._first_in_turn(ask.council) if held_others_back else None
        if following is not None:
            following.send(following)
