"""What every history starts from: signed papers, a node for each council and the coordinator's store, made once.

Made by the usual commands on a real disk, then read as bytes: a history lays them out on disks of its own.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordinator.settings import ProposalSettings, RoundSettings, Settings, StageTimeouts, TlsFiles
from coordinator.store import RosterRow, open_store
from council_node.settings import Settings as NodeSettings
from federated.query import Query
from protocols.identifiers import CouncilId, Digest
from tests.integration.federation_world import HUB, NOW, SCHEMA, TRUST, Proposal, World

COUNCILS = tuple(sorted(c.id for c in SCHEMA.councils.values() if c.region == "E12000001"))[:6]
"""Of the North East."""
STAGES = StageTimeouts(
    decision=10,
    advert=5,
    key_shares=5,
    masked_input=10,
    confirmation=5,
    unmask=5,
    delivery=10,
    budget=5,
    reconnect=2,
)
LONGEST_ROUND_S = STAGES.advert + STAGES.key_shares + STAGES.masked_input + STAGES.confirmation + STAGES.unmask
NONCES = 6
COSTS = (Fraction(1), Fraction(1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """One federation before anything has happened to it.

    Attributes:
        councils: Who is asked.
        settings: The coordinator's.
        node_settings: Each council's.
        centre_images: The coordinator's files.
        node_images: Each council's.
        proposals: By question, plans of it that differ in their nonce.
        truth: Each council's exact figures, counted from its extract, by question.
    """

    councils: tuple[CouncilId, ...]
    keys: Mapping[CouncilId, bytes]
    settings: Settings
    node_settings: Mapping[CouncilId, NodeSettings]
    centre_images: Mapping[str, bytes]
    node_images: Mapping[CouncilId, Mapping[str, bytes]]
    proposals: tuple[tuple[Proposal, ...], ...]
    truth: Mapping[tuple[CouncilId, Digest], NDArray[np.int64]] = field(repr=False)
    budget: Fraction

    def proposal(self, digest: bytes) -> Proposal:
        """The proposal of that plan."""
        return next(item for of_one in self.proposals for item in of_one if item.plan.digest == digest)


_folder: list[tempfile.TemporaryDirectory[str]] = []


@cache
def papers(size: int, epsilon: str = "40") -> Papers:
    """The papers of a federation of that many councils, whose agreement allows that much a year."""
    if not _folder:
        _folder.append(tempfile.TemporaryDirectory(prefix="faults-"))
    folder = Path(_folder[0].name).resolve() / f"{size}-{epsilon.replace('/', '-')}"
    folder.mkdir()
    councils = COUNCILS[:size]
    with World(folder, councils=councils, epsilon=epsilon, agreement={"min_cohort": max(4, size - 1)}) as world:
        proposals = _proposals(world)
        truth = {
            (council, of_one[0].plan.query_digest): seat.station.compute(of_one[0].plan).vector
            for council, seat in world.seats().items()
            for of_one in proposals
        }
        node_settings = {council: seat.station.settings for council, seat in world.seats().items()}
    return Papers(
        councils=councils,
        keys={council: key.public for council, key in world.keys.items()},
        settings=(settings := _settings(folder / "coordinator")),
        node_settings=node_settings,
        centre_images=_centre(settings, world),
        node_images={council: _images(made.ledger_file, made.store_file) for council, made in node_settings.items()},
        proposals=proposals,
        truth=truth,
        budget=Fraction(epsilon),
    )


def _proposals(world: World) -> tuple[tuple[Proposal, ...], ...]:
    def of(question: Query) -> tuple[Proposal, ...]:
        return tuple(world.propose(question) for _ in range(NONCES))

    return tuple(of(world.question(epsilon=cost)) for cost in COSTS)


def _settings(folder: Path) -> Settings:
    (folder / "agreements").mkdir(parents=True)
    (folder / "state").mkdir()
    return Settings(
        coordinator=1,
        id=HUB,
        name="Hub",
        state=str(folder / "state"),
        key=str(folder / "coordinator.pem"),
        agreements=str(folder / "agreements"),
        tls=TlsFiles(certificate=str(folder / "server.pem"), key=str(folder / "server.key")),
        trust=TRUST,
        stages=STAGES,
        proposals=ProposalSettings(ask_again=5, opening_wait=8, lease=60),
        rounds=RoundSettings(long=10),
    )


def _centre(settings: Settings, world: World) -> Mapping[str, bytes]:
    (Path(settings.agreements) / "all.dsse").write_bytes(world.agreement_envelope)
    store = open_store(settings.database_url)
    row = RosterRow(
        epoch=world.roster.epoch, digest=world.roster.digest, envelope=world.roster_envelope, accepted_at=NOW
    )
    store.membership.add_roster(row)
    store.tidy()
    store.close()
    return _images(Path(settings.state) / "coordinator.db")


def _images(*paths: Path) -> dict[str, bytes]:
    return {str(path.resolve()): path.read_bytes() for path in paths}
