"""Real council nodes in one process, with signed files of their own, and no coordinator between them and the test.

A test sends a node whatever bytes a coordinator could, however dishonest: nothing checks them on the way. `World`
makes the papers (agreement, roster, manifest, plan) and nodes; `Rehearsal` relays an honest round between nodes with
a real aggregator, and hands the test every request on its way.
"""

import csv
import json
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import yaml

from council_node.node import CouncilNode
from council_node.settings import read_settings
from council_node.setup import NewNode, make_node
from council_node.station import Station
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.iteration import Iteration
from federated.keys import SigningKey, make_key, public_line, read_private_key, trusted_keys, write_private_key
from federated.ledger_entries import LedgerRound
from federated.manifest import MANIFEST_TYPE
from federated.mask_holder import HolderIdentity
from federated.plan import PLAN_TYPE, Plan, Terms, derive_plan
from federated.privacy import Mechanism
from federated.query import Dimension, Period, Query, Table
from federated.roster import ROSTER_TYPE, Coordinator, Roster, RosterEntry, parse_roster, roster_payload
from federated.schema import load_schema
from federated.signing import open_statement, sign_payload
from federated.trust import TrustSettings
from protocols.encoding import canonical_json, sha256
from protocols.identifiers import CouncilId, RoundId
from protocols.secagg import Aggregator, HolderSession, RoundContext, SecureSum, holder_of, round_id
from protocols.wire.link_message import NO_REFERENCE, Kind, LinkMessage

EXAMPLES = Path(__file__).parents[1] / "unit" / "federated" / "examples"
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
SCHEMA = load_schema()
COUNCILS = tuple(CouncilId(f"E0600000{number}") for number in range(1, 6))
ME = COUNCILS[2]
HUB = "hub"
QUARTER = Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31))
CANARY = "Canary-7f3a91"

