"""A federation of scripted, honest councils around a real coordinator: real plans, rounds and signatures, no data.

Each council answers as a node does, by its own derivation of the plan and a `ParticipantSession`; instead of reading
cases it adds a vector the test chose. Policy, ledger and noise are the node's own tests' business.
"""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import yaml

from coordinator.centre import Centre
from coordinator.council_link import InProcessLink
from coordinator.office import Office, StillActing, alone
from coordinator.progress import RunStage, Step
from coordinator.roster import load_membership
from coordinator.settings import ProposalSettings, Settings, StageTimeouts, TlsFiles
from coordinator.store import RosterRow, Store, open_store
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.budget_statement import BudgetStatement
from federated.keys import SigningKey, make_key, public_line
from federated.manifest import MANIFEST_TYPE
from federated.plan import PLAN_TYPE, Plan, Terms, derive_plan, open_plan
from federated.privacy import Mechanism
from federated.query import parse_query
from federated.release import open_release
from federated.roster import ROSTER_TYPE, Coordinator, Roster, RosterEntry, parse_roster, roster_payload
from federated.schema import load_schema
from federated.signing import sign_payload, sign_statement, unsafe_payload
from federated.trust import TrustSettings
from protocols.encoding import canonical_json, sha256
from protocols.identifiers import CouncilId, RandomSource
from protocols.secagg import LedgerClaim, ParticipantSession, RoundContext
from protocols.wire.link_message import Kind, LinkMessage, fault
from tests.integration.link_harness import until

EXAMPLES = Path(__file__).parent.parent / "unit" / "federated" / "examples"
START = datetime(2026, 2, 1, 12, tzinfo=UTC)
DAY = START.date()
SCHEMA = load_schema()
NORTH_EAST = tuple(sorted(c.id for c in SCHEMA.councils.values() if c.region == "E12000001"))

QUESTION = """
query: 1
title: Families by age
dataset: case
unit: household
group: everyone
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - {name: age, count: households, by: [main_age_band]}
"""


def seeded(seed: int) -> RandomSource:
    return random.Random(seed).randbytes


ANN, BOB, CEM, ANALYST, REVIEWER, HUB, DEE = (make_key(seeded(number)) for number in range(1, 8))
TRUST = TrustSettings(
    roster_keys=(public_line(ANN.public), public_line(BOB.public)),
    agreement_keys=(public_line(CEM.public), public_line(DEE.public)),
)


def council_key(council: CouncilId) -> SigningKey:
    return make_key(seeded(int(council[1:])))


def make_roster(councils: tuple[CouncilId, ...], *, epoch: int = 1, start: date = DAY) -> bytes:
    """A roster signed by its two signers."""
    entries = [
        RosterEntry(
            id=council,
            name=SCHEMA.councils[council].name if council in SCHEMA.councils else f"Council {council}",
            region=SCHEMA.councils[council].region if council in SCHEMA.councils else "E12000007",
            public_key=council_key(council).public,
            valid_from=start,
            valid_to=start + timedelta(days=300),
        )
        for council in councils
    ]
    payload = roster_payload(
        epoch=epoch,
        not_before=start,
        not_after=start + timedelta(days=90),
        coordinator=Coordinator(id="hub", name="Hub", public_key=HUB.public),
        councils=entries,
    )
    return sign_payload(payload, ROSTER_TYPE, [ANN, BOB])


def make_agreement(
    councils: tuple[CouncilId, ...], *, profile: str = "careful", attempts: int = 2, year: int = 2026, version: int = 3
) -> bytes:
    """The example agreement for these councils, signed."""
    document = yaml.safe_load((EXAMPLES / "agreement.yaml").read_bytes())
    document["groups"] = [{"name": "everyone", "label": "Everyone", "profile": profile, "councils": list(councils)}]
    document["analysts"][0]["public_key"] = public_line(ANALYST.public)
    document["reviewers"][0]["public_key"] = public_line(REVIEWER.public)
    document |= {"attempts": attempts, "version": version}
    document |= {"valid_from": date(year, 1, 1), "review_on": date(year, 1, 1), "valid_to": date(year, 12, 31)}
    payload = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
    return sign_payload(payload, AGREEMENT_TYPE, [CEM, DEE])


