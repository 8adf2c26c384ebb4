"""Twelve councils of the North East as `council-node run` processes around a coordinator process, for as many rounds
as a test wants. Only what the test kills is started again.

The papers are made in this process by the same functions that the commands call; everything that takes part in a
round is a process of its own, started by the command a council or a coordinator types.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from coordinator.first_files import NewCoordinator, create
from coordinator.roster import add_agreement, own_identity, publish_roster
from coordinator.settings import load_settings
from coordinator.store import open_store
from council_node.agreements import accept_agreement
from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.policy_file import Class2
from council_node.settings import Settings as NodeSettings
from council_node.setup import NewNode, make_node
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.client import Client, Trusted
from federated.demo.papers import agreement_document, manifest_payload, yaml_payload
from federated.demo.people import People
from federated.demo.processes import Processes, Running, command, run, wait_for
from federated.keys import read_public_key, write_private_key
from federated.ledger_entries import LedgerRound
from federated.plan import Plan, Terms, derive_plan
from federated.privacy import Mechanism
from federated.query import Query, Table
from federated.roster import ROSTER_TYPE, RosterEntry, roster_payload
from federated.schema import Council, load_schema
from federated.shell import now_utc
from federated.signing import sign_payload
from federated.synthetic import Cases, style_of, synthesise, true_table, write_extract, write_mapping
from federated.workspace import Workspace
from protocols.encoding import sha256
from protocols.identifiers import CouncilId
from protocols.secagg import Profile
from protocols.wire import analyst_pb2 as pb
from tests.e2e.namespaces import Network

ROOT = Path(__file__).parents[2]
HUB = "e2e-hub"
NORTH_EAST = tuple(sorted(c.id for c in load_schema().councils.values() if c.region == "E12000001"))
START_S = 90.0
SEED = 7
DAY = timedelta(days=1)
CENTRE = "coordinator"
STAGES: Mapping[str, int] = {"reconnect": 1, "delivery": 10}
"""Whoever is connected is waited for; whoever has lost the connection, one second."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one question.

    Attributes:
        last: The last step that the analyst saw.
    """

    plan: Plan
    last: pb.Progress
    steps: tuple[pb.Progress, ...]

    @property
    def released(self) -> bool:
        """Whether there is an answer."""
        return bool(self.last.release_digest)


@dataclass(slots=True)
class Node:
    """One council's node: its files, and its process."""

    council: Council
    settings: NodeSettings
    file: Path
    processes: Processes
    cases: Cases
    within: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"nodes/{self.council.id}/node"

    @property
    def running(self) -> Running:
        return self.processes.running[self.name]

    @property
    def pid(self) -> int:
        return self.running.process.pid

    @property
    def extract(self) -> Path:
        return self.settings.data["case"].parent / "extract.csv"

    def start(self) -> None:
        arguments = [*self.within, command("council-node"), "run", "--settings", str(self.file)]
        self.processes.start(self.name, arguments)

    def all_rounds(self) -> tuple[LedgerRound, ...]:
        """What this council's ledger says; works while the node runs and when it is dead."""
        with Ledger.read_only(self.settings.ledger_file, CouncilId(self.council.id)) as ledger:
            return ledger.rounds()

    def rounds(self, plan: Plan) -> tuple[LedgerRound, ...]:
        """The rounds of one plan."""
        return tuple(item for item in self.all_rounds() if item.plan_digest == plan.digest)

    def states(self, plan: Plan) -> tuple[str, ...]:
        return tuple(item.state.value for item in self.rounds(plan))

    def shown(self) -> list[dict[str, object]]:
        """`council-node ledger show --json`, as a person would call it."""
        arguments = [command("council-node"), "ledger", "show", "--json", "--settings", str(self.file)]
        entries: list[dict[str, object]] = json.loads(run(arguments))
        return entries

    def releases(self, plan: Plan) -> tuple[bytes, ...]:
        """The answers this council was given to a plan."""
        with NodeStore.open(self.settings.store_file) as store:
            kept = [store.latest(DocumentKind.RELEASE, item.sid.hex()) for item in self.rounds(plan)]
        return tuple(document.body for document in kept if document is not None)


