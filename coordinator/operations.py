"""Health, readiness and metrics of a serving coordinator, over a plain HTTP port of their own, off unless it is set.

What is told is about the service: counts of councils, plans, rounds, bytes and errors, and times. No title, no digest,
no name of a council and no figure ever comes here, so whoever may watch the machine learns nothing of an answer.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from coordinator.progress import RunStage
from coordinator.settings import OperationsSettings
from federated.errors import FederatedError, FileProblem

__all__ = ["Meter", "telling"]

Look = Callable[[], Awaitable[None]]
"""Returns when all is well; raises a `FederatedError` that says what is not."""

_ERRORS: Final = frozenset(
    {"background_failed", "desk_lost", "desk_not_kept", "purge_failed", "request_failed", "run_failed"}
)
_STAGES: Final = {f"{stage.name.lower()}_microseconds": stage.label for stage in RunStage}
_SECONDS: Final = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800)


class Meter:
    """What has been counted since the start.

    Attributes:
        connected: Gives how many councils are connected.
        holders: Gives how many mask holders are connected.
        traffic: Gives the bytes sent to and received from councils.
        plans: Gives how many plans are in each state.
    """

    def __init__(self) -> None:
        self.connected: Callable[[], int] = lambda: 0
        self.holders: Callable[[], int] = lambda: 0
        self.traffic: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.plans: Callable[[], Awaitable[Mapping[str, int]]] = _no_plans
        self._registry = registry = CollectorRegistry()
        self._councils = Gauge("coordinator_councils_connected", "Councils connected now.", registry=registry)
        self._holders = Gauge("coordinator_mask_holders_connected", "Mask holders connected now.", registry=registry)
        self._plans = Gauge("coordinator_plans", "Plans kept, by state.", ["state"], registry=registry)
        self._rounds = Counter("coordinator_rounds", "Rounds that ended, by outcome.", ["outcome"], registry=registry)
        self._stages = Histogram(
            "coordinator_stage_seconds", "Length of a round's stages.", ["stage"], registry=registry, buckets=_SECONDS
        )
        self._errors = Counter("coordinator_errors", "Failures, by the event of the log.", ["event"], registry=registry)
        self._bytes = Gauge(
            "coordinator_link_bytes", "Bytes of messages since the start.", ["direction"], registry=registry
        )
        for event in sorted(_ERRORS):
            self._errors.labels(event)

    def hear(self, event: str, fields: Mapping[str, str | int]) -> None:
        """Count an event of the log."""
        if event in _ERRORS:
            self._errors.labels(event).inc()
        if event in {"round_ended", "round_abandoned"}:
            self._rounds.labels(str(fields.get("outcome", "abandoned"))).inc()
            for name, stage in _STAGES.items():
                if name in fields:
                    self._stages.labels(stage).observe(int(fields[name]) / 1_000_000)

    async def page(self) -> bytes:
        """Everything in the form that Prometheus reads.

        Raises:
            FederatedError: The database cannot be asked.
        """
        plans = await self.plans()
        self._plans.clear()
        for state, number in plans.items():
            self._plans.labels(state).set(number)
        self._councils.set(self.connected())
        self._holders.set(self.holders())
        for direction, number in zip(("sent", "received"), self.traffic(), strict=True):
            self._bytes.labels(direction).set(number)
        return generate_latest(self._registry)


async def _no_plans() -> Mapping[str, int]:
    return {}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the coordinator, which stops this server too."""
        yield


@contextlib.asynccontextmanager
async def telling(settings: OperationsSettings, meter: Meter, look: Look) -> AsyncIterator[None]:
    """Tell health, readiness and metrics for the length of the block; nothing where no port is set.

    Args:
        settings: Address and port.
        meter: What is counted.
        look: Whether the coordinator can serve at this moment.

    Raises:
        FileProblem: The address cannot be listened on.
    """
    if settings.port is None:
        yield
        return

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")  # the loop answers

    async def readyz(_request: Request) -> Response:
        try:
            await look()
        except FederatedError as problem:
            return PlainTextResponse(f"{problem.diagnostics()}\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def metrics(_request: Request) -> Response:
        try:
            return Response(await meter.page(), media_type=CONTENT_TYPE_LATEST)
        except FederatedError as problem:
            return PlainTextResponse(f"{problem.diagnostics()}\n", status_code=503)

    routes = [Route(f"/{place.__name__}", place) for place in (healthz, readyz, metrics)]
    config = uvicorn.Config(Starlette(routes=routes), log_config=None, access_log=False, lifespan="off")
    with _listening(settings.host, settings.port) as listening:
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]), name="operations")
        try:
            yield
        finally:
            server.should_exit = True
            await serving


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise FileProblem(
            f"Health and metrics cannot be told at {host}:{port} ({error.strerror}).",
            remedy="Check the setting 'operations'.",
        ) from error
    with listening:
        yield listening
