"""A simulated federation set up: the coordinator's files and store, made through its operator's own steps."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from coordinator.enrolment import record_key
from coordinator.first_files import NewCoordinator, create
from coordinator.roster import add_agreement, draft_roster, publish_roster
from coordinator.settings import IN_A_ROUND, Settings, StageTimeouts
from coordinator.simulation_figures import Integers
from coordinator.simulation_papers import Scenario
from coordinator.store import Store, open_store
from federated.agreement import Agreement
from federated.demo.people import People
from federated.plan import Plan, Terms, derive_plan
from federated.planner import choose_mechanism
from federated.privacy import Mechanism, Totals
from federated.query import Query
from federated.roster import ROSTER_TYPE, Roster
from federated.round_limit import ROUND_LIMIT
from federated.schema import Council, load_schema
from federated.signing import add_signature, sign_payload
from federated.synthetic import Cases
from protocols.encoding import sha256
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["COORDINATOR", "PATIENCE_S", "Answer", "CentreFiles", "World", "open_centre_files", "plan_of", "terms_of"]

COORDINATOR: Final = "simulated-hub"
PATIENCE_S: Final = ROUND_LIMIT / timedelta(seconds=1)
"""For a whole round, and for all else: one process that plays three hundred councils is slow, and nobody is away."""
ROSTER_DAYS: Final = 30
NONCE_SIZE: Final = 32

Answer = Callable[[bytes], bytes]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreFiles:
    """A coordinator that is set up.

    Attributes:
        settings: Of the coordinator.
        store: Open.
        agreement: In force.
        roster: In force.
        roster_envelope: As signed.
    """

    settings: Settings
    store: Store
    agreement: Agreement
    roster: Roster
    roster_envelope: bytes = field(repr=False)


@contextmanager
def open_centre_files(
    folder: Path,
    people: People,
    agreement: Path,
    keys: Mapping[CouncilId, bytes],
    *,
    clock: Clock,
    rng: RandomSource,
) -> Iterator[CentreFiles]:
    """Set a coordinator up through the steps its operator takes, with every council's key enrolled and signed for.

    Args:
        folder: An empty folder for it.
        people: Who signs.
        agreement: The signed agreement.
        keys: Each council's public key.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.
    """
    with ExitStack() as opened:
        settings, _key = create(folder, _new_coordinator(people), now=clock(), rng=rng)
        in_a_round = dict.fromkeys(IN_A_ROUND, PATIENCE_S / len(IN_A_ROUND))
        waits = StageTimeouts(**dict.fromkeys(StageTimeouts.model_fields, PATIENCE_S) | in_a_round | {"reconnect": 0.0})
        proposals = settings.proposals.model_copy(update={"lease": PATIENCE_S, "opening_wait": PATIENCE_S})
        settings = settings.model_copy(update={"stages": waits, "proposals": proposals})
        Path(settings.state).mkdir()
        store = open_store(settings.database_url)
        opened.callback(store.close)
        enrol = record_key(store, clock)
        for council, key in keys.items():
            enrol(council, key)
        for row in store.membership.enrolments():
            store.membership.decide_enrolment(row.public_key, state="accepted", now=clock())
        draft = draft_roster(settings, store, load_schema(), now=clock(), days=ROSTER_DAYS)
        envelope = add_signature(sign_payload(draft, ROSTER_TYPE, [people.signer_a]), people.signer_b)
        signed = folder / "roster.dsse"
        signed.write_bytes(envelope)
        yield CentreFiles(
            settings=settings,
            store=store,
            agreement=add_agreement(settings, store, agreement, clock()),
            roster=publish_roster(settings, store, signed, clock()),
            roster_envelope=envelope,
        )


def _new_coordinator(people: People) -> NewCoordinator:
    return NewCoordinator(
        id=COORDINATOR,
        name="Simulated coordinator",
        hosts=["localhost"],
        listen_host="127.0.0.1",
        port=0,
        roster_keys=people.trust.roster_keys,
        agreement_keys=people.trust.agreement_keys,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A federation that is set up.

    Attributes:
        scenario: What it is for.
        folder: Everything it wrote: `coordinator/`, and a folder for each council in `councils/`.
        councils: Who is asked, by code.
        people: Who signs.
        centre_files: The coordinator.
        nodes: Each council's node that is in this process.
        exact: For each question of the scenario, each council's exact figures; of the first round, where it takes
            several.
        cases: Each council's synthetic records, where a question takes several rounds and has to be counted again.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.
    """

    scenario: Scenario
    folder: Path
    councils: Mapping[CouncilId, Council]
    people: People
    centre_files: CentreFiles
    nodes: Mapping[CouncilId, Answer] = field(repr=False)
    exact: Mapping[Query, Mapping[CouncilId, Integers]] = field(repr=False)
    cases: Mapping[CouncilId, Cases] = field(repr=False)
    clock: Clock
    rng: RandomSource


def plan_of(
    question: Query,
    *,
    agreement: Agreement,
    roster: Roster,
    terms: Terms,
    mechanism: Mechanism | None,
    worst: Totals,
) -> Plan:
    """The plan of a question, with the mechanism given or else the one the planner takes."""
    schema = load_schema()
    if mechanism is None:
        return choose_mechanism(question, agreement=agreement, roster=roster, schema=schema, terms=terms, worst=worst)
    return derive_plan(question, agreement=agreement, roster=roster, schema=schema, mechanism=mechanism, terms=terms)


def terms_of(agreement: Agreement, manifest: bytes, *, now: datetime, rng: RandomSource) -> Terms:
    """The terms that an analyst's client would add."""
    start = now.replace(microsecond=0)
    end = start + timedelta(days=agreement.decision_days)
    return Terms(
        manifest_digest=sha256(manifest),
        not_before=start - timedelta(minutes=5),
        collect_by=end,
        return_by=end + timedelta(days=1),
        not_after=end + timedelta(days=2),
        attempts=agreement.attempts,
        nonce=rng(NONCE_SIZE),
    )
