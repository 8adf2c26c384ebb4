"""A federation as files in one folder for each party, as the commands leave them; the runbooks are rehearsed in copies.

Real nodes in one process, a coordinator's real files and store, and people with keys of their own. The clock is the
computer's, as it is for the commands. `lay_out` makes the files once and lets every council answer one question, so
that each ledger holds a charge; `Parties` opens a copy.
"""

import asyncio
import csv
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from coordinator.enrolment import decide, find, record_key
from coordinator.first_files import NewCoordinator, create
from coordinator.grpc_enrolment import EnrolmentService
from coordinator.grpc_server import serving
from coordinator.roster import add_agreement, draft_roster, publish_roster
from coordinator.settings import Settings, load_settings
from coordinator.store import Store, open_store
from coordinator.tls import load_certificate
from council_node.ledger import Ledger
from council_node.settings import read_settings
from council_node.setup import NewNode, make_node
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.keys import SigningKey, make_key, public_line, read_private_key, write_private_key, write_public_key
from federated.ledger_entries import period_of
from federated.plan import Terms
from federated.roster import ROSTER_TYPE, parse_roster
from federated.schema import load_schema
from federated.shell import now_utc
from federated.signing import sign_payload, unsafe_payload
from federated.trust import TrustSettings
from protocols.encoding import sha256
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind
from tests.integration.federation_world import COUNCILS, ME, Rehearsal, Seat, World

__all__ = ["ME", "Parties", "lay_out"]

PEOPLE = ("ann", "bob", "cem", "dora", "finn", "analyst", "reviewer")
"""Ann, Bob and Cem sign lists of councils, any two of them; Dora signs agreements."""


