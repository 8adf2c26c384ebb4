"""The console over a federation that has answered questions, with one question in every other standing."""

import asyncio
import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import uvicorn

from coordinator.connections import CONNECTIONS_FILE
from coordinator.console.site import build_site
from coordinator.console.visitor import NOBODY, Role, Visitor
from coordinator.proposal_states import ProposalState
from coordinator.settings import BoundarySettings, ConsoleSettings, Settings
from coordinator.store import AccountRow, BudgetRow, DraftRow, EnrolmentRow, PaperRow, ProposalRow, Store, open_store
from coordinator.tls import issue_certificate, make_authority, save_pair
from federated.budget_statement import BudgetStatement, PeriodStatement
from federated.keys import SigningKey, fingerprint
from federated.pages import stylesheet
from federated.pages.serving import listen
from federated.papers import PaperKind, paper_digest
from federated.privacy import Budget, Charge, Totals
from federated.query import parse_query
from federated.release import Release, open_release
from federated.signing import sign_statement
from federated.suggestion import Suggestion, sign_suggestion
from federated.timestamps import time_text
from protocols.encoding import sha256
from protocols.identifiers import CouncilId
from tests.integration.coordinator_federation import QUESTION, Federation, Kind, council_key

OTHER = (
    QUESTION.replace("Families by age", "Families by age, asked for less")
    .replace('epsilon: "1"', 'epsilon: "1/2"')
    .replace("by: [main_age_band]", "by: [main_age_band], level: region")
)
COOKIE = "console-test"
TOKEN = "f" * 64
ENDED = {
    ProposalState.COLLECTING: ("", ""),
    ProposalState.RUNNING: ("", ""),
    ProposalState.REFUSED: ("too_many_refused", "Too many councils refused: 6 of 8. Nothing was spent."),
    ProposalState.FAILED: ("silent", "Hartlepool fell silent. The round ended in the stage 'masked input'."),
    ProposalState.WITHDRAWN: ("withdrawn", "Withdrawn: The analyst will ask again in autumn"),
    ProposalState.EXPIRED: ("collect_by", "Too few councils had approved and were connected."),
}
AGREEMENT = "homelessness-2026"
DRAFT = "d" * 32
PEOPLE = ("Pat Person", "Ann Other")


def visitor(*roles: Role, agreements: tuple[str, ...] = (), name: str = PEOPLE[0]) -> Visitor:
    return Visitor(name=name, roles=frozenset(roles), agreements=frozenset(agreements), form_token=TOKEN)


@dataclass
class ConsoleWorld:
    """The federation and its store; `visitors` are who can be, by the value of a cookie."""

    federation: Federation
    reading: Store
    answered: list[Release] = field(default_factory=list)
    plans: dict[str, str] = field(default_factory=dict)
    reads: list[tuple[str, str]] = field(default_factory=list)
    suggestion: str = ""

    @property
    def agreement(self) -> str:
        return self.federation.agreement.id

    @property
    def release(self) -> str:
        return self.answered[0].digest.hex()

    def visitors(self) -> Mapping[str, Visitor]:
        mine = (self.agreement,)
        return {role.value: visitor(role, agreements=mine) for role in Role} | {
            "": NOBODY,
            Role.OPERATOR.value: visitor(Role.OPERATOR),
            "reviewer and operator": visitor(Role.REVIEWER, Role.OPERATOR, agreements=mine),
            "other-analyst": visitor(Role.ANALYST, agreements=mine, name=PEOPLE[1]),
            "outside-analyst": visitor(Role.ANALYST, agreements=("another",)),
            "stranger": visitor(Role.REVIEWER, agreements=("another",)),
            "unnamed": Visitor(name="", roles=frozenset(), agreements=frozenset(), form_token=""),
        }

    def settings(self, *, boundaries: BoundarySettings | None = None, **console: object) -> Settings:
        changes = {"console": ConsoleSettings(**console), "boundaries": boundaries}
        return self.federation.settings.model_copy(update=changes)

    def note(self, visitor: Visitor, digest: bytes, how: str) -> None:
        self.reads.append((digest.hex(), visitor.name, how))

    @contextmanager
    def served(self, *, sign_in: bool = False, later_days: int = 0, **console: object) -> Iterator["Served"]:
        visitors = self.visitors()

        def visitor_of(request):
            return visitors[request.cookies.get(COOKIE, "")]

        with serving(
            lambda origin: build_site(
                self.settings(**console),
                self.reading,
                origin=origin,
                visitor_of=visitor_of,
                note_read=self.note,
                styles=stylesheet(),
                clock=lambda: self.federation.now() + timedelta(days=later_days),
                rng=os.urandom,
                deciding=self.federation.store if sign_in else None,
                open_sign_in=(
                    lambda _around: SimpleNamespace(visitor_of=visitor_of, visitor_by_token=None, provider=None)
                )
                if sign_in
                else None,
            )
        ) as served:
            yield served


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Served:
    """A running console."""

    port: int

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        path: str,
        *,
        who: str = "",
        method: str = "GET",
        form: Mapping[str, str] | None = None,
        body: bytes = b"",
        **headers: str | None,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent: dict[str, str | None] = {"host": f"127.0.0.1:{self.port}", "cookie": f"{COOKIE}={who}"}
        if form is not None:
            body = urlencode(form).encode()
            sent |= {"content-type": "application/x-www-form-urlencoded"}
        if form is not None or body:
            sent |= {"origin": self.origin, "content-length": str(len(body))}
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (sent | {k.replace("_", "-"): v for k, v in headers.items()}).items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()


