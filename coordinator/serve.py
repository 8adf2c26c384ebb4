"""`coordinator serve`: the centre behind TLS, with link, enrolment and the analysts' service, until told to stop."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import structlog

from coordinator.analyst_service import AnalystService
from coordinator.centre import Centre
from coordinator.connections import ConnectionsNote, replace_text
from coordinator.council_link import CouncilLink
from coordinator.desk import LOCK_FILE, Desk, owner_in
from coordinator.enrolment import record_key
from coordinator.grpc_enrolment import EnrolmentService
from coordinator.grpc_link import GrpcLink, OnEvent
from coordinator.grpc_server import Service, serving
from coordinator.link_connection import Record
from coordinator.mask_pool import MaskPool
from coordinator.office import Note, Office
from coordinator.operations import Meter, telling
from coordinator.presence import CONNECTED
from coordinator.retention import purge
from coordinator.roster import load_membership, own_identity
from coordinator.settings import Settings
from coordinator.store import Store, open_store
from coordinator.tls import ServerCertificate, load_certificate
from federated.errors import FileProblem
from federated.schema import load_schema
from federated.shell import now_utc, settle_in
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["LinkParts", "json_log", "run_server", "state_folder"]

_PURGE_EVERY: Final = timedelta(days=1)
_LOOK_S: Final = 0.5
"""How often a running coordinator looks for a newly published roster or agreement."""


class ServedLink(CouncilLink, Service, Protocol):
    """A link that the coordinator's server opens and closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkParts:
    """What a link needs of the coordinator that serves it.

    Attributes:
        coordinator_id: As the roster has it; part of what nodes sign.
        server_names: Names and addresses of the coordinator's certificate.
        identities: Keys of all who may connect, councils and mask holders; asked anew at each connection.
        rng: For nonces.
        record: Shown everything that passes, for tests; None in use.
        on_event: Told of connections and refusals.
    """

    coordinator_id: str
    server_names: frozenset[str]
    identities: Callable[[], Mapping[CouncilId, bytes]]
    rng: RandomSource
    record: Record | None
    on_event: OnEvent


MakeLink = Callable[[LinkParts], ServedLink]


def over_grpc(parts: LinkParts) -> GrpcLink:
    """The link that `coordinator serve` uses: councils connect to this server."""
    return GrpcLink(
        coordinator_id=parts.coordinator_id,
        server_names=parts.server_names,
        identities=parts.identities,
        rng=parts.rng,
        record=parts.record,
        on_event=parts.on_event,
    )