@dataclass
class ScriptedCouncil:
    """One council. `before` may raise, or return bytes to answer with instead."""

    council: CouncilId
    federation: "Federation"
    figures: np.ndarray
    decision: str = "approved"
    rule: str = ""
    before: Callable[[LinkMessage], bytes | None] = lambda _message: None
    seen: list[Kind] = field(default_factory=list)
    releases: list[bytes] = field(default_factory=list)
    sessions: dict[bytes, ParticipantSession] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    epochs: list[int] = field(default_factory=list)

    @property
    def key(self) -> SigningKey:
        return council_key(self.council)

    def answer(self, request: bytes) -> bytes:
        message = LinkMessage.decode(request)
        self.seen.append(message.kind)
        instead = self.before(message)
        if instead is not None:
            return instead
        kind, payload = self._serve(message)
        return LinkMessage(kind=kind, reference=message.reference, payload=payload).encode()

    def _serve(self, message: LinkMessage) -> tuple[Kind, bytes]:  # noqa: PLR0911 - one line for each kind
        match message.kind:
            case Kind.PROPOSAL:
                return Kind.DECISION, self._decide(message)
            case Kind.INVITE:
                return Kind.ADVERT, self._advertise(message)
            case Kind.ADVERTS:
                return Kind.KEY_SHARES, self.sessions[message.reference].share_keys(message.payload)
            case Kind.SHARES:
                session = self.sessions[message.reference]
                session.accept_shares(message.payload)
                return Kind.MASKED_INPUT, session.mask(self.figures)
            case Kind.SURVIVORS:
                return Kind.CONFIRMATION, self.sessions[message.reference].confirm_survivors(message.payload)
            case Kind.STATEMENTS:
                return Kind.UNMASK, self.sessions[message.reference].unmask(message.payload)
            case Kind.RELEASE:
                open_release(message.payload)
                self.releases.append(message.payload)
                return Kind.RECEIPT, self.receipt(message, sha256(message.payload).hex())
            case Kind.ABORT:
                return Kind.RECEIPT, self.receipt(message, "")
            case Kind.BUDGET_REQUEST:
                return Kind.BUDGET_STATEMENT, self.budget()
            case Kind.ROSTER:
                self.epochs.append(parse_roster(unsafe_payload(message.payload, ROSTER_TYPE)).epoch)
                return Kind.RECEIPT, canonical_json({"version": 1, "roster_epoch": self.epochs[-1]})
            case _:
                raise AssertionError(message.kind)

    def receipt(self, message: LinkMessage, digest: str) -> bytes:
        body = {"version": 1, "council": self.council, "sid": message.reference.hex(), "release_digest": digest}
        return sign_statement("receipt", body, self.key)

    def budget(self) -> bytes:
        statement = BudgetStatement(
            council=self.council,
            counter=1,
            head=sha256(b"head"),
            time="2026-02-01T12:00:00Z",
            exhausted=False,
            periods=(),
        )
        return sign_statement("budget-statement", statement.canonical(), self.key)

    def statement(self, message: LinkMessage, **changes: object) -> bytes:
        body = {
            "version": 1,
            "council": self.council,
            "plan_digest": message.reference.hex(),
            "decision": self.decision,
            "rule": self.rule,
            "reason": "Said the test." if self.rule else "",
            "extract_date": f"2026-01-{10 + NORTH_EAST.index(self.council):02d}",
            "decided_at": "2026-02-01T12:00:00Z",
        }
        return sign_statement("decision", body | changes, self.key)

    def _decide(self, message: LinkMessage) -> bytes:
        body = json.loads(message.payload)
        payload = unsafe_payload(body["plan"].encode(), PLAN_TYPE)
        federation = self.federation
        plan = open_plan(payload, agreement=federation.agreement, roster=federation.roster, schema=SCHEMA)
        self.plans[plan.digest.hex()] = plan
        return self.statement(message)

    def _advertise(self, message: LinkMessage) -> bytes:
        invitation = json.loads(message.payload)
        plan = self.plans[invitation["plan_digest"]]
        context = RoundContext(
            sid=message.reference,
            plan_digest=plan.digest,
            eligible=plan.eligible,
            identities={c: council_key(c).public for c in plan.eligible},
            rules=plan.rules,
            ring=plan.ring,
            cells=plan.cells,
            suite=plan.suite,
            holder=None,
        )
        session = ParticipantSession(
            context, self.council, self.key.sign, seeded(hash((self.council, message.reference)))
        )
        self.sessions[message.reference] = session
        return session.advertise(LedgerClaim(counter=1, head=bytes(32), seen=(0,) * len(plan.eligible)))

    def objection(self, message: LinkMessage, kind: Kind, rule: str) -> bytes:
        """A signed refusal or complaint."""
        name = "refusal" if kind is Kind.REFUSAL else "complaint"
        body = {"version": 1, "council": self.council, "sid": message.reference.hex(), "rule": rule, "reason": "No."}
        payload = sign_statement(name, body, self.key)
        return LinkMessage(kind=kind, reference=message.reference, payload=payload).encode()