class Parties(World):
    """Every party's files; `reload` reads again what commands have changed.

    Args:
        folder: A copy of what `lay_out` made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.councils = COUNCILS
        self._seats: dict[CouncilId, Seat] = {}
        self.reload()

    @property
    def now(self) -> datetime:  # type: ignore[override]  # certificates and commands have the real time
        return now_utc()

    # Where everything is

    def home(self, council: CouncilId = ME) -> Path:
        """The folder a council's officers type in; its node is in `node` there."""
        return self.folder / "councils" / council

    def person(self, name: str) -> Path:
        return self.folder / name

    @property
    def hub(self) -> Path:
        return self.folder / "hub"

    def settings_files(self) -> tuple[Path, ...]:
        """Every file with a `trust` block: the coordinator's, the councils' and the analyst's."""
        nodes = [self.home(council) / "node" / "node.yaml" for council in self.councils]
        return (self.hub / "coordinator.yaml", *nodes, self.person("analyst") / "federated.yaml")

    def key_of(self, name: str, file: str = "") -> SigningKey:
        """A person's private key."""
        return read_private_key(self.person(name) / (file or f"{name}.key"))

    def hand(self, file: str, giver: Path, *takers: Path) -> None:
        """Give a file to others, as by post."""
        for taker in takers:
            (taker / file).write_bytes((giver / file).read_bytes())

    @contextmanager
    def store(self) -> Iterator[tuple[Settings, Store]]:
        settings = load_settings(self.hub / "coordinator.yaml")
        opened = open_store(settings.database_url)
        try:
            yield settings, opened
        finally:
            opened.close()

    def swap(self, name: str, old: str, new: str, *files: Path) -> None:
        """Change a line of settings, as with a text editor: in the files named, or wherever people pin keys."""
        for path in files or self.settings_files():
            text = path.read_text(encoding="utf-8")
            assert old in text, f"{path} does not hold {name}"
            path.write_text(text.replace(old, new), encoding="utf-8")

    # Papers

    def reload(self) -> None:
        """Take the agreement, the list of councils and the councils' keys as they stand now."""
        with self.store() as (_, store):
            row = store.membership.latest_roster()
        assert row is not None
        self.roster_envelope = row.envelope
        self.roster = parse_roster(unsafe_payload(row.envelope, ROSTER_TYPE))
        found = [path.read_bytes() for path in (self.hub / "agreements").glob("*.dsse")]
        read = [(parse_agreement(unsafe_payload(item, AGREEMENT_TYPE)), item) for item in found]
        self.agreement, self.agreement_envelope = max(read, key=lambda item: item[0].version)
        self.keys = {c: read_private_key(self.home(c) / "node" / "identity.pem") for c in self.roster.councils}
        self.manifest = self.dated_manifest()

    def dated_manifest(self, **changes: Any) -> bytes:
        ends = [self.now.date() + timedelta(days=days) for days in (60, 70, 80)]
        return self.make_manifest(collect_by=ends[0], return_by=ends[1], expires_on=ends[2], **changes)

    def terms(self, manifest: bytes, **changes: Any) -> Terms:
        now = self.now.replace(microsecond=0)
        named = {
            "manifest_digest": sha256(manifest),
            "not_before": now - timedelta(minutes=5),
            "collect_by": now + timedelta(days=2),
            "return_by": now + timedelta(days=3),
            "not_after": now + timedelta(days=4),
            "attempts": 2,
            "nonce": os.urandom(32),
        }
        return Terms(**{**named, **changes})

    def ask(self, key: SigningKey | None = None, **changes: Any) -> Any:
        """A question, signed by the analyst or by whoever has this key."""
        signer = self.key_of("analyst") if key is None else key
        return self.propose(key=signer, manifest_key=signer, **changes)

    # Nodes

    def _make(self, council: CouncilId) -> Seat:
        folder = self.home(council) / "node"
        seat = Seat(self, council, folder, read_private_key(folder / "identity.pem"))
        seat.open()
        return seat

    def stop(self, *councils: CouncilId) -> None:
        """Stop nodes; they start again when next asked for."""
        for council in councils or tuple(self._seats):
            seat = self._seats.pop(council, None)
            if seat is not None:
                seat.station.__exit__(None, None, None)

    def deliver(self, *councils: CouncilId) -> None:
        """The coordinator hands its list of councils to the nodes, and each takes it."""
        for council in councils or tuple(self.roster.councils):
            said = self.seat(council).ask(self.roster_message(self.roster_envelope))
            assert said.kind is Kind.RECEIPT, said

    def round(self, **terms: Any) -> Rehearsal:
        """An honest round of all councils on the list, until the last one's stage is to begin."""
        self.councils = tuple(self.roster.councils)
        return Rehearsal(self, self.ask(**terms))

    def answered(self) -> int:
        """Let every council on the list answer a question; how many were in the sum."""
        rehearsal = self.round()
        rehearsal.until(Kind.STATEMENTS)
        return len(rehearsal.unmask().u3)

    def spent(self, council: CouncilId = ME) -> Fraction | None:
        """What a council's ledger counts as spent this year, as pure epsilon."""
        settings = read_settings(self.home(council) / "node" / "node.yaml")
        with Ledger.read_only(settings.ledger_file, council) as ledger:
            ledger.verify()
            return ledger.totals(self.agreement.id, period_of(self.now))[0].epsilon

    @contextmanager
    def reachable(self) -> Iterator[int]:
        """The coordinator's enrolment service on loopback, under the certificate of its settings; gives the port.

        The nodes' settings name that port while it runs.
        """
        with self.store() as (settings, store):
            shown = load_certificate(Path(settings.tls.key), Path(settings.tls.certificate), now=self.now)
            service = EnrolmentService(record_key(store, now_utc))
            with _in_thread(shown, service) as port:
                self._point_at(f"127.0.0.1:{port}")
                yield port

    def _point_at(self, address: str) -> None:
        for path in self.folder.glob("councils/*/node/node.yaml"):
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            document["coordinator"]["address"] = address
            path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