# Nothing is secret here, so keys follow from a number and tests are the same every time.
HOLDER_KEY = make_key(random.Random("federation world, mask holder").randbytes)
HOLDER = {"id": "lga", "name": "Local Government Association", "key": public_line(HOLDER_KEY.public)}
"""What an agreement says of a mask holder."""
SIGNER_A, SIGNER_B, PROGRAMME, ANALYST, REVIEWER, STRANGER, HUB_KEY, ASSOCIATION = (
    make_key(random.Random(f"federation world {number}").randbytes) for number in range(8)
)
TRUST = TrustSettings(
    roster_keys=(public_line(SIGNER_A.public), public_line(SIGNER_B.public)),
    agreement_keys=(public_line(PROGRAMME.public), public_line(ASSOCIATION.public)),
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a node replied: the kind of message, and of a decision or refusal the signed words."""

    kind: Kind
    body: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    @property
    def rule(self) -> str:
        """The rule named, or the code of a fault."""
        return str(self.body.get("rule", self.body.get("code", "")))

    @property
    def words(self) -> str:
        """The sentence."""
        return str(self.body.get("reason", self.body.get("message", "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A signed plan with its manifest, as a coordinator circulates it."""

    plan: Plan
    content: bytes
    envelope: bytes
    manifest: bytes

    def request(self, **changes: Any) -> bytes:
        """The PROPOSAL message."""
        body = {"version": 1, "plan": self.envelope.decode(), "manifest": self.manifest.decode()}
        reference = changes.pop("reference", sha256(self.content))
        return LinkMessage(kind=Kind.PROPOSAL, reference=reference, payload=canonical_json(body | changes)).encode()


@dataclass(slots=True)
class Seat:
    """One council's node with its folder; `restart` opens it afresh, as after a crash."""

    world: "World"
    council: CouncilId
    folder: Path
    key: SigningKey
    station: Station = field(init=False)
    node: CouncilNode = field(init=False)
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def send(self, request: bytes) -> bytes:
        return self.node.answer(request)

    def ask(self, request: bytes) -> Said:
        """Send a request and read the reply, its signature checked."""
        return self.read(self.send(request))

    def read(self, reply: bytes) -> Said:
        message = LinkMessage.decode(reply)
        trusted = trusted_keys(self.key.public)
        named = {Kind.DECISION: "decision", Kind.REFUSAL: "refusal", Kind.COMPLAINT: "complaint"}
        if message.kind in named:
            return Said(message.kind, open_statement(named[message.kind], message.payload, trusted), message.payload)
        if message.kind is Kind.FAULT:
            return Said(message.kind, json.loads(message.payload), message.payload)
        return Said(message.kind, {}, message.payload)

    def propose(self, proposal: Proposal, **changes: Any) -> Said:
        return self.ask(proposal.request(**changes))

    def invite(self, plan: Plan, **changes: Any) -> Said:
        return self.ask(invitation(self.world, plan, **changes))

    def charge(self, sid: bytes) -> LedgerRound | None:
        """The round as this council's ledger has it."""
        return self.station.ledger.round(RoundId(sid))

    def state(self, sid: bytes) -> str:
        """``reserved``, ``spent``, ``released``, or nothing where the ledger does not know the round."""
        charge = self.charge(sid)
        return "" if charge is None else charge.state.value

    def policy(self, **changes: Any) -> None:
        """Change this council's own policy file while the node runs."""
        path = self.station.settings.policy
        document = yaml.safe_load(path.read_text(encoding="utf-8")) | changes
        path.write_text(yaml.safe_dump(document), encoding="utf-8")

    def restart(self) -> None:
        self.station.__exit__(None, None, None)
        self.open()

    def open(self) -> None:
        def log(event: str, fields: Mapping[str, Any]) -> None:
            self.events.append((event, dict(fields)))

        self.station = Station(
            read_settings(self.folder / "node.yaml"), clock=lambda: self.world.now, rng=os.urandom, log=log
        )
        self.node = CouncilNode(self.station)


class World:
    """Papers and nodes. The clock is `now` and moves when the test moves it.

    Args:
        folder: An empty folder.
        councils: The named group, which is careful; its smallest cohort is all of them but one.
        epsilon: Budget of the year.
        agreement: Changes to the agreement.
    """

    def __init__(
        self,
        folder: Path,
        *,
        councils: tuple[CouncilId, ...] = COUNCILS,
        epsilon: str = "20",
        agreement: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.now = NOW
        self.councils = councils
        self._serial = 0
        self._seats: dict[CouncilId, Seat] = {}
        self.keys = {council: make_key(random.Random(f"council {council}").randbytes) for council in councils}
        self.agreement_envelope, self.agreement = self.make_agreement(epsilon=epsilon, **(agreement or {}))
        self.roster_envelope, self.roster = self.make_roster()
        self.manifest = self.make_manifest()
        (folder / "trust.yaml").write_text(yaml.safe_dump(TRUST.model_dump(mode="json")), encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for seat in self._seats.values():
            seat.station.__exit__(None, None, None)

    # Papers

    def make_agreement(
        self, *, epsilon: str = "20", keys: Sequence[SigningKey] = (PROGRAMME, ASSOCIATION), **changes: Any
    ) -> tuple[bytes, Agreement]:
        """An agreement valid through March, so that it ends before the roster, manifest and plans do."""
        document = yaml.safe_load((EXAMPLES / "agreement.yaml").read_bytes())
        document |= {
            "valid_from": date(2026, 1, 1),
            "review_on": date(2026, 2, 1),
            "valid_to": date(2026, 3, 31),
            "groups": [{"name": "all", "label": "All", "profile": "careful", "councils": list(self.councils)}],
            "min_cohort": len(self.councils) - 1,
            "min_honest": 2,
            "max_epsilon_per_query": "1" if Fraction(epsilon) > 1 else epsilon,
        }
        document["budget"]["epsilon"] = epsilon
        document["analysts"][0]["public_key"] = public_line(ANALYST.public)
        document["reviewers"][0]["public_key"] = public_line(REVIEWER.public)
        payload = yaml.safe_dump(document | changes, sort_keys=False, allow_unicode=True).encode()
        return sign_payload(payload, AGREEMENT_TYPE, keys), parse_agreement(payload)

    def make_roster(
        self,
        *,
        epoch: int = 3,
        councils: Iterable[CouncilId] | None = None,
        keys: tuple[SigningKey, ...] = (SIGNER_A, SIGNER_B),
        name: str = "Hub",
        not_after: date = date(2026, 5, 15),
    ) -> tuple[bytes, Roster]:
        """The list of councils, signed by two people."""
        entries = [
            RosterEntry(
                id=council,
                name=SCHEMA.councils[council].name,
                region=SCHEMA.councils[council].region,
                public_key=self.keys[council].public,
                valid_from=date(2026, 1, 1),
                valid_to=date(2026, 12, 31),
            )
            for council in (self.councils if councils is None else councils)
        ]
        payload = roster_payload(
            epoch=epoch,
            not_before=date(2026, 2, 20),
            not_after=not_after,
            coordinator=Coordinator(id=HUB, name=name, public_key=HUB_KEY.public),
            councils=entries,
        )
        return sign_payload(payload, ROSTER_TYPE, list(keys)), parse_roster(payload)

    def make_manifest(self, *, columns: Iterable[str] = (), **changes: Any) -> bytes:
        """The manifest's bytes: the example, with further columns explained."""
        document = yaml.safe_load((EXAMPLES / "manifest.yaml").read_bytes())
        explained = {item["column"] for item in document["fields_read"]}
        for column in sorted({"assessment_outcome", *columns} - explained):
            document["fields_read"].append({**document["fields_read"][0], "column": column})
        return yaml.safe_dump(document | changes, sort_keys=False, allow_unicode=True).encode()

    # Questions and plans

    def question(self, *by: str, **changes: Any) -> Query:
        table = Table(
            name="outcome",
            statistic="households",
            by=tuple(Dimension(column=name) for name in by or ("assessment_outcome",)),
        )
        asked = Query(
            title="Households by outcome",
            dataset="case",
            unit="household",
            group="all",
            period=QUARTER,
            epsilon=Fraction(1),
            tables=(table,),
        )
        return replace(asked, **changes)

    def terms(self, manifest: bytes, **changes: Any) -> Terms:
        """Terms of a plan with a nonce of its own; good until the middle of May."""
        self._serial += 1
        terms = Terms(
            manifest_digest=sha256(manifest),
            not_before=NOW - timedelta(minutes=5),
            collect_by=NOW + timedelta(days=2),
            return_by=NOW + timedelta(days=3),
            not_after=NOW + timedelta(days=80),
            attempts=2,
            nonce=sha256(b"plan %d" % self._serial),
        )
        return replace(terms, **changes)

    def propose(
        self,
        question: Query | None = None,
        *,
        manifest: bytes | None = None,
        agreement: Agreement | None = None,
        roster: Roster | None = None,
        mechanism: Mechanism = Mechanism.DISCRETE_LAPLACE,
        key: SigningKey = ANALYST,
        manifest_key: SigningKey = ANALYST,
        **terms: Any,
    ) -> Proposal:
        """A question planned and signed; by the analyst, and as any agreement or roster would have it."""
        named = self.manifest if manifest is None else manifest
        plan = derive_plan(
            question or self.question(),
            agreement=agreement or self.agreement,
            roster=roster or self.roster,
            schema=SCHEMA,
            mechanism=mechanism,
            terms=self.terms(named, **terms),
        )
        return self.signed(plan, plan.encode(), manifest=named, key=key, manifest_key=manifest_key)

    def signed(
        self,
        plan: Plan,
        content: bytes,
        *,
        manifest: bytes | None = None,
        key: SigningKey = ANALYST,
        manifest_key: SigningKey = ANALYST,
    ) -> Proposal:
        """These very bytes as a plan."""
        return Proposal(
            plan=plan,
            content=content,
            envelope=sign_payload(content, PLAN_TYPE, [key]),
            manifest=sign_payload(self.manifest if manifest is None else manifest, MANIFEST_TYPE, [manifest_key]),
        )

    # Nodes

    def seat(self, council: CouncilId = ME) -> Seat:
        """A council's node, made when first asked for: by `council-node init`, with agreement, roster and extract."""
        if council not in self._seats:
            self._seats[council] = self._make(council)
        return self._seats[council]

    def seats(self, councils: Iterable[CouncilId] | None = None) -> dict[CouncilId, Seat]:
        return {council: self.seat(council) for council in (self.councils if councils is None else councils)}

    def _make(self, council: CouncilId) -> Seat:
        folder = self.folder / council
        folder.mkdir()
        self.write_extract(folder, council)
        settings, made = make_node(
            NewNode(
                folder=folder,
                council=council,
                coordinator=HUB,
                address="127.0.0.1:1",
                trust=self.folder / "trust.yaml",
                mapping=folder / "mapping.yaml",
                automatic=True,
            )
        )
        # The roster is signed before the nodes are made, so each node gets the key that stands in it.
        self._replace_key(settings.keys.identity, made, self.keys[council])
        self.accept(council)
        seat = Seat(self, council, folder, read_private_key(settings.keys.identity))
        seat.open()
        reply = seat.ask(self.roster_message(self.roster_envelope))
        if reply.kind is not Kind.RECEIPT:
            raise AssertionError(reply)
        return seat

    @staticmethod
    def _replace_key(path: Path, made: SigningKey, key: SigningKey) -> None:
        path.unlink()
        write_private_key(path, key)
        assert made.public != key.public

    def accept(self, council: CouncilId, envelope: bytes | None = None) -> None:
        """Put a signed agreement where this council keeps those it accepted."""
        path = self.folder / council / "agreements" / f"{self.agreement.id}.dsse"
        path.write_bytes(self.agreement_envelope if envelope is None else envelope)

    def write_extract(self, folder: Path, council: CouncilId) -> None:
        """Sixty households of the quarter, in a file whose references and unread columns hold a canary."""
        headings = ("household_key", "assessment_date", "assessment_outcome", "household_type", "free_text")
        outcomes = [code.code for code in SCHEMA.dataset("case").columns["assessment_outcome"].codes]
        kinds = [code.code for code in SCHEMA.dataset("case").columns["household_type"].codes]
        rng = random.Random(f"extract {council}")
        with (folder / "extract.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(headings)
            for number in range(60):
                day = date(2025, 1, 1) + timedelta(days=rng.randrange(90))
                writer.writerow(
                    [f"{CANARY}-{number}", day.isoformat(), rng.choice(outcomes), rng.choice(kinds), f"{CANARY} note"]
                )
        columns = {name: {"from": name} for name in headings[:-1]}
        document = {"mapping": 1, "dataset": "case", "file": "extract.csv", "dates": "iso", "columns": columns}
        (folder / "mapping.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        stamp = (NOW - timedelta(days=5)).timestamp()
        os.utime(folder / "extract.csv", (stamp, stamp))

    def roster_message(self, envelope: bytes) -> bytes:
        return LinkMessage(kind=Kind.ROSTER, reference=NO_REFERENCE, payload=envelope).encode()


def round_of(
    world: World,
    plan: Plan,
    *,
    attempt: int = 1,
    nonce: int = 1,
    coordinator: str = HUB,
    iteration: Iteration | None = None,
) -> RoundId:
    """The round id that follows from an invitation."""
    return round_id(
        plan_digest=plan.digest,
        roster_digest=plan.roster_digest,
        coordinator_id=coordinator,
        attempt=attempt,
        nonce=bytes([nonce]) * 32,
        counted_at=b"" if iteration is None else iteration.encode(),
    )


def invitation(
    world: World,
    plan: Plan,
    *,
    attempt: int = 1,
    nonce: int = 1,
    sid: bytes | None = None,
    iteration: Iteration | None = None,
    **changes: Any,
) -> bytes:
    """The INVITE message; `changes` are made to what it says, after the round id was worked out."""
    body = {
        "version": 1,
        "plan_digest": plan.digest.hex(),
        "attempt": attempt,
        "nonce": (bytes([nonce]) * 32).hex(),
        "roster_epoch": world.roster.epoch,
        "coordinator_id": HUB,
    }
    if iteration is not None:
        body["iteration"] = iteration.canonical()
    reference = round_of(world, plan, attempt=attempt, nonce=nonce, iteration=iteration) if sid is None else sid
    return LinkMessage(kind=Kind.INVITE, reference=reference, payload=canonical_json(body | changes)).encode()


def abort(sid: bytes) -> bytes:
    payload = canonical_json({"version": 1, "reason": "for the test"})
    return LinkMessage(kind=Kind.ABORT, reference=sid, payload=payload).encode()


class Rehearsal:
    """An honest round between real nodes, stage by stage; the test sees and may alter every message on its way.

    Attributes:
        requests: What the last `close` wants sent to each council.
    """

    def __init__(
        self,
        world: World,
        proposal: Proposal,
        *,
        attempt: int = 1,
        nonce: int = 1,
        iteration: Iteration | None = None,
    ) -> None:
        self.world = world
        self.plan = proposal.plan
        self.seats = world.seats()
        self.sid = round_of(world, self.plan, attempt=attempt, nonce=nonce, iteration=iteration)
        bare = RoundContext(
            sid=self.sid,
            plan_digest=self.plan.digest,
            eligible=self.plan.eligible,
            identities={council: world.keys[council].public for council in self.plan.eligible},
            rules=self.plan.rules,
            ring=self.plan.ring,
            cells=self.plan.cells,
            suite=self.plan.suite,
            holder=None,
        )
        self.proposal = proposal
        held = {}
        if self.plan.holder is not None:
            pinned = self.plan.holder
            invited = invitation(world, self.plan, attempt=attempt, nonce=nonce, iteration=iteration)
            advert = self.hold(bare, pinned, json.loads(LinkMessage.decode(invited).payload))
            holder = holder_of(advert, sid=self.sid, id=pinned.id, identity=pinned.key, suite=bare.suite)
            bare, held = replace(bare, holder=holder), {"holder_advert": advert.hex()}
        self._invitation = invitation(world, self.plan, attempt=attempt, nonce=nonce, iteration=iteration, **held)
        self.aggregator = Aggregator(bare)
        for seat in self.seats.values():
            said = seat.propose(proposal)
            assert said.body["decision"] == "approved", said
        self.requests: dict[CouncilId, bytes] = {}

    def hold(self, bare: RoundContext, pinned: HolderIdentity, _invited: Mapping[str, Any]) -> bytes:
        """Have the mask holder hold the round. Returns its advert."""
        self.holder = HolderSession(bare, pinned.id, HOLDER_KEY.sign, os.urandom, identity=pinned.key)
        return self.holder.advertise()

    def open_sum(self, request: bytes) -> bytes:
        """Have it open the sum. Returns its opening."""
        return self.holder.open(request)

    def message(self, kind: Kind, council: CouncilId) -> bytes:
        """The request of a stage for one council."""
        return self.packed(kind, self.requests[council])

    def packed(self, kind: Kind, payload: bytes) -> bytes:
        return LinkMessage(kind=kind, reference=self.sid, payload=payload).encode()

    def invite(self) -> dict[CouncilId, bytes]:
        """R0. Returns the adverts."""
        adverts = {}
        for council, seat in self.seats.items():
            reply = LinkMessage.decode(seat.send(self._invitation))
            assert reply.kind is Kind.ADVERT, seat.read(reply.encode())
            adverts[council] = reply.payload
            self.aggregator.receive_advert(council, reply.payload)
        self.requests = self.aggregator.close_adverts()
        return adverts

    def share_keys(self) -> None:
        """R1."""
        self._stage(Kind.ADVERTS, Kind.KEY_SHARES, self.aggregator.receive_key_shares)
        self.requests = self.aggregator.close_key_shares()

    def masked_inputs(self) -> None:
        """R2."""
        self._stage(Kind.SHARES, Kind.MASKED_INPUT, self.aggregator.receive_masked_input)
        self.requests = self.aggregator.close_masked_inputs()

    def confirm(self) -> None:
        """R3."""
        self._stage(Kind.SURVIVORS, Kind.CONFIRMATION, self.aggregator.receive_confirmation)
        self.requests = self.aggregator.close_confirmations()

    def unmask(self) -> SecureSum:
        """R4 and Finish; before, the mask holder's opening where there is one."""
        if self.plan.holder is not None:
            self.aggregator.receive_opening(self.open_sum(self.aggregator.opening_request()))
        self._stage(Kind.STATEMENTS, Kind.UNMASK, self.aggregator.receive_unmask)
        return self.aggregator.finish()

    def until(self, kind: Kind) -> Self:
        """Go on until the requests of this kind are ready to be sent."""
        for ready, step in (
            (Kind.ADVERTS, self.invite),
            (Kind.SHARES, self.share_keys),
            (Kind.SURVIVORS, self.masked_inputs),
            (Kind.STATEMENTS, self.confirm),
        ):
            step()
            if ready is kind:
                return self
        raise AssertionError(kind)

    def _stage(self, kind: Kind, expected: Kind, receive: Any) -> None:
        for council in self.requests:
            reply = LinkMessage.decode(self.seats[council].send(self.message(kind, council)))
            assert reply.kind is expected, self.seats[council].read(reply.encode())
            receive(council, reply.payload)