@contextmanager
def serving(make: Callable[[str], object]) -> Iterator[Served]:
    """Run a site in a thread of this process."""
    listening = listen("127.0.0.1", 0, connections=64)
    served = Served(listening.getsockname()[1])
    config = uvicorn.Config(make(served.origin), log_config=None, lifespan="off", ws="none", http="h11")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listening.close()


@contextmanager
def console_world(folder: Path, *, database: str | None = None) -> Iterator[ConsoleWorld]:
    """Eight councils that answered two questions; the last of them was lost in the second."""
    federation = Federation(folder, database=database)
    with ThreadPoolExecutor(1) as pool:  # the thread that drives a browser has an event loop of its own
        pool.submit(lambda: asyncio.run(_ask(federation))).result()
    reading = open_store(federation.settings.database_url, read_only=True)
    world = ConsoleWorld(federation, reading)
    rows = federation.store.releases.page([world.agreement], offset=0, size=10)
    # By title: both may be of the same second.
    world.answered = sorted((open_release(row.content) for row in rows), key=lambda release: release.title)
    world.plans["released"] = world.answered[0].plan_digest
    _other_standings(world)
    _statements(world)
    _certificate(world)
    _requests(world)
    _drafts(world)
    world.suggestion = suggest(world).hex()
    connected = list(federation.councils[:6])
    seen = dict.fromkeys(federation.councils[:7], time_text(federation.now()))
    software = dict.fromkeys(federation.councils[:6], "0.1.0") | {federation.councils[6]: "0.0.9"}
    document = {"version": 1, "connected": connected, "seen": seen, "software": software}
    state = Path(federation.settings.state)
    state.mkdir(exist_ok=True)
    (state / CONNECTIONS_FILE).write_text(json.dumps(document))
    yield world
    reading.close()
    federation.store.close()


async def _ask(federation: Federation) -> None:
    async with federation.running() as running:
        await running.ask(federation.plan(nonce=1))
        await running.settle()
        running.cut(federation.councils[-1], Kind.SHARES)
        await running.ask(federation.plan(nonce=2, question=OTHER))


def _other_standings(world: ConsoleWorld) -> None:
    federation = world.federation
    for number, (state, (rule, reason)) in enumerate(ENDED.items(), start=10):
        plan = federation.plan(nonce=number)
        plan_envelope, manifest_envelope = federation.signed(plan)
        now = federation.now() + timedelta(minutes=number)
        row = ProposalRow(
            plan_digest=plan.digest,
            query_digest=plan.query_digest,
            agreement_digest=plan.agreement_digest,
            analyst="a" * 64,
            plan_envelope=plan_envelope,
            manifest_envelope=manifest_envelope,
            state=state.value,
            rule=rule,
            reason=reason,
            received_at=now,
            changed_at=now + timedelta(minutes=1),
        )
        assert federation.store.proposals.add(row)
        world.plans[state.value] = plan.digest.hex()