@contextmanager
def _in_thread(certificate: Any, service: EnrolmentService) -> Iterator[int]:
    """Serve from a thread of its own, as the commands run to their end in this one."""
    ready = threading.Event()
    told: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async with serving("127.0.0.1:0", certificate, service) as port:
            told.append((port, asyncio.get_running_loop(), stop := asyncio.Event()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(20)
        yield told[0][0]
    finally:
        for _, loop, stop in told:
            loop.call_soon_threadsafe(stop.set)
        thread.join()


# The first layout


def lay_out(folder: Path) -> Path:
    """Make every party's files, enrol and list the councils, and have each answer one question."""
    keys = {name: make_key(os.urandom) for name in PEOPLE}
    for name, key in keys.items():
        (folder / name).mkdir()
        write_private_key(folder / name / f"{name}.key", key)
        write_public_key(folder / name / f"{name}.pub", key.public)
    trust = {
        "roster_keys": [public_line(keys[name].public) for name in ("ann", "bob", "cem")],
        "agreement_keys": [public_line(keys[name].public) for name in ("dora", "finn")],
    }
    settings, _ = create(
        folder / "hub",
        NewCoordinator(id="hub", name="Hub", hosts=["127.0.0.1"], listen_host="127.0.0.1", port=0, **trust),
        now=now_utc(),
        rng=os.urandom,
    )
    made = _councils(folder, TrustSettings(**trust))
    _workspace(folder, trust)
    store = open_store(settings.database_url)
    try:
        _first_papers(folder, settings, store, keys, made)
    finally:
        store.close()
    world = Parties(folder)
    world.deliver()
    assert world.answered() == len(COUNCILS)
    _keep_statements(world)
    world.stop()
    return folder


def _councils(folder: Path, trust: TrustSettings) -> Mapping[CouncilId, SigningKey]:
    (folder / "trust.yaml").write_text(yaml.safe_dump(trust.model_dump(mode="json")), encoding="utf-8")
    made = {}
    for council in COUNCILS:
        home = folder / "councils" / council
        home.mkdir(parents=True)
        (home / "trust.yaml").write_bytes((folder / "trust.yaml").read_bytes())
        (home / "authority.pem").write_bytes((folder / "hub" / "tls" / "authority.pem").read_bytes())
        _extract(home, council)
        new = NewNode(
            folder=home / "node",
            council=council,
            coordinator="hub",
            address="127.0.0.1:1",
            trust=home / "trust.yaml",
            mapping=home / "case-mapping.yaml",
            ca_file=home / "authority.pem",
            automatic=True,
        )
        made[council] = make_node(new)[1]
    return made


def _extract(home: Path, council: CouncilId) -> None:
    """An extract in which `council-node check` finds nothing to mend: every outcome is known."""
    World.write_extract(None, home, council)  # type: ignore[arg-type]  # needs nothing of a world
    (home / "mapping.yaml").rename(home / "case-mapping.yaml")
    with (home / "extract.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (home / "extract.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"assessment_outcome": "prevention_owed"} for row in rows)


def _workspace(folder: Path, trust: Mapping[str, Any]) -> None:
    document = {
        "workspace": 1,
        "key": "analyst.key",
        "coordinator": {"id": "hub", "address": "127.0.0.1:1", "ca_file": "authority.pem"},
        "trust": dict(trust),
    }
    (folder / "analyst" / "federated.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


def _first_papers(
    folder: Path, settings: Settings, store: Store, keys: Mapping[str, SigningKey], made: Mapping[CouncilId, SigningKey]
) -> None:
    now, hub = now_utc(), folder / "hub"
    record = record_key(store, now_utc)
    for council, key in made.items():
        decide(store, find(store, record(council, key.public)), accept=True, now=now)
    draft = draft_roster(settings, store, load_schema(), now=now, days=90)
    (hub / "roster-1.dsse").write_bytes(sign_payload(draft, ROSTER_TYPE, [keys["ann"], keys["bob"]]))
    publish_roster(settings, store, hub / "roster-1.dsse", now)
    signed, agreement = _agreement(keys, now)
    (hub / "agreement.dsse").write_bytes(signed)
    add_agreement(settings, store, hub / "agreement.dsse", now)
    for council in made:
        (folder / "councils" / council / "node" / "agreements" / f"{agreement.id}.dsse").write_bytes(signed)
    for name in ("dora", "analyst"):
        (folder / name / "agreement-1.dsse").write_bytes(signed)


def _agreement(keys: Mapping[str, SigningKey], now: datetime) -> tuple[bytes, Agreement]:
    from tests.integration.federation_world import EXAMPLES

    today = now.date()
    document = yaml.safe_load((EXAMPLES / "agreement.yaml").read_bytes()) | {
        "version": 1,
        "valid_from": today,
        "review_on": today + timedelta(days=100),
        "valid_to": today + timedelta(days=200),
        "groups": [{"name": "all", "label": "All", "profile": "careful", "councils": list(COUNCILS)}],
        "min_cohort": 4,
        "min_honest": 2,
        "max_epsilon_per_query": "1",
    }
    document["budget"]["epsilon"] = "20"
    document["analysts"][0]["public_key"] = public_line(keys["analyst"].public)
    document["reviewers"][0]["public_key"] = public_line(keys["reviewer"].public)
    payload = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
    return sign_payload(payload, AGREEMENT_TYPE, [keys["dora"], keys["finn"]]), parse_agreement(payload)


def _keep_statements(world: Parties) -> None:
    """What the coordinator keeps of the councils' budgets, as when a reviewer asks for them."""
    from coordinator.store import BudgetRow
    from protocols.wire.link_message import NO_REFERENCE, LinkMessage

    request = LinkMessage(kind=Kind.BUDGET_REQUEST, reference=NO_REFERENCE, payload=b"").encode()
    rows = []
    for council, seat in world.seats().items():
        reply = LinkMessage.decode(seat.send(request))
        assert reply.kind is Kind.BUDGET_STATEMENT, seat.read(reply.encode())
        rows.append(BudgetRow(council=council, envelope=reply.payload, received_at=world.now))
    with world.store() as (_, store):
        store.membership.keep_budgets(rows)