@dataclass(slots=True)
class Federation:
    """A federation that is up."""

    folder: Path
    nodes: dict[CouncilId, Node]
    processes: Processes
    workspace: Workspace
    agreement: Agreement
    trusted: Trusted
    client: Client
    _truth: dict[tuple[str, CouncilId], dict[tuple[str, ...], Fraction]] = field(default_factory=dict)

    # Asking

    def plan(self, question: Query, mechanism: Mechanism) -> Plan:
        now = now_utc().replace(microsecond=0)
        days = [now + day * DAY for day in (1, 2, 3)]
        terms = Terms(
            manifest_digest=sha256(self.manifest(question)),
            not_before=now - DAY / 24,
            collect_by=days[0],
            return_by=days[1],
            not_after=days[2],
            attempts=self.agreement.attempts,
            nonce=os.urandom(32),
        )
        return derive_plan(
            question,
            agreement=self.agreement,
            roster=self.trusted.roster,
            schema=load_schema(),
            mechanism=mechanism,
            terms=terms,
        )

    def manifest(self, question: Query) -> bytes:
        return manifest_payload("e2e", question, today=now_utc().date())

    def ask(self, plan: Plan) -> Run:
        """Put a question to all twelve and wait for the end of it."""
        steps = tuple(self.client.submit(plan, self.manifest(plan.question), refresh=True))
        return Run(plan=plan, last=steps[-1], steps=steps)

    def order(self, stage: str, victims: Mapping[CouncilId, str]) -> None:
        """Have nodes killed as this stage's request is on its way to them, or once they have spent."""
        orders = {
            "stage": stage,
            "victims": {
                council: {
                    "pid": self.nodes[council].pid,
                    "ledger": str(self.nodes[council].settings.ledger_file),
                    "extract": str(self.nodes[council].extract),
                    "when": when,
                }
                for council, when in victims.items()
            },
        }
        beside = self.folder / "orders.new"
        beside.write_text(json.dumps(orders), encoding="utf-8")
        beside.replace(self.folder / "orders.json")

    def reap(self, victims: Iterable[CouncilId]) -> None:
        """Check that the nodes were killed, and not that they left."""
        for council in victims:
            process = self.nodes[council].running.process
            assert process.wait(timeout=10) == -9, f"{council} ended with {process.returncode}"

    # Who is there

    def connected(self) -> frozenset[str]:
        """The councils that the coordinator sees."""
        try:
            content = (self.folder / "coordinator" / "state" / "connections.json").read_text(encoding="utf-8")
        except OSError:
            return frozenset()
        return frozenset(json.loads(content)["connected"])

    def wait_for_all(self) -> None:
        self.wait("Every council's connection", lambda: self.connected() == set(self.nodes))

    def restart(self, councils: Iterable[CouncilId]) -> None:
        """Start killed nodes again, and wait until the coordinator sees everybody."""
        missing = set(councils)
        self.wait("The loss of the killed", lambda: self.connected().isdisjoint(missing))
        for council in councils:
            self.nodes[council].start()
        self.wait_for_all()

    def wait(self, what: str, ready: Callable[[], bool], *, timeout_s: float = START_S) -> None:
        wait_for(what, ready, check=self.processes.check, timeout_s=timeout_s)

    # The truth

    def exact(self, plan: Plan, councils: Iterable[CouncilId]) -> NDArray[np.int64]:
        """The exact sum over these councils, counted by hand from the synthetic records, in the order of the vector."""
        totals = np.zeros(plan.cells, dtype=np.int64)
        for council in councils:
            offset = 0
            for planned in plan.tables:
                truth = self._table(plan, planned.table, council)
                codes = list(product(*(axis.codes for axis in planned.layout.axes)))
                totals[offset : offset + len(codes)] += [int(truth.get(cell, 0)) for cell in codes]
                offset += len(codes)
        return totals

    def _table(self, plan: Plan, table: Table, council: CouncilId) -> dict[tuple[str, ...], Fraction]:
        key = (repr((table, plan.question.period, plan.question.where)), council)
        if key not in self._truth:
            cases = [self.nodes[council].cases]
            self._truth[key] = true_table(cases, table, plan.question.period, plan.question.where)
        return self._truth[key]


@contextmanager
def running_federation(
    folder: Path,
    *,
    councils: tuple[CouncilId, ...] = NORTH_EAST,
    epsilon: Fraction = Fraction(1),
    budget: Fraction = Fraction(40),
    serve: tuple[str, ...] = ("tests.e2e.killing_coordinator",),
    opening_wait_s: int = 60,
    people: People | None = None,
    changes: Mapping[str, object] | None = None,
    network: Network | None = None,
    proxies: Mapping[CouncilId, str] | None = None,
    stages: Mapping[str, int] = STAGES,
) -> Iterator[Federation]:
    """Set a careful federation up and keep it running for the length of the block.

    Args:
        folder: An empty folder.
        councils: Who is in it.
        epsilon: The most one question may cost.
        budget: Epsilon of the year.
        serve: The module that serves as coordinator.
        opening_wait_s: How long a question waits for councils that are away.
        people: Who signs, asks and reviews; otherwise made here.
        changes: Fields of the agreement that differ from the demo's.
        network: Where each party has a network of its own; otherwise all are on loopback.
        proxies: By council, the web proxy that it goes through.
        stages: How long the coordinator waits in each, in seconds.
    """
    people = people or People.make(os.urandom)
    people.write_trust(folder / "trust.yaml")
    agreement = _agreement(folder, councils, people, epsilon, budget, changes or {})
    host = "127.0.0.1" if network is None else network.address(CENTRE)
    home = _coordinator_files(folder, people, opening_wait_s, host=host, stages=stages)
    with Processes(folder) as processes:
        ready = home / "ready"
        settings = [str(home / "coordinator.yaml"), str(ready), str(folder / "orders.json")]
        within = {} if network is None else {party: network.within(party) for party in (CENTRE, *councils)}
        processes.start(CENTRE, [*within.get(CENTRE, ()), sys.executable, "-m", *serve, *settings])
        nodes = {council: _node(folder, council, processes, within.get(council, ())) for council in councils}
        _roster(folder, home, nodes, people)
        wait_for("The coordinator", ready.exists, check=processes.check, timeout_s=START_S)
        address = ready.read_text(encoding="ascii").strip()
        for node in nodes.values():
            _point_to(node.file, address, (proxies or {}).get(CouncilId(node.council.id)))
            node.start()
        workspace = _workspace(folder, address, people)
        with Client(workspace, clock=now_utc, rng=os.urandom) as client:
            federation = Federation(
                folder=folder,
                nodes=nodes,
                processes=processes,
                workspace=workspace,
                agreement=agreement,
                trusted=client.trusted(),
                client=client,
            )
            federation.wait_for_all()
            yield federation