class Federation:
    """Councils, signed files and a store; `centre` starts a coordinator over them, as often as needed."""

    def __init__(
        self,
        folder: Path,
        *,
        size: int = 8,
        profile: str = "careful",
        attempts: int = 2,
        start: datetime = START,
        database: str | None = None,
    ) -> None:
        self.start = start
        self._database = database
        self.still_acting: StillActing = alone
        self.councils = NORTH_EAST[:size]
        self.folder = folder
        self.roster_envelope = make_roster(self.councils, start=start.date())
        self.roster: Roster = parse_roster(unsafe_payload(self.roster_envelope, ROSTER_TYPE))
        self.agreement_envelope = make_agreement(self.councils, profile=profile, attempts=attempts, year=start.year)
        self.agreement: Agreement = parse_agreement(unsafe_payload(self.agreement_envelope, AGREEMENT_TYPE))
        self.offset = timedelta()
        self._began = datetime.now(UTC)
        self.events: list[tuple[str, Mapping[str, object]]] = []
        (folder / "agreements").mkdir(exist_ok=True)
        (folder / "agreements" / "everyone.dsse").write_bytes(self.agreement_envelope)
        self.settings = self._settings()
        self.store: Store = open_store(self.settings.database_url)
        self.store.membership.add_roster(
            RosterRow(
                epoch=self.roster.epoch, digest=self.roster.digest, envelope=self.roster_envelope, accepted_at=start
            )
        )
        self.manifest = self._manifest()
        figures = np.arange(self.plan().cells, dtype=np.int64)
        self.nodes = {
            council: ScriptedCouncil(council=council, federation=self, figures=figures + 100 * index)
            for index, council in enumerate(self.councils)
        }

    def _settings(self) -> Settings:
        # Long enough for a busy machine; a test that waits for a deadline sets it itself.
        stages = dict.fromkeys(StageTimeouts.model_fields, 60.0) | {"reconnect": 0.2}
        return Settings(
            coordinator=1,
            id="hub",
            name="Hub",
            state=str(self.folder / "state"),
            key=str(self.folder / "coordinator.pem"),
            agreements=str(self.folder / "agreements"),
            database=self._database,
            tls=TlsFiles(certificate=str(self.folder / "server.pem"), key=str(self.folder / "server.key")),
            trust=TRUST,
            stages=StageTimeouts(**stages),
            proposals=ProposalSettings(ask_again=0.1, opening_wait=60),
        )

    def set_timing(self, **timing: float) -> None:
        """Other deadlines, for the coordinators started from now on."""
        stages = {name: value for name, value in timing.items() if name in StageTimeouts.model_fields}
        proposals = {name: value for name, value in timing.items() if name in ProposalSettings.model_fields}
        self.settings = self.settings.model_copy(
            update={
                "stages": self.settings.stages.model_copy(update=stages),
                "proposals": self.settings.proposals.model_copy(update=proposals),
            }
        )

    def now(self) -> datetime:
        return self.start + (datetime.now(UTC) - self._began) + self.offset

    def _manifest(self) -> bytes:
        document = yaml.safe_load((EXAMPLES / "manifest.yaml").read_bytes())
        end = f"{self.start.year}-12-31"
        document |= {"collect_by": end, "return_by": end, "expires_on": end}
        document["fields_read"].append({**document["fields_read"][0], "column": "main_age_band"})
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()

    def plan(self, *, nonce: int | bytes = 1, question: str = QUESTION, days: int = 10) -> Plan:
        now = self.now().replace(microsecond=0)
        terms = Terms(
            manifest_digest=sha256(self.manifest if hasattr(self, "manifest") else b""),
            not_before=now - timedelta(minutes=5),
            collect_by=now + timedelta(days=days),
            return_by=now + timedelta(days=days + 1),
            not_after=now + timedelta(days=days + 2),
            attempts=self.agreement.attempts,
            nonce=nonce if isinstance(nonce, bytes) else bytes([nonce]) * 32,
        )
        return derive_plan(
            parse_query(question.encode(), source="test"),
            agreement=self.agreement,
            roster=self.roster,
            schema=SCHEMA,
            mechanism=Mechanism.DISCRETE_LAPLACE,
            terms=terms,
        )

    def signed(self, plan: Plan, *, key: SigningKey = ANALYST) -> tuple[bytes, bytes]:
        return (
            sign_payload(plan.encode(), PLAN_TYPE, [key]),
            sign_payload(self.manifest, MANIFEST_TYPE, [key]),
        )

    def expected(self, *councils: CouncilId) -> list[int]:
        return [int(total) for total in sum(self.nodes[council].figures for council in councils or self.councils)]

    def office(self, link: InProcessLink, *, owner: str = "ours") -> Office:
        return Office(
            settings=self.settings,
            store=self._at_desk(owner),
            link=link,
            schema=SCHEMA,
            clock=self.now,
            rng=seeded(99),
            membership=load_membership(self.settings, self.store, self.now()),
            note=lambda event, fields: self.events.append((event, dict(fields))),
            still_acting=self.still_acting,
        )

    def _at_desk(self, owner: str) -> Store:
        """The store for a coordinator that acts: as `coordinator serve` takes the desk, and nobody keeps it."""
        lease = timedelta(seconds=self.settings.proposals.lease)
        turn = self.store.desk.take(owner=owner, now=self.now(), until=self.now() + lease)
        assert turn is not None, "another coordinator has the desk"
        return self.store.at_desk(turn)

    def running(self, *, owner: str = "ours", greet: bool = False) -> "Running":
        return Running(self, owner, greet)


