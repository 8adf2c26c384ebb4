"""The node's one outbound connection: opened to the coordinator, kept open, and opened again when it breaks."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc

from council_node.link_channel import LinkSettings, explain, open_channel
from council_node.link_session import LinkIdentity, LinkSession, open_stream, own_fault
from federated.errors import FederatedError
from federated.shell import place_of
from protocols.identifiers import RandomSource

__all__ = ["LinkIdentity", "NodeLink", "OnEvent", "wait_s"]

OnEvent = Callable[[str, Mapping[str, str | int]], None]
"""Told what happened, by an event's name and a few fields; never a payload."""

_DOUBLINGS_MAX: Final = 16


def wait_s(failures: int, settings: LinkSettings, rng: RandomSource) -> float:
    """Seconds to wait after that many failures in a row: doubling, capped, and anywhere in the upper half.

    The random part keeps 300 nodes from coming back at the same instant when the coordinator restarts.

    Args:
        failures: From 1.
        settings: First and longest wait.
        rng: Source of the random part.
    """
    doublings = min(failures - 1, _DOUBLINGS_MAX)
    longest: float = min(settings.longest_wait_s, settings.first_wait_s * 2**doublings)
    return longest * (1 + int.from_bytes(rng(2), "big") / 2**16) / 2


class NodeLink:
    """Answers the coordinator's requests over one outbound stream for as long as it runs.

    Args:
        settings: How to reach the coordinator.
        identity: Who this node is.
        answer: ``Node.answer``; runs in one thread, one request at a time, in the order received, so that a long
            computation never stops the stream.
        rng: For the waits between attempts.
        on_event: Told of connections, failures and answers; for the log.
        clock: Seconds that only ever grow.
    """

    def __init__(
        self,
        settings: LinkSettings,
        identity: LinkIdentity,
        answer: Callable[[bytes], bytes],
        *,
        rng: RandomSource,
        on_event: OnEvent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._answer = answer
        self._rng = rng
        self._on_event = on_event
        self._clock = clock
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answer")

    async def run(self, stop: asyncio.Event) -> None:
        """Connect and answer until told to stop.

        Args:
            stop: Set it from the SIGTERM handler. The answer under way is finished and sent, within ``grace_s``.

        Raises:
            FileProblem: The settings cannot be used; found before the first attempt.
        """
        await open_channel(self._settings).close(None)
        failures = 0
        try:
            while not stop.is_set():
                started = self._clock()
                await self._attempt(stop)
                steady = self._clock() - started >= self._settings.steady_s
                failures = 1 if steady else failures + 1
                await self._pause(stop, wait_s(failures, self._settings, self._rng))
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._on_event("link_stopped", {})

    async def _attempt(self, stop: asyncio.Event) -> None:
        try:
            async with open_channel(self._settings) as channel:
                session = LinkSession(open_stream(channel), self._settings, self._identity)
                await self._until_stopped(session, stop)
        except grpc.aio.AioRpcError as problem:
            self._on_event("link_down", {"reason": explain(problem, self._settings).diagnostics()})
        except FederatedError as problem:  # the CA file may be mended while we run
            self._on_event("link_down", {"reason": problem.diagnostics()})

    async def _until_stopped(self, session: LinkSession, stop: asyncio.Event) -> None:
        serving = asyncio.create_task(self._serve(session), name="link")
        stopping = asyncio.create_task(stop.wait(), name="link stop")
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await session.finish()
        finally:
            serving.cancel()
            stopping.cancel()
            await asyncio.wait({serving, stopping})
        failure = None if serving.cancelled() else serving.exception()
        if failure is not None and not stop.is_set():
            raise failure

    async def _serve(self, session: LinkSession) -> None:
        await session.open()
        self._on_event("link_up", {"address": self._settings.address})
        await session.serve(self._reply)

    async def _reply(self, request: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            reply = await loop.run_in_executor(self._worker, self._answer, request)
        except Exception as problem:  # noqa: BLE001 - the node's outermost loop: the coordinator gets an answer, not silence
            self._on_event("answer_failed", {"error": type(problem).__name__, "place": place_of(problem)})
            return own_fault(request)
        self._on_event("answered", {"request_bytes": len(request), "reply_bytes": len(reply)})
        return reply

    @staticmethod
    async def _pause(stop: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
