"""Councils for a benchmark of the coordinator: real connections, real cryptography and noise, no extract, no ledger.

Several councils share a process; each has its own outbound connection over TLS and its own identity key, and answers
as a node does: `ParticipantSession` for every stage, a vector of noise for its figures. What a node does besides –
policy, ledger, reading, receipts – is measured by `benchmarks.end_to_end`.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.questions import DAY, about_households
from council_node.link import LinkIdentity, NodeLink
from council_node.link_channel import NO_PROXY, LinkSettings
from federated.agreement import Agreement, parse_agreement
from federated.demo.papers import SMALL_COHORT, agreement_document, yaml_payload
from federated.keys import make_key
from federated.plan import Plan, Terms, derive_plan
from federated.privacy import Mechanism, sample_noise_share
from federated.query import Dimension, Query, Table
from federated.roster import Coordinator, Roster, RosterEntry, parse_roster, roster_payload
from federated.round_context import round_context
from federated.schema import load_schema
from federated.shell import now_utc
from protocols.encoding import sha256
from protocols.identifiers import CouncilId, RoundId
from protocols.secagg import LedgerClaim, ParticipantSession, Profile
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["COORDINATOR", "Papers", "ProcessOfCouncils", "councils_running", "make_papers", "run_councils"]

COORDINATOR = "benchmark"
COLUMNS = ("reason_loss", "household_type", "main_employment", "relief_end_reason")
ROUND_REQUESTS = frozenset({Kind.ADVERTS, Kind.SHARES, Kind.SURVIVORS, Kind.STATEMENTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """Who takes part and in what: made-up councils, since there may be more of them than England has.

    Attributes:
        plan: Derived from the question as every party derives it.
        roster: With each council's public key.
        keys: Each council's private key.
    """

    plan: Plan
    roster: Roster
    keys: Mapping[CouncilId, Ed25519PrivateKey] = field(repr=False)


def make_papers(count: int) -> Papers:
    """Papers of a round of that many councils over 10,010 cells."""
    keys = {CouncilId(f"E{number:08d}"): Ed25519PrivateKey.generate() for number in range(1, count + 1)}
    roster, agreement = _roster(keys), _agreement(keys)
    now = now_utc().replace(microsecond=0)
    terms = Terms(
        manifest_digest=sha256(b"no manifest"),
        not_before=now,
        collect_by=now + timedelta(days=1),
        return_by=now + timedelta(days=2),
        not_after=now + timedelta(days=3),
        attempts=1,
        nonce=os.urandom(32),
    )
    plan = derive_plan(
        _question(),
        agreement=agreement,
        roster=roster,
        schema=load_schema(),
        mechanism=Mechanism.DISCRETE_LAPLACE,
        terms=terms,
    )
    return Papers(plan=plan, roster=roster, keys=keys)


def _roster(keys: Mapping[CouncilId, Ed25519PrivateKey]) -> Roster:
    today = now_utc().date()
    entries = [
        RosterEntry(
            id=council,
            name=council,
            region="E12000001",
            public_key=key.public_key().public_bytes_raw(),
            valid_from=today,
            valid_to=today + timedelta(days=300),
        )
        for council, key in keys.items()
    ]
    hub = Coordinator(id=COORDINATOR, name="Benchmark", public_key=make_key(os.urandom).public)
    payload = roster_payload(
        epoch=1, not_before=today, not_after=today + timedelta(days=30), coordinator=hub, councils=entries
    )
    return parse_roster(payload)


def _agreement(keys: Mapping[CouncilId, Ed25519PrivateKey]) -> Agreement:
    document = agreement_document(
        {council: council for council in keys},
        label="made-up councils",
        profile=Profile.STANDARD if len(keys) >= SMALL_COHORT else Profile.CAREFUL,
        epsilon=Fraction(1),
        analyst=make_key(os.urandom),
        reviewer=make_key(os.urandom),
        today=now_utc().date(),
    )
    document["datasets"]["case"]["columns"] = [DAY, *COLUMNS]
    return parse_agreement(yaml_payload(document))


def _question() -> Query:
    reason, household, employment, relief = (Dimension(column=column) for column in COLUMNS)
    return about_households(
        "Benchmark of ten thousand cells",
        Table(name="employment", statistic="households", by=(reason, household, employment)),
        Table(name="relief", statistic="households", by=(reason, household, relief)),
    )


class _Council:
    """One council's end of one round."""

    def __init__(self, plan: Plan, roster: Roster, council: CouncilId, key: Ed25519PrivateKey, *, leaves: bool) -> None:
        self._plan = plan
        self._roster = roster
        self._council = council
        self._key = key
        self._leaves = leaves
        self._session: ParticipantSession | None = None

    def answer(self, request: bytes) -> bytes:
        """Answer as a node does; one that leaves takes its whole process with it at the worst moment."""
        message = LinkMessage.decode(request)
        if message.kind is Kind.SHARES and self._leaves:
            os._exit(0)  # keys are dealt, nothing has been sent: its seeds must be rebuilt
        kind, payload = self._serve(message)
        return LinkMessage(kind=kind, reference=message.reference, payload=payload).encode()

    def _serve(self, message: LinkMessage) -> tuple[Kind, bytes]:
        if message.kind not in ROUND_REQUESTS or self._session is None:
            return self._begin(message)
        session = self._session
        match message.kind:
            case Kind.ADVERTS:
                return Kind.KEY_SHARES, session.share_keys(message.payload)
            case Kind.SHARES:
                session.accept_shares(message.payload)
                honest = session.cohort.thresholds.h
                return Kind.MASKED_INPUT, session.mask(
                    sample_noise_share(self._plan.noise, honest=honest, rng=os.urandom)
                )
            case Kind.SURVIVORS:
                return Kind.CONFIRMATION, session.confirm_survivors(message.payload)
            case _:
                return Kind.UNMASK, session.unmask(message.payload)

    def _begin(self, message: LinkMessage) -> tuple[Kind, bytes]:
        if message.kind is not Kind.INVITE:
            return Kind.FAULT, b"{}"
        plan = self._plan
        context = round_context(plan, self._roster, RoundId(message.reference), b"")
        self._session = ParticipantSession(context, self._council, self._key.sign, os.urandom)
        claim = LedgerClaim(counter=1, head=bytes(32), seen=(0,) * len(plan.eligible))
        return Kind.ADVERT, self._session.advertise(claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOfCouncils:
    """The councils of one process, as they are handed to it.

    Attributes:
        address: Of the coordinator.
        ca_file: That signed its certificate.
        plan: Of the round.
        roster: Of the round.
        keys: These councils' private keys, raw.
        leave: All of them are gone the moment one is asked for its masked input.
    """

    address: str
    ca_file: Path
    plan: Plan
    roster: Roster
    keys: Mapping[CouncilId, bytes] = field(repr=False)
    leave: bool = False


def run_councils(given: ProcessOfCouncils) -> None:
    """Connect these councils and answer until the process is ended."""
    asyncio.run(_serve(given))


async def _serve(given: ProcessOfCouncils) -> None:
    settings = LinkSettings(address=given.address, ca_file=given.ca_file, proxy=NO_PROXY)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for council, raw in given.keys.items():
            key = Ed25519PrivateKey.from_private_bytes(raw)
            answers = _Council(given.plan, given.roster, council, key, leaves=given.leave)
            identity = LinkIdentity(council=council, coordinator_id=COORDINATOR, sign=key.sign)
            link = NodeLink(settings, identity, answers.answer, rng=os.urandom, on_event=lambda _event, _fields: None)
            tasks.create_task(link.run(stop))


@contextmanager
def councils_running(address: str, ca_file: Path, papers: Papers, *, processes: int, lost: int) -> Iterator[None]:
    """Every council connected, for the length of the block.

    Args:
        address: Of the coordinator.
        ca_file: That signed its certificate.
        papers: Of the round.
        processes: How many hold the councils that stay.
        lost: How many leave, in a process of their own.
    """
    names = list(papers.keys)
    # Spread over the list, so that those who leave do not all come first in the order of masks.
    leaving = names[:: len(names) // lost][:lost] if lost else []
    staying = [name for name in names if name not in leaving]
    groups = [*(staying[number::processes] for number in range(processes)), leaving]
    given = [
        ProcessOfCouncils(
            address=address,
            ca_file=ca_file,
            plan=papers.plan,
            roster=papers.roster,
            keys={name: papers.keys[name].private_bytes_raw() for name in group},
            leave=group is leaving,
        )
        for group in groups
        if group
    ]
    spawn = multiprocessing.get_context("spawn")
    started = [spawn.Process(target=run_councils, args=(each,)) for each in given]
    for process in started:
        process.start()
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.join()
