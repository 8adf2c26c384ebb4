"""The coordinator killed (`kill -9`) at random instants under load, with its store in SQLite and in PostgreSQL.

Judged from outside, by what councils and analysts have seen and by the database: no release is lost or altered, no
session id has two, no round is run twice, and every plan that was accepted ends in a release or in a reason.
"""

import json
import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Self

import pytest

from coordinator.proposal_states import OPEN
from federated.client import RemoteRefusal
from federated.errors import FederatedError
from protocols.encoding import sha256
from protocols.wire.link_message import Kind, LinkMessage
from tests.evidence import record
from tests.integration.served_coordinator import SERVE, Served, connected, served
from tests.stores import running_postgresql

KILLS = 3
"""In each database in CI; the long run has 500."""
ANALYSTS = 3
LONGEST_S = 2.5
"""Kills fall anywhere from the moment the coordinator is ready to some rounds later."""
AT_THE_START = 0.3
"""How often it is killed while it starts instead."""
START_S = 1.5
LONGEST_END_S = 120

FORGETFUL = f"""
from coordinator.proposals import ProposalDesk
async def forget(self):
    pass
ProposalDesk.recover = forget
{SERVE}
"""


# What everybody has seen


@dataclass(slots=True)
class Seen:
    """What councils and analysts have seen so far.

    Attributes:
        answers: By council, kind of request and session id, the digests of what was asked: more than one is a stage
            that was run twice.
        plans: Which plan a session id is of.
        submitted: How often an analyst handed a plan in.
        accepted: Plans that an analyst was told are accepted.
        ended: What the analyst was told last: digest of the release, or a reason.
        releases: Every release that the database ever held, by digest.
        sids: Whose session id each of them has.
    """

    answers: dict[tuple[str, Kind, bytes], set[bytes]] = field(default_factory=lambda: defaultdict(set))
    plans: dict[bytes, bytes] = field(default_factory=dict)
    submitted: Counter[bytes] = field(default_factory=Counter)
    accepted: set[bytes] = field(default_factory=set)
    ended: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)
    releases: dict[bytes, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def hear(self, council: str, message: LinkMessage) -> None:
        """A council is asked."""
        if message.kind is Kind.INVITE:
            self.plans[message.reference] = bytes.fromhex(json.loads(message.payload)["plan_digest"])
        if message.kind in {Kind.INVITE, Kind.ADVERTS, Kind.SHARES, Kind.SURVIVORS, Kind.STATEMENTS, Kind.RELEASE}:
            self.answers[council, message.kind, message.reference].add(sha256(message.payload))


# What must hold


def check_releases(before: Mapping[bytes, bytes], now: Mapping[bytes, bytes], held: Iterator[bytes]) -> None:
    """Nothing that was released is gone or other than it was, and councils hold nothing else."""
    for digest, content in now.items():
        assert sha256(content) == digest, "a release is not what its digest says"
    for digest, content in before.items():
        assert now.get(digest) == content, f"the release {digest.hex()} is lost or altered"
    for content in held:
        assert now.get(sha256(content)) == content, "a council was given a release that the coordinator lost"


def check_once(seen: Seen, sids: list[bytes]) -> None:
    """No session id has two releases, no stage is asked in two ways, no plan is charged more often than handed in."""
    assert max(Counter(sids).values(), default=1) == 1, "a session id has two releases"
    twice = [key for key, digests in seen.answers.items() if len(digests) > 1]
    assert not twice, f"run twice: {twice}"
    charged = {sid for _council, kind, sid in seen.answers if kind is Kind.SHARES}
    often = Counter(seen.plans[sid] for sid in charged)
    again = [plan.hex() for plan, number in often.items() if number > seen.submitted[plan]]
    assert not again, f"charged again by itself: {again}"


def check_ends(seen: Seen, found: Mapping[bytes, tuple[str, str, bool]]) -> None:
    """Every plan that was accepted has ended, in a release or in a reason that its analyst saw.

    Args:
        seen: What the analysts saw.
        found: By plan: its state, its reason, and whether it has a release.
    """
    for plan in seen.accepted:
        assert plan in found, f"{plan.hex()} was accepted and is forgotten"
        state, reason, has_release = found[plan]
        assert state not in OPEN, f"{plan.hex()} is still {state}"
        assert has_release == (state == "released"), f"{plan.hex()} is {state}"
        assert has_release or reason, f"{plan.hex()} is {state} without a reason"
        release, told = seen.ended[plan]
        assert bool(release) == has_release, f"{plan.hex()} is {state}, and its analyst was told {told}"
        assert release or told, f"{plan.hex()} ended without a word"


# The load, and the killing


@dataclass(slots=True)
class Load:
    """Analysts who ask one question after the other, and follow each to its end over every restart."""

    served: Served
    seen: Seen
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self._ask_on) for _ in range(ANALYSTS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ask nothing new, and wait for the ends of what was asked."""
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=LONGEST_END_S)
        alive = sum(thread.is_alive() for thread in self.threads)
        assert not alive, f"{alive} questions have not ended"

    def _ask_on(self) -> None:
        try:
            with self.served.client(self.served.first) as client:
                while not self.stop.is_set():
                    plan = self.served.federation.plan(nonce=secrets.token_bytes(32))
                    self._follow(client, plan)
        except Exception as error:
            self.seen.problems.append(f"an analyst gave up: {error}")
            raise

    def _follow(self, client, plan) -> None:
        end = None
        while plan.digest not in self.seen.ended:
            if self.stop.is_set():
                end = end or time.monotonic() + LONGEST_END_S / 2
                if time.monotonic() > end or plan.digest not in self.seen.accepted:
                    return
            try:
                self._watch(client, plan)
            except RemoteRefusal as refusal:
                if plan.digest in self.seen.accepted:
                    self.seen.problems.append(f"{plan.digest.hex()} was accepted, and then refused: {refusal}")
                self.seen.ended[plan.digest] = (b"", str(refusal))
            except FederatedError:  # it was killed: follow on once it is back
                time.sleep(0.1)

    def _watch(self, client, plan) -> None:
        if plan.digest in self.seen.accepted:
            steps = client.watch(plan.digest)
        else:
            self.seen.submitted[plan.digest] += 1
            steps = client.submit(plan, self.served.federation.manifest, refresh=True)
        for step in steps:
            self.seen.accepted.add(plan.digest)
            if step.final:
                self.seen.ended[plan.digest] = (step.release_digest, step.message)


def go_on_killing(made: Served, *, kills: int, seed: int) -> Seen:
    print(f"seed of the instants: {seed}")
    rng, seen, coordinator = random.Random(seed), Seen(), made.first
    for council, node in made.federation.nodes.items():
        node.before = lambda message, council=council: seen.hear(council, message)
    with connected(made, [coordinator]):
        coordinator.start()
        wait(coordinator.is_ready, "the coordinator")
        with Load(made, seen) as load:
            for _ in range(kills):
                if rng.random() < AT_THE_START:
                    time.sleep(rng.uniform(0, START_S))
                else:
                    wait(coordinator.is_ready, "the coordinator")
                    time.sleep(rng.uniform(0, LONGEST_S))
                coordinator.kill()
                check_so_far(made, seen)
                coordinator.start()
            wait(coordinator.is_ready, "the coordinator")
            wait(lambda: any(release for release, _reason in seen.ended.values()), "an answer")
            load.end()
        # Answers are still on their way to councils; each has what it is owed before they leave.
        wait(lambda: not any(made.federation.store.releases.owed(c) for c in made.federation.councils), "receipts")
    check_so_far(made, seen)
    check_ends(seen, states(made, seen))
    assert not made.federation.store.rounds.running()
    return seen


def check_so_far(made: Served, seen: Seen) -> None:
    assert not seen.problems, seen.problems
    rows = made.federation.store.releases.page({made.federation.agreement.id}, offset=0, size=1_000_000)
    now = {row.digest: row.content for row in rows}
    held = [content for node in made.federation.nodes.values() for content in tuple(node.releases)]
    check_releases(seen.releases, now, iter(held))
    check_once(seen, [row.sid for row in rows])
    seen.releases = now


def states(made: Served, seen: Seen) -> dict[bytes, tuple[str, str, bool]]:
    store = made.federation.store
    found = {}
    for plan in seen.accepted:
        row = store.proposals.get(plan)
        if row is not None:
            found[plan] = (row.state, row.reason, store.releases.of_plan(plan) is not None)
    return found


def wait(ready, what: str) -> None:
    end = time.monotonic() + LONGEST_END_S
    while not ready():
        assert time.monotonic() < end, f"{what} took too long"
        time.sleep(0.02)


def figures_of(seen: Seen, kills: int, seconds: float) -> dict[str, object]:
    """What one run saw."""
    answered = sum(bool(release) for release, _reason in seen.ended.values())
    return {
        "kills": kills,
        "plans accepted": len(seen.accepted),
        "ended in a release": answered,
        "ended in a reason": len(seen.ended) - answered,
        "seconds a kill": round(seconds / kills, 1),
    }


@pytest.mark.drawn(1)
def test_random_kills(tmp_path, store_url):
    seed, began = secrets.randbits(32), time.monotonic()
    with served(tmp_path, store_url) as made:
        seen = go_on_killing(made, kills=KILLS, seed=seed)
    print(figures_of(seen, KILLS, time.monotonic() - began))


@pytest.mark.long
def test_five_hundred_random_kills(tmp_path):
    seeds = {"sqlite": secrets.randbits(32), "postgresql": secrets.randbits(32)}
    figures: dict[str, object] = {}
    for name, seed in seeds.items():
        began = time.monotonic()
        with database(tmp_path, name) as url, served(tmp_path / name, url) as made:
            seen = go_on_killing(made, kills=250, seed=seed)
        figures[name] = figures_of(seen, 250, time.monotonic() - began) | {"seed": seed}
    record(
        "killed-coordinator",
        figures | {"releases lost or altered": 0, "rounds run twice": 0, "questions forgotten": 0},
        test="tests/e2e/test_killed_coordinator.py::test_five_hundred_random_kills",
        n=500,
        seed=seeds["sqlite"],
    )


@contextmanager
def database(folder, name: str) -> Iterator[str]:
    (folder / name).mkdir()
    with ExitStack() as stack:
        if name == "sqlite":
            yield f"sqlite:///{folder / name / 'store.db'}"
        else:
            yield stack.enter_context(stack.enter_context(running_postgresql(fsync=True)).database())


# That the checks see something


def test_a_coordinator_that_forgets_is_seen(tmp_path):
    with served(tmp_path, f"sqlite:///{tmp_path / 'store.db'}") as made, connected(made, [made.first]):
        for node in made.federation.nodes.values():
            node.decision = "pending"
        made.first.start()
        wait(made.first.is_ready, "the coordinator")
        seen, plan = Seen(), made.federation.plan()
        with made.client(made.first) as client:
            steps = client.submit(plan, made.federation.manifest)
            assert not next(steps).final
            seen.accepted.add(plan.digest)
            made.first.kill()
        for node in made.federation.nodes.values():
            node.decision = "approved"
        made.first.code = FORGETFUL
        made.first.start()
        wait(made.first.is_ready, "the coordinator")
        time.sleep(3)
        with pytest.raises(AssertionError, match=r"is still (received|collecting)"):
            check_ends(seen, states(made, seen))
        made.first.kill()
        made.first.code = SERVE
        made.first.start()
        wait(lambda: states(made, seen)[plan.digest][0] == "released", "the answer")
        with made.client(made.first) as client:
            (*_, last) = client.watch(plan.digest)
        seen.ended[plan.digest] = (last.release_digest, last.message)
        check_ends(seen, states(made, seen))


def test_the_checks_see_what_they_look_for():
    one, digest, plan = b"one", sha256(b"one"), bytes(32)
    check_releases({digest: one}, {digest: one}, iter([one]))
    for before, now, held in (
        ({digest: one}, {}, []),
        ({digest: one}, {digest: b"other"}, []),
        ({}, {digest: b"other"}, []),
        ({}, {}, [one]),
    ):
        with pytest.raises(AssertionError):
            check_releases(before, now, iter(held))
    with pytest.raises(AssertionError, match="two releases"):
        check_once(Seen(), [b"sid", b"sid"])
    seen = Seen(plans={b"a": plan, b"b": plan}, submitted=Counter({plan: 1}))
    seen.answers["E1", Kind.SHARES, b"a"] = {b"x"}
    check_once(seen, [b"a"])
    seen.answers["E1", Kind.SHARES, b"b"] = {b"x"}
    with pytest.raises(AssertionError, match="charged again"):
        check_once(seen, [])
    seen.submitted[plan] = 2
    seen.answers["E1", Kind.SHARES, b"b"] = {b"x", b"y"}
    with pytest.raises(AssertionError, match="run twice"):
        check_once(seen, [])
    seen = Seen(accepted={plan}, ended={plan: (b"", "why")})
    check_ends(seen, {plan: ("failed", "why", False)})
    for found in (
        {},
        {plan: ("running", "", False)},
        {plan: ("failed", "", False)},
        {plan: ("released", "", False)},
        {plan: ("released", "", True)},
    ):
        with pytest.raises(AssertionError):
            check_ends(seen, found)