def run_server(
    settings: Settings,
    *,
    ready_file: Path | None = None,
    record: Record | None = None,
    log: Note | None = None,
    link: MakeLink = over_grpc,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: Of this coordinator.
        ready_file: Where to write ``host:port`` once councils can connect.
        record: Shown everything that passes over the link; for tests that look for what must not be there.
        log: Where events go; JSON lines on standard error when left out.
        link: Makes the link to the councils; the analysts' service and enrolment stay on this server in any case.

    Raises:
        FederatedError: A file or the address cannot be used.
    """
    own_identity(settings)  # a missing key is met now, not when the next roster is drafted
    tls = settings.tls
    certificate = load_certificate(Path(tls.key), Path(tls.certificate), now=now_utc())
    with state_folder(settings) as folder:
        store = open_store(settings.database_url)
        try:
            server = _Server(
                settings,
                certificate=certificate,
                store=store,
                folder=folder,
                note=log or json_log(),
                record=record,
                link=link,
            )
            settle_in()
            asyncio.run(server.run(ready_file))
        finally:
            store.close()


@contextmanager
def state_folder(settings: Settings) -> Iterator[Path]:
    """The state folder, held by this process alone.

    Raises:
        FileProblem: It cannot be written to, or another coordinator uses it.
    """
    folder = Path(settings.state)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FileProblem(
            f"{folder}: the state folder cannot be used ({error.strerror}).",
            remedy="Check that the account that runs the coordinator may write to it.",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise FileProblem(
            f"{folder}: another coordinator is using this state folder.", remedy="Stop the other one first."
        ) from error
    try:
        yield folder
    finally:
        os.close(lock)  # closing lets go of the lock


def json_log() -> Note:
    """Events as JSON lines on standard error: names and a few fields, never a payload."""
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logger = structlog.get_logger()

    def note(event: str, fields: Mapping[str, str | int]) -> None:
        logger.msg(event, **fields)

    return note


class _Late:
    """Stands in for what exists only once the link does: the office's keys, and who hears of connections."""

    def __init__(self) -> None:
        self.office: Office | None = None
        self.note: Note | None = None

    def parties(self) -> Mapping[CouncilId, bytes]:
        """Public keys of all who may connect, by the roster and the agreements in force."""
        return {} if self.office is None else self.office.parties()

    def hear(self, event: str, fields: Mapping[str, str | int]) -> None:
        """Pass an event of the link on."""
        if self.note is not None:
            self.note(event, fields)


class _Server:
    def __init__(
        self,
        settings: Settings,
        *,
        certificate: ServerCertificate,
        store: Store,
        folder: Path,
        note: Note,
        record: Record | None,
        link: MakeLink,
    ) -> None:
        self._settings = settings
        self._certificate = certificate
        self._store = store
        self._folder = folder
        self._meter = Meter()
        self._note = self._counted(note)
        self._record = record
        self._make_link = link
        self._clock: Callable[[], datetime] = now_utc
        self._wake: asyncio.Event = asyncio.Event()
        self._stopping = False
        self._at_once: asyncio.Event = asyncio.Event()
        self._centre: Centre | None = None
        self._connections = ConnectionsNote(folder)
        self._purge_at = self._clock()

    async def run(self, ready_file: Path | None) -> None:
        """Wait for the desk, then serve until told to stop.

        Raises:
            DeskLost: Another coordinator has taken over.
            FileProblem: The database could not be written to for as long as the desk is ours without it.
        """
        self._listen_to_signals()
        desk = self._desk()
        async with telling(self._settings.operations, self._meter, lambda: self._look(desk)):
            taken = await self._take(desk)
            if taken is None:
                self._note("stopped", {})
                return
            self._store = taken
            await self._act(desk, ready_file)

    async def _act(self, desk: Desk, ready_file: Path | None) -> None:
        keeping = asyncio.create_task(desk.keep())
        keeping.add_done_callback(lambda _task: self._wake.set())
        try:
            await self._serve(desk, ready_file, keeping)
            if keeping.done():
                keeping.result()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        await desk.leave()  # last: renewed once more, it would keep the next one waiting

    def _counted(self, note: Note) -> Note:
        def heard(event: str, fields: Mapping[str, str | int]) -> None:
            self._meter.hear(event, fields)
            note(event, fields)

        return heard

    async def _look(self, desk: Desk) -> None:
        """Whether councils and analysts can be served now.

        Raises:
            FederatedError: Says what is missing.
        """
        if self._stopping:
            raise FileProblem("The coordinator is stopping.")
        if self._centre is None:
            raise FileProblem("The coordinator stands by, or is starting.")
        await desk.look()
        self._centre.require_roster()

    def _desk(self) -> Desk:
        return Desk(
            self._store,
            owner=owner_in(self._folder, os.urandom),
            lease_s=self._settings.proposals.lease,
            clock=self._clock,
            note=self._note,
        )

    async def _take(self, desk: Desk) -> Store | None:
        """Stand by until the desk is free; None when told to stop before."""
        while not self._stopping:
            taken = await desk.take()
            if taken is not None:
                return taken
            await self._wait(desk.look_s)
        return None

    async def _serve(self, desk: Desk, ready_file: Path | None, keeping: asyncio.Task[None]) -> None:
        late = _Late()
        link = self._link(late)
        office = self._office(link, desk)
        masks = MaskPool(os.cpu_count() or 1)
        centre = Centre(office, sum_of=masks)
        late.office, late.note = office, self._heard(centre)
        self._meter.connected = lambda: len(link.connected() & office.identities().keys())
        self._meter.holders = lambda: len(link.connected() - office.identities().keys())
        self._meter.traffic = lambda: (office.courier.bytes_sent, office.courier.bytes_received)
        self._meter.plans = lambda: centre.in_store(self._store.proposals.counts)
        address = f"{self._settings.listen.host}:{self._settings.listen.port}"
        enrolment = EnrolmentService(record_key(self._store, self._clock))
        analysts = AnalystService(office, centre)
        async with serving(address, self._certificate, link, enrolment, analysts) as port:
            await centre.start()
            taking = asyncio.create_task(centre.inbox.keep_taking())
            self._centre = centre
            self._announce(port, ready_file)
            try:
                await self._until_stopped(centre, office, link, keeping)
                taking.cancel()
                if self._stopping:
                    await self._drain(centre)
            finally:
                self._centre = None
                taking.cancel()
                await asyncio.gather(taking, return_exceptions=True)
                # The link is still up here, so councils hear that their rounds are over.
                await centre.stop()
                masks.close()
                self._connections.tell(frozenset(), {}, self._clock())
                self._note("stopped", {})

    def _link(self, late: _Late) -> ServedLink:
        return self._make_link(
            LinkParts(
                coordinator_id=self._settings.id,
                server_names=self._certificate.names,
                identities=late.parties,
                rng=os.urandom,
                record=self._record,
                on_event=late.hear,
            )
        )

    def _office(self, link: CouncilLink, desk: Desk) -> Office:
        return Office(
            settings=self._settings,
            store=self._store,
            link=link,
            schema=load_schema(),
            clock=self._clock,
            rng=os.urandom,
            membership=load_membership(self._settings, self._store, self._clock()),
            note=self._note,
            still_acting=desk.require,
        )

    def _heard(self, centre: Centre) -> Note:
        def heard(event: str, fields: Mapping[str, str | int]) -> None:
            self._note(event, fields)
            if event == CONNECTED:
                self._connections.heard(str(fields["council"]), str(fields.get("software", "")))
            centre.presence.on_event(event, fields)
            self._wake.set()

        return heard

    async def _drain(self, centre: Centre) -> None:
        """Let rounds under way end; a second signal ends the wait."""
        draining = asyncio.create_task(centre.drain(timeout_s=self._settings.rounds.drain))
        hurry = asyncio.create_task(self._at_once.wait())
        await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, hurry):
            task.cancel()
        await asyncio.gather(draining, hurry, return_exceptions=True)
        self._note("drained", {"rounds_cut_off": centre.rounds_under_way})

    def _listen_to_signals(self) -> None:
        def stop() -> None:
            if self._stopping:
                self._at_once.set()
            self._stopping = True
            self._wake.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)

    def _announce(self, port: int, ready_file: Path | None) -> None:
        host = self._settings.listen.host
        self._note("ready", {"host": host, "port": port})
        if ready_file is not None:
            replace_text(ready_file, f"{host}:{port}\n")
        sys.stdout.write(f"coordinator ready on {host}:{port}\n")
        sys.stdout.flush()

    async def _until_stopped(
        self, centre: Centre, office: Office, link: CouncilLink, keeping: asyncio.Task[None]
    ) -> None:
        while not self._stopping and not keeping.done():
            await centre.refresh()
            self._connections.tell(link.connected(), office.identities(), self._clock())
            await self._purge(centre)
            await self._wait(_LOOK_S)

    async def _purge(self, centre: Centre) -> None:
        """Delete what is old, once a day; a failure of the database is tried again the next day."""
        now = self._clock()
        if now < self._purge_at:
            return
        self._purge_at = now + _PURGE_EVERY
        try:
            try:
                done = await centre.in_store(purge, self._store, self._settings.retention, now)
            finally:  # what was deleted before something failed must leave the file too
                await centre.in_store(self._store.tidy)
        except FileProblem as problem:
            self._note("purge_failed", {"problem": problem.diagnostics()})
            return
        if done.anything:
            self._note("purged", asdict(done))

    async def _wait(self, seconds: float) -> None:
        """Until something happens, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
            self._wake.clear()
