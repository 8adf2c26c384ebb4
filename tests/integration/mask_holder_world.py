"""A coordinator, real council nodes and a real mask holder over the gRPC link on loopback TLS, in one process.

`HeldWorld` makes the papers and folders; `Served` runs the coordinator over them and connects whom the test says. The
mask holder is the program's own office and desk on the node's own link: only its sockets' loop is the test's.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from coordinator.centre import Centre
from coordinator.grpc_link import GrpcLink
from coordinator.grpc_server import serving
from coordinator.office import Office as Coordinator
from coordinator.presence import CONNECTED
from coordinator.progress import RunStage, Step
from coordinator.roster import load_membership
from coordinator.settings import ProposalSettings, Settings, StageTimeouts, TlsFiles
from coordinator.store import RosterRow, Store, open_store
from council_node.link import LinkIdentity, NodeLink
from council_node.link_channel import LinkSettings
from federated.keys import SigningKey
from federated.mask_holder import HolderIdentity
from federated.release import Release, open_release
from mask_holder.desk import HolderDesk
from mask_holder.office import Office
from mask_holder.service import link_identity
from mask_holder.settings import read_settings
from mask_holder.setup import NewHolder, make_holder
from protocols.encoding import canonical_json
from protocols.identifiers import CouncilId
from protocols.secagg import RoundContext
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import (
    HOLDER,
    HOLDER_KEY,
    HUB,
    NOW,
    SCHEMA,
    TRUST,
    Proposal,
    Rehearsal,
    Seat,
    World,
)
from tests.integration.link_harness import ca_file, certificate, until

Answer = Callable[[bytes], bytes]
HOLDER_ID = CouncilId(HOLDER["id"])


class HolderSeat(Seat):
    """The mask holder with its folder; `restart` opens it afresh, as after a crash."""

    office: Office
    desk: HolderDesk

    def send(self, request: bytes) -> bytes:
        return self.desk.answer(request)

    def open(self) -> None:
        def log(event: str, fields: Mapping[str, Any]) -> None:
            self.events.append((event, dict(fields)))

        settings = read_settings(self.folder / "mask-holder.yaml")
        self.office = Office(settings, clock=lambda: self.world.now, rng=os.urandom, log=log)
        self.desk = HolderDesk(self.office)

    def restart(self) -> None:
        self.close()
        self.open()

    def close(self) -> None:
        self.office.__exit__(None, None, None)


class HeldWorld(World):
    """Papers that name a mask holder, councils' nodes, and the mask holder's own folder.

    Args:
        folder: An empty folder.
        accepts: Whether the mask holder has accepted the agreement.
        key: Its private key; the one that the agreement names unless a test says otherwise.
        agreement: Changes to the agreement.
    """

    def __init__(
        self,
        folder: Path,
        *,
        accepts: bool = True,
        key: SigningKey = HOLDER_KEY,
        agreement: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(folder, agreement={"mask_holder": HOLDER} | (agreement or {}), **options)
        home = folder / "holder"
        settings, made = make_holder(
            NewHolder(
                folder=home,
                id=HOLDER["id"],
                name=HOLDER["name"],
                coordinator=HUB,
                address="127.0.0.1:1",
                trust=folder / "trust.yaml",
            )
        )
        # The agreement is signed before the mask holder is made, so it gets the key that stands in it.
        self._replace_key(settings.keys.identity, made, key)
        if accepts:
            self.holder_accepts()
        self.holder = HolderSeat(self, HOLDER_ID, home, key)
        self.holder.open()

    def __exit__(self, *_: object) -> None:
        self.holder.close()
        super().__exit__()

    def holder_accepts(self) -> None:
        (self.folder / "holder" / "agreements" / f"{self.agreement.id}.dsse").write_bytes(self.agreement_envelope)

    def told(self) -> None:
        """The mask holder has the list of councils, as from an earlier connection."""
        said = self.holder.ask(self.roster_message(self.roster_envelope))
        assert said.kind is Kind.RECEIPT, said

    def opened(self) -> list[tuple[bytes, int]]:
        """What the mask holder's record says: plan and part of each sum."""
        return [(entry.plan_digest, entry.part) for entry in self.holder.office.record.entries()]