class Running:
    """A coordinator that runs for the length of an `async with`."""

    def __init__(self, federation: Federation, owner: str, greet: bool) -> None:
        self.federation = federation
        self.link = InProcessLink({council: node.answer for council, node in federation.nodes.items()})
        self.office = federation.office(self.link, owner=owner)
        self.centre = Centre(self.office, greet=greet)
        self.stop_s = 0.05  # councils that are cut off never answer; a test that waits for messages says so

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        await self.centre.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.centre.stop(timeout_s=self.stop_s)
        await self.link.close()

    async def ask(self, plan: Plan, *, refresh: bool = False) -> list[Step]:
        """Submit a plan and follow its run to the end."""
        digest = await self.centre.desk.submit(*self.federation.signed(plan), refresh=refresh)
        return await self.follow(digest)

    async def follow(self, digest: bytes) -> list[Step]:
        async with aclosing(self.office.board.watch(digest)) as steps:
            return [step async for step in steps]

    async def until(self, digest: bytes, stage: RunStage) -> None:
        """Wait for a run to reach a stage."""
        async with aclosing(self.office.board.watch(digest)) as steps:
            async for step in steps:
                if step.stage is stage:
                    return

    async def settle(self) -> None:
        """Let background work end: only where no council is cut off, as that one would be waited for."""
        await until(lambda: not self.office._tasks)

    def soon(self, call: Callable[[CouncilId], None], council: CouncilId) -> None:
        """From a council's thread: do something to the link before this council's reply reaches it."""
        self.loop.call_soon_threadsafe(call, council)

    def cut(self, council: CouncilId, kind: Kind) -> None:
        """Have a council's connection break for good the moment it is asked this."""
        node = self.federation.nodes[council]

        def before(message: LinkMessage) -> bytes | None:
            if message.kind is kind:
                self.soon(self.link.disconnect, council)
                return fault(message.reference, "cut", "This never arrives.").encode()
            return None

        node.before = before


__all__ = ["Federation", "Kind", "Running", "ScriptedCouncil", "replace"]