def _agreement(
    folder: Path,
    councils: tuple[CouncilId, ...],
    people: People,
    epsilon: Fraction,
    budget: Fraction,
    changes: Mapping[str, object],
) -> Agreement:
    schema = load_schema()
    document = agreement_document(
        {council: schema.council(council).name for council in councils},
        label="the councils of the test",
        profile=Profile.CAREFUL,
        epsilon=epsilon,
        analyst=people.analyst,
        reviewer=people.reviewer,
        today=now_utc().date() - DAY,
    )
    document["budget"] |= {"epsilon": str(budget)}
    document |= {"attempts": 2, **changes}
    payload = yaml_payload(document)
    (folder / "agreement.dsse").write_bytes(sign_payload(payload, AGREEMENT_TYPE, people.agreement_signers))
    return parse_agreement(payload)


def _coordinator_files(
    folder: Path,
    people: People,
    opening_wait_s: int,
    *,
    host: str = "127.0.0.1",
    stages: Mapping[str, int] = STAGES,
) -> Path:
    home = folder / "coordinator"
    new = NewCoordinator(
        id=HUB,
        name="Coordinator of the test",
        hosts=[host],
        listen_host=host,
        port=0,
        roster_keys=people.trust.roster_keys,
        agreement_keys=people.trust.agreement_keys,
    )
    settings, _ = create(home, new, now=now_utc(), rng=os.urandom)
    path = home / "coordinator.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["stages"] = dict(stages)
    document["proposals"] = {"opening_wait": opening_wait_s, "ask_again": 5}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with closing(open_store(settings.database_url)) as store:
        add_agreement(settings, store, folder / "agreement.dsse", now_utc())
    return home


def _node(folder: Path, council: CouncilId, processes: Processes, within: tuple[str, ...] = ()) -> Node:
    place = folder / "nodes" / council
    place.mkdir(parents=True)
    write_mapping(place / "mapping.yaml", style_of(council), file="extract.csv")
    cases = write_extract(synthesise(council, SEED), place / "extract.csv", seed=SEED)
    new = NewNode(
        folder=place / "node",
        council=council,
        coordinator=HUB,
        address="127.0.0.1:1",
        trust=folder / "trust.yaml",
        mapping=place / "mapping.yaml",
        ca_file=folder / "coordinator" / "tls" / "authority.pem",
        automatic=True,
        class_2=Class2.AS_AGREED,
    )
    settings, _ = make_node(new)
    accept_agreement(folder / "agreement.dsse", settings, confirm=lambda _agreement: True, now=now_utc())
    file = place / "node" / "node.yaml"
    return Node(load_schema().council(council), settings, file, processes, cases, within)


def _point_to(file: Path, address: str, proxy: str | None) -> None:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document["coordinator"]["address"] = address
    if proxy is not None:
        document["coordinator"]["proxy"] = proxy
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _roster(folder: Path, home: Path, nodes: Mapping[CouncilId, Node], people: People) -> None:
    settings = load_settings(home / "coordinator.yaml")
    today = now_utc().date()
    entries = [
        RosterEntry(
            id=council,
            name=node.council.name,
            region=node.council.region,
            public_key=read_public_key(node.file.parent / "identity.pub"),
            valid_from=today - DAY,
            valid_to=today + 300 * DAY,
        )
        for council, node in nodes.items()
    ]
    payload = roster_payload(
        epoch=1,
        not_before=today - DAY,
        not_after=today + 80 * DAY,
        coordinator=own_identity(settings),
        councils=entries,
    )
    path = folder / "roster.dsse"
    path.write_bytes(sign_payload(payload, ROSTER_TYPE, [people.signer_a, people.signer_b]))
    with closing(open_store(settings.database_url)) as store:
        publish_roster(settings, store, path, now_utc())


def _workspace(folder: Path, address: str, people: People) -> Workspace:
    write_private_key(folder / "analyst.pem", people.analyst)
    document = {
        "workspace": 1,
        "key": "analyst.pem",
        "coordinator": {"id": HUB, "address": address, "ca_file": "coordinator/tls/authority.pem"},
        "trust": people.trust.model_dump(mode="json"),
    }
    (folder / "federated.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return Workspace.load(folder / "federated.yaml")
