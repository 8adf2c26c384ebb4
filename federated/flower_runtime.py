"""The seam to Flower's Runtime API, through which SuperLink and SuperNode hand work to whoever runs their app.

Everything here that is not `flwr.app` or `flwr.serverapp` is outside Flower's public API: it is what the stock
`flower-superexec`, `flwr-clientapp` and `flwr-serverapp` of the pinned version use. The decision record on the pinned
executor lists it, and nothing else in this project may import it.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

import httpx
from flwr.app import Context, Message
from flwr.common.serde import context_from_proto, run_from_proto
from flwr.proto.runtime_pb2 import (
    AcquireTaskRequest,
    AcquireTaskResponse,
    PullAppMessagesRequest,
    PullAppMessagesResponse,
    PullTaskInputRequest,
    SendTaskHeartbeatRequest,
)
from flwr.serverapp import Grid
from flwr.supercore.constant import TaskType
from flwr.supercore.heartbeat import HeartbeatSender
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid import HttpGrid
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from federated.errors import FileProblem, TransportError

__all__ = ["FLOWER_SERIES", "RepliesGrid", "Run", "Runtime", "Task", "check_flower_version"]

FLOWER_SERIES: Final = "1.41."
_ACQUIRE: Final = "/flwr.proto.Runtime/AcquireTask"
_COMPLETED: Final = "completed"
_FAILED: Final = "failed"
_NOT_OURS: Final = frozenset({401, 403, 404})
"""What Flower answers where it no longer knows a task as ours."""


def check_flower_version(found: str | None = None) -> None:
    """Refuse to run beside a Flower whose inner API is another.

    Raises:
        FileProblem: The installed version is not of the series this was written for.
    """
    installed = version("flwr") if found is None else found
    if not installed.startswith(FLOWER_SERIES):
        raise FileProblem(
            f"Flower {installed} is installed; this executor is made for {FLOWER_SERIES}x.",
            remedy="Install council-federation[flower] again.",
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Task:
    """One message that the SuperNode wants answered, with the bundle of the run it belongs to.

    Attributes:
        message: What came.
        context: Of the run; its node configuration is the SuperNode's own.
        bundle: SHA-256 of the app bundle as its bytes came, in hexadecimal; the bundle itself is not opened.
    """

    message: Message = field(repr=False)
    context: Context = field(repr=False)
    bundle: str
    _client: RuntimeHttpClient = field(repr=False)

    def reply(self, message: Message, *, completed: bool, details: str = "") -> None:
        """Hand the reply to the SuperNode and end the task.

        Raises:
            TransportError: The SuperNode does not take it.
        """
        try:
            push_message(self._client, message, self.context)
        except httpx.HTTPError as problem:
            raise _gone(problem) from problem
        status = _COMPLETED if completed else _FAILED
        push_task_output(self._client, self.context, status, details)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Run:
    """A run that the SuperLink wants served.

    Attributes:
        run_id: As Flower counts it.
        bundle: SHA-256 of its app bundle as its bytes came, in hexadecimal; the bundle itself is not opened.
        grid: To its nodes; Flower's public interface.
    """

    run_id: int
    bundle: str
    grid: Grid = field(repr=False)
    _client: RuntimeHttpClient = field(repr=False)
    _context: Context = field(repr=False)

    def end(self, *, completed: bool, details: str = "") -> None:
        """Tell the SuperLink that the run is over."""
        push_task_output(self._client, self._context, _COMPLETED if completed else _FAILED, details)


class _RepliesOnly:
    """Flower's client, which hands over nothing but replies to the messages that it was asked about."""

    def __init__(self, client: RuntimeHttpClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def PullMessages(self, request: PullAppMessagesRequest) -> PullAppMessagesResponse:  # noqa: N802 - Flower's name
        found = self._client.PullMessages(request)
        asked = set(request.message_ids)
        pairs = zip(found.messages_list, found.message_object_trees, strict=True)
        kept = [(message, tree) for message, tree in pairs if message.metadata.reply_to_message_id in asked]
        return PullAppMessagesResponse(
            messages_list=[message for message, _ in kept], message_object_trees=[tree for _, tree in kept]
        )


class RepliesGrid(HttpGrid):
    """Flower's grid without what a node sends to the server unasked.

    Flower hands such a message over with whatever replies are fetched next, and waits for all of it: any node could
    hold up or spoil every other's replies.
    """

    @property
    def _runtime_client(self) -> Any:
        return _RepliesOnly(super()._runtime_client)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Where a SuperNode's or a SuperLink's Runtime API is.

    Attributes:
        address: ``host:port``.
        secret: Shared with it, so that no other program is handed its work; None for one that has none.
        ca: PEM certificates the API's own is verified against; None for plain HTTP on this machine.
    """

    address: str
    secret: bytes | None = field(default=None, repr=False)
    ca: bytes | None = field(default=None, repr=False)

    @contextmanager
    def next_task(self) -> Iterator[Task | None]:
        """The next message, if there is one; the task stays ours for the length of the block.

        Tasks of every type are taken: one that nobody takes would block its SuperNode for good.

        Raises:
            TransportError: The SuperNode cannot be reached or refuses.
        """
        with self._acquired() as token:
            if not token:
                yield None
                return
            with self._client(RuntimeTokenHttpInterceptor(token)) as client, _heartbeat(client):
                yield _pulled(client)

    @contextmanager
    def next_run(self, on_stopped: Callable[[], None]) -> Iterator[Run | None]:
        """The next run, if there is one; it stays ours for the length of the block.

        Args:
            on_stopped: Called from another thread when someone has stopped the run.

        Raises:
            TransportError: The SuperLink cannot be reached or refuses.
        """
        with self._acquired() as token:
            if not token:
                yield None
                return
            with (
                self._client(RuntimeTokenHttpInterceptor(token)) as client,
                _heartbeat(client, on_stopped),
                self._grid(token) as grid,
            ):
                yield _started(client, grid)

    def simulation_token(self, run_id: int) -> str:
        """What `flwr-simulation` needs to serve a run of the simulation engine; empty while there is nothing to do.

        Work of any other run is taken as well, and nobody does it.

        Raises:
            TransportError: The SuperLink cannot be reached or refuses.
        """
        try:
            found = self._acquire()
        except httpx.HTTPError as problem:
            raise _gone(problem) from problem
        return found.token if found.HasField("task") and found.task.run_id == run_id else ""

    @contextmanager
    def _acquired(self) -> Iterator[str]:
        """The token of the next task, empty if there is none; what fails over HTTP in the block is told as ours."""
        try:
            found = self._acquire()
            yield found.token if found.HasField("task") else ""
        except httpx.HTTPError as problem:
            raise _gone(problem) from problem

    @contextmanager
    def _grid(self, token: str) -> Iterator[HttpGrid]:
        grid = RepliesGrid(
            runtime_api_address=self.address, insecure=self.ca is None, root_certificates=self.ca, token=token
        )
        try:
            yield grid
        finally:
            grid.close()

    def _acquire(self) -> AcquireTaskResponse:
        interceptors = []
        if self.secret is not None:
            secret = SuperExecAuthHttpInterceptor(master_secret=self.secret, protected_methods={_ACQUIRE})
            interceptors.append(secret)
        with self._client(*interceptors) as client:
            return client.AcquireTask(AcquireTaskRequest(supported_task_types=[str(kind) for kind in TaskType]))

    @contextmanager
    def _client(
        self, *interceptors: RuntimeTokenHttpInterceptor | SuperExecAuthHttpInterceptor
    ) -> Iterator[RuntimeHttpClient]:
        client = RuntimeHttpClient.from_server_address(
            server_address=self.address,
            insecure=self.ca is None,
            root_certificates=self.ca,
            interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"), *interceptors],
        )
        try:
            yield client
        finally:
            client.close()


def _pulled(client: RuntimeHttpClient) -> Task | None:
    try:
        message, context, _run, fab = pull_task_input(client)
    except RuntimeError:  # a task without a message: ended, so that its SuperNode goes on
        push_task_output(client, None, _FAILED, "there is no message")
        return None
    return Task(
        message=message,
        context=context,
        bundle=hashlib.sha256(fab.content).hexdigest(),
        _client=client,
    )


def _started(client: RuntimeHttpClient, grid: HttpGrid) -> Run:
    found = client.PullTaskInput(PullTaskInputRequest())
    run, context = run_from_proto(found.run), context_from_proto(found.context)
    # Flower's own processes set these before they call an app; its `Message` reads them.
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = found.task_id, run.run_id, context.node_id
    grid.set_run(run)
    bundle = hashlib.sha256(found.fab.content).hexdigest()
    return Run(run_id=run.run_id, bundle=bundle, grid=grid, _client=client, _context=context)


def _ignore() -> None:
    """Go on: a SuperNode's task that has ended is noticed when its reply is not taken."""


@contextmanager
def _heartbeat(client: RuntimeHttpClient, on_stopped: Callable[[], None] = _ignore) -> Iterator[None]:
    """Tell Flower that its task is being worked on, for as long as the block runs."""

    def beat() -> bool:
        try:
            found = client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success
        except httpx.HTTPStatusError as problem:
            found = problem.response.status_code not in _NOT_OURS
        except httpx.HTTPError:
            return False
        if not found:
            on_stopped()
        return True

    sender = HeartbeatSender(beat)
    sender.start()
    try:
        yield
    finally:
        if sender.is_running:
            sender.stop()


def _gone(problem: httpx.HTTPError) -> TransportError:
    return TransportError(
        f"Flower does not hand its messages over ({type(problem).__name__}).",
        remedy="Check that Flower runs there with --isolation process, and that both have the same secret.",
    )
