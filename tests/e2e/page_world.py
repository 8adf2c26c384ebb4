"""A council's pages as the command serves them, on a small federation that has answered and been asked again."""

import asyncio
import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlencode

import yaml

from coordinator.simulate import Scenario, build_world
from coordinator.simulation_files import World, plan_of, terms_of
from coordinator.simulation_hub import Hub, Lines
from federated.demo.papers import GROUP, manifest_payload
from federated.demo.processes import Processes, command, wait_for
from federated.demo.questions import demo_questions
from federated.manifest import MANIFEST_TYPE
from federated.plan import PLAN_TYPE, Plan
from federated.privacy import Totals
from federated.query import Query
from federated.release import Release
from federated.shell import now_utc
from federated.signing import sign_payload
from protocols.encoding import canonical_json
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind, LinkMessage
from tests.canary.federation import CANARY, extracts, poison

COUNCILS = 5
START_S = 60.0
DUTIES, CAUSES, _, CHILDREN = (item.query for item in demo_questions(GROUP, Fraction(1), regions=True))


@dataclass(frozen=True, slots=True)
class PageWorld:
    """The federation, with two councils whose pages are looked at.

    Attributes:
        clean: A council whose figures can be counted by hand; two questions wait there.
        poisoned: A council with the canary in every column of every ninth row.
        releases: What was answered.
        waiting: Plans that wait for a person at `clean`.
    """

    world: World
    clean: CouncilId
    poisoned: CouncilId
    releases: tuple[Release, ...]
    waiting: tuple[Plan, ...]

    def settings(self, council: CouncilId) -> Path:
        return self.world.folder / "councils" / council / "node" / "node.yaml"


@contextmanager
def page_world(folder: Path) -> Iterator[PageWorld]:
    """Five councils that answered two questions; then two more were proposed."""
    scenario = Scenario(questions=(DUTIES, CHILDREN), councils=COUNCILS, rounds=3, seed=5, marker=CANARY)
    with build_world(scenario, folder) as world:
        clean, poisoned = tuple(world.councils)[:2]
        poison(extracts(world)[poisoned])
        releases = asyncio.run(_answers(world))
        policy = folder / "councils" / clean / "node" / "policy.yaml"
        document = yaml.safe_load(policy.read_text(encoding="utf-8")) | {"automatic": False}
        policy.write_text(yaml.safe_dump(document), encoding="utf-8")
        asked = (replace(DUTIES, epsilon=Fraction(1, 2)), replace(CHILDREN, epsilon=Fraction(1, 2)))
        waiting = tuple(propose(world, clean, question) for question in asked)
        yield PageWorld(world=world, clean=clean, poisoned=poisoned, releases=releases, waiting=waiting)


async def _answers(world: World) -> tuple[Release, ...]:
    lines = Lines(world.nodes, threads=2)
    try:
        async with Hub(world, lines.link, note=lambda _event, _fields: None) as hub:
            found = [(await hub.ask(question)).release for question in world.scenario.questions]
            await hub.settle()
    finally:
        await lines.link.close()
    return tuple(found)


def propose(world: World, council: CouncilId, question: Query) -> Plan:
    """Put a question to one council, as the coordinator would."""
    made, analyst = world.centre_files, [world.people.analyst]
    manifest = manifest_payload("waiting", question, today=now_utc().date())
    terms = terms_of(made.agreement, manifest, now=now_utc(), rng=os.urandom)
    plan = plan_of(question, agreement=made.agreement, roster=made.roster, terms=terms, mechanism=None, worst=Totals())
    papers = {
        "version": 1,
        "plan": sign_payload(plan.encode(), PLAN_TYPE, analyst).decode(),
        "manifest": sign_payload(manifest, MANIFEST_TYPE, analyst).decode(),
    }
    request = LinkMessage(kind=Kind.PROPOSAL, reference=plan.digest, payload=canonical_json(papers))
    reply = LinkMessage.decode(world.nodes[council](request.encode()))
    assert reply.kind is Kind.DECISION
    return plan


@dataclass(frozen=True, slots=True)
class Served:
    """A running `council-node page`."""

    address: str
    log: Path
    pid: int

    @property
    def port(self) -> int:
        return int(self.address.split("/")[2].partition(":")[2])

    @property
    def base(self) -> str:
        return "/" + self.address.split("/")[3]

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base}/"

    def ask(
        self, path: str = "", *, method: str = "GET", form: dict[str, str] | None = None, **headers: str | None
    ) -> "Reply":
        """One request with nothing in it but what is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(
                method, self.base + "/" + path, skip_host="host" in headers, skip_accept_encoding=True
            )
            body = b"" if form is None else urlencode(form).encode()
            sent = {"content-length": str(len(body))} if form is not None else {}
            for name, value in (sent | headers).items():
                if value is not None:
                    connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def served(processes: Processes, name: str, settings: Path) -> Iterator[Served]:
    """Start the command that a person types, and read the address off its output."""
    running = processes.start(name, [command("council-node"), "page", "--settings", str(settings)])

    def lines() -> list[str]:
        return running.log.read_text(encoding="utf-8").splitlines() if running.log.exists() else []

    wait_for("The pages", lambda: len(lines()) >= 3, check=processes.check, timeout_s=START_S)
    (address,) = [line for line in lines() if line.startswith("http://")]
    yield Served(address=address, log=running.log, pid=running.process.pid)
    running.process.terminate()
    running.process.wait(timeout=20)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