class Served:
    """A running coordinator, and the connections of the parties."""

    def __init__(self, world: HeldWorld, **timing: float) -> None:
        self.world = world
        stages = dict.fromkeys(StageTimeouts.model_fields, 60.0) | {"reconnect": 0.3, "delivery": 3.0}
        waits = {name: value for name, value in timing.items() if name in StageTimeouts.model_fields}
        proposals = {"ask_again": 0.2, "opening_wait": 60.0} | {
            name: value for name, value in timing.items() if name in ProposalSettings.model_fields
        }
        folder = world.folder
        (folder / "agreed").mkdir(exist_ok=True)
        (folder / "agreed" / "one.dsse").write_bytes(world.agreement_envelope)
        self.settings = Settings(
            coordinator=1,
            id=HUB,
            name="Hub",
            state=str(folder / "state"),
            key=str(folder / "coordinator.pem"),
            agreements=str(folder / "agreed"),
            tls=TlsFiles(certificate=str(folder / "server.pem"), key=str(folder / "server.key")),
            trust=TRUST,
            stages=StageTimeouts(**(stages | waits)),
            proposals=ProposalSettings(**proposals),
        )
        Path(self.settings.state).mkdir(exist_ok=True)
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self.passed: list[tuple[str, Kind]] = []
        """To or from whom, and what, in order."""
        self.loop: asyncio.AbstractEventLoop
        self._lines: dict[CouncilId, tuple[asyncio.Event, asyncio.Task[None]]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Served"]:
        world = self.world
        self.link = GrpcLink(
            coordinator_id=HUB,
            server_names=certificate().names,
            identities=lambda: self.office.parties(),  # noqa: PLW0108 - the office is made after the link
            rng=os.urandom,
            record=self._record,
            on_event=self._hear,
        )
        store = open_store(self.settings.database_url)
        self.store: Store = store.at_desk(_turn(store))
        if store.membership.latest_roster() is None:
            row = RosterRow(
                epoch=world.roster.epoch, digest=world.roster.digest, envelope=world.roster_envelope, accepted_at=NOW
            )
            store.membership.add_roster(row)
        self.office = Coordinator(
            settings=self.settings,
            store=self.store,
            link=self.link,
            schema=SCHEMA,
            clock=lambda: world.now,
            rng=os.urandom,
            membership=load_membership(self.settings, store, world.now),
            note=lambda event, fields: self.events.append((event, dict(fields))),
        )
        self.centre = Centre(self.office)
        try:
            async with serving("127.0.0.1:0", certificate(), self.link) as port:
                self.port = port
                await self.centre.start()
                try:
                    yield self
                finally:
                    await self.centre.stop(timeout_s=1.0)
                    for party in tuple(self._lines):
                        await self.disconnect(party)
        finally:
            store.close()

    def _hear(self, event: str, fields: Mapping[str, str | int]) -> None:
        self.events.append((event, dict(fields)))
        if event == CONNECTED:
            self.centre.presence.on_event(event, fields)

    def _record(self, direction: str, party: CouncilId, content: bytes) -> None:
        if direction != "frame":
            self.passed.append((party, LinkMessage.decode(content).kind))

    async def connect(self, party: CouncilId, identity: LinkIdentity, answer: Answer) -> None:
        """Have somebody dial in and stay."""
        settings = LinkSettings(
            address=f"127.0.0.1:{self.port}", ca_file=ca_file(), first_wait_s=0.05, longest_wait_s=0.1, grace_s=1.0
        )
        link = NodeLink(settings, identity, answer, rng=os.urandom, on_event=lambda event, fields: None)
        stop = asyncio.Event()
        self._lines[party] = (stop, asyncio.create_task(link.run(stop)))

    def cut(self, party: CouncilId) -> None:
        """Take somebody's line away, as when its process is killed."""
        self._lines.pop(party)[1].cancel()

    async def connect_councils(self, answering: Callable[[Seat], Answer] = lambda seat: seat.send) -> None:
        """Have every council's node dial in, and answer as `answering` says."""
        for council, seat in self.world.seats().items():
            identity = LinkIdentity(council=council, coordinator_id=HUB, sign=seat.key.sign)
            await self.connect(council, identity, answering(seat))
        await until(lambda: set(self.world.councils) <= self.centre.presence.ready())

    async def connect_holder(
        self, answer: Answer | None = None, *, sign: Callable[[bytes], bytes] | None = None
    ) -> None:
        """Have the mask holder dial in, as its program does."""
        seat = self.world.holder
        identity = link_identity(seat.office)
        if sign is not None:
            identity = LinkIdentity(council=identity.council, coordinator_id=HUB, sign=sign)
        await self.connect(HOLDER_ID, identity, answer or seat.send)
        if sign is None:
            await until(lambda: HOLDER_ID in self.centre.presence.ready())

    async def disconnect(self, party: CouncilId) -> None:
        stop, task = self._lines.pop(party)
        stop.set()
        await task
        await until(lambda: party not in self.link.connected())

    async def submit(self, proposal: Proposal) -> bytes:
        return await self.centre.desk.submit(proposal.envelope, proposal.manifest)

    async def ask(self, proposal: Proposal) -> list[Step]:
        """Hand a question in and follow it to its end."""
        return await self.follow(await self.submit(proposal))

    async def follow(self, digest: bytes) -> list[Step]:
        async with aclosing(self.office.board.watch(digest)) as steps:
            return [step async for step in steps]

    async def until_said(self, digest: bytes, words: str) -> None:
        """Wait until the board says something."""
        async with aclosing(self.office.board.watch(digest)) as steps:
            async for step in steps:
                if words in step.message:
                    return
        raise AssertionError(words)

    def release(self, steps: list[Step]) -> Release:
        """The answer that a run ended with."""
        assert steps[-1].stage is RunStage.PUBLISHED, steps[-1].message
        row = self.store.releases.get(steps[-1].release_digest)
        assert row is not None
        return open_release(row.content)

    def asked(self, kind: Kind) -> list[str]:
        """Who was asked that, in order; a reply is of another kind."""
        return [party for party, passed in self.passed if passed is kind]


def _turn(store: Store) -> int:
    turn = store.desk.take(owner="the test's", now=NOW, until=NOW)
    assert turn is not None
    return turn


class DeskRehearsal(Rehearsal):
    """An honest round between real nodes in which the mask holder's own desk holds and opens."""

    world: HeldWorld

    def hold(self, bare: RoundContext, pinned: HolderIdentity, invited: Mapping[str, Any]) -> bytes:
        reply = LinkMessage.decode(self.world.holder.send(hold_message(self.proposal, bare.sid, invited)))
        assert reply.kind is Kind.HELD, self.world.holder.read(reply.encode())
        return reply.payload

    def open_sum(self, request: bytes) -> bytes:
        reply = LinkMessage.decode(self.world.holder.send(self.packed(Kind.OPEN, request)))
        assert reply.kind is Kind.OPENED, self.world.holder.read(reply.encode())
        return reply.payload


def hold_message(proposal: Proposal, sid: bytes, invited: Mapping[str, Any], **changes: Any) -> bytes:
    """The HOLD message: the signed plan, and what councils are invited with."""
    body = {"version": 1, "plan": proposal.envelope.decode(), "invitation": dict(invited)} | changes
    return LinkMessage(kind=Kind.HOLD, reference=sid, payload=canonical_json(body)).encode()