def statement(
    council: CouncilId, agreement: str, *, time: str, epsilon: Fraction, rounds: int, reserved: Fraction = Fraction(0)
) -> BudgetStatement:
    """What a council that was charged so much would say."""
    return BudgetStatement(
        council=council,
        counter=3 * rounds,
        head=sha256(council.encode()),
        time=time,
        exhausted=False,
        periods=(
            PeriodStatement(
                agreement=agreement,
                period=time[:4],
                budget=Budget(epsilon=Fraction(4), delta=Fraction(1, 10**6)),
                spent=Totals(epsilon=epsilon, rho=epsilon**2 / 2, draws=rounds),
                reserved=Totals(epsilon=reserved, rho=reserved**2 / 2, draws=1 if reserved else 0),
                rounds=rounds,
            ),
        ),
    )


def _statements(world: ConsoleWorld) -> None:
    """All but the seventh council have stated; the sixth's is signed with another council's key."""
    federation = world.federation
    rows = []
    spent = Totals()
    for release in world.answered:
        plan = release.plan["charge"]
        spent = spent.plus(
            Charge(epsilon=Fraction(plan["epsilon"]), rho=Fraction(plan["rho"]), draws=int(plan["draws"]))
        )
    now = federation.now()
    for number, council in enumerate(federation.councils):
        if number == 6:
            continue
        made = statement(council, world.agreement, time=time_text(now), epsilon=Fraction(1), rounds=2)
        period = replace(made.periods[0], spent=spent)
        if number == 1:
            period = replace(period, reserved=Totals(epsilon=Fraction(1, 2), rho=Fraction(1, 8), draws=8))
        if number == 2:
            period = replace(period, spent=spent.plus(Charge(epsilon=Fraction(1), rho=Fraction(1, 2), draws=8)))
        made = replace(made, periods=(period,))
        key = council_key(federation.councils[0] if number == 5 else council)
        envelope = sign_statement("budget-statement", made.canonical(), key)
        rows.append(BudgetRow(council=council, envelope=envelope, received_at=now))
    federation.store.membership.keep_budgets(rows)


def _certificate(world: ConsoleWorld) -> None:
    now, tls = world.federation.now(), world.federation.settings.tls
    made = issue_certificate(make_authority("Hub", now=now), ["127.0.0.1"], now=now)
    save_pair(made.key_pem, made.chain_pem, key_file=Path(tls.key), certificate_file=Path(tls.certificate))


def _drafts(world: ConsoleWorld) -> None:
    """Everybody here has an account, and the analyst a draft of a question that was answered."""
    now = world.federation.now()
    for name in PEOPLE:
        row = AccountRow(
            name=name, kind="local", roles="analyst", agreements=world.agreement, created_at=now, changed_at=now
        )
        world.federation.store.accounts.add(row, by="tests")
    draft = DraftRow(
        draft=DRAFT,
        account=PEOPLE[0],
        agreement_id=world.agreement,
        question=QUESTION,
        manifest=world.federation.manifest.decode(),
        created_at=now,
        changed_at=now,
    )
    assert world.federation.store.drafts.begin(draft, most=10)


def suggest(
    world: ConsoleWorld,
    *,
    title: str = "Families by type",
    reason: str = "Rents rose here in <b>March</b>.",
    council: int = 0,
    publish: bool = True,
    key: SigningKey | None = None,
    **changes: object,
) -> bytes:
    """Put a question that a council suggests into the store, its signature unchecked; its digest."""
    code = world.federation.councils[council]
    question = parse_query(QUESTION.replace("Families by age", title).encode())
    made = Suggestion(
        council=code,
        agreement=world.agreement,
        question=replace(question, **changes),  # type: ignore[arg-type]  # whatever a test changes
        reason=reason,
        publish=publish,
        at=world.federation.now().replace(microsecond=0),
    )
    envelope = sign_suggestion(made, key or council_key(code))
    row = PaperRow(
        digest=paper_digest(envelope, PaperKind.SUGGESTION),
        kind=PaperKind.SUGGESTION.value,
        agreement_id=world.agreement,
        subject="2026",
        author=code,
        envelope=envelope,
        received_at=world.federation.now(),
    )
    assert world.federation.store.papers.add(row, limit=99)
    return row.digest


def _requests(world: ConsoleWorld) -> None:
    public = council_key(CouncilId("E06000099")).public
    row = EnrolmentRow(
        public_key=public,
        council=CouncilId("E06000001"),
        fingerprint=fingerprint(public),
        state="pending",
        requested_at=world.federation.now(),
    )
    world.federation.store.membership.ask_enrolment(row, limit=5)
