"""Questions asked while lines are cut or lose packets, and processes are stopped, killed or stalled: for real.

Each party runs in a network namespace of its own, by the command that a council or a coordinator types; one council is
behind a web proxy. Judged from outside, by what crossed the coordinator's link, by the councils' ledgers and by what the
analyst saw: no answer is wrong, no ledger undercharged, no round goes on past its deadline, and each end is explained.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pytest

from federated.demo.processes import Processes, wait_for
from federated.privacy import Mechanism
from federated.release_check import check_release
from federated.schema import load_schema
from protocols.wire import analyst_pb2 as pb
from tests.conftest import SEED
from tests.e2e import namespaces
from tests.e2e.federation import CENTRE, NORTH_EAST, Federation, Run, running_federation
from tests.e2e.namespaces import Network, NoNamespaces
from tests.e2e.test_killed_nodes import QUESTION, SURE
from tests.e2e.test_random_kills import check_ledger, check_sent_once, lines_of, masked_inputs
from tests.evidence import record

FEW, MORE = NORTH_EAST[:5], NORTH_EAST[:7]
"""Of five councils a careful round survives the loss of one, of seven of two."""
PROXY = "proxy"
PROXY_PORT = 3128
EPSILON, BUDGET = Fraction(1), Fraction(50)
SECONDS = dict.fromkeys(("decision", "advert", "key_shares", "masked_input", "confirmation", "unmask"), 4)
STAGES = SECONDS | {"reconnect": 1, "delivery": 5}
OPENING_S = 2
LATEST_S = 1.0
"""Faults begin anywhere from handing the question in to about the end of its round."""
LONGEST_S = 6.0
"""Longer than a stage waits, so that councils are lost, and come back."""
SHORT_S = 1.5
"""The longest in `make test`, which has no time for more."""
CENTRE_LONGEST_S = 2.0
ROUND_S = sum(SECONDS.values()) + LONGEST_S + 10
"""Stages in full, the coordinator itself away for as long as it may be, and a busy computer."""
END_S = 240
IN_A_ROUND = range(pb.RUN_STAGE_ADVERTISE_KEYS, pb.RUN_STAGE_PUBLISHED)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to one party for a while.

    Attributes:
        kind: One of `KINDS`.
        party: To whom.
        begins_s: After the question is handed in.
        lasts_s: Until it is over.
    """

    kind: str
    party: str
    begins_s: float
    lasts_s: float


@dataclass(slots=True)
class Seen:
    """What all questions together showed."""

    answered: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lost_packets: int = 0
    longest_round_s: float = 0.0
    councils_lost: int = 0
    spent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def told(self) -> dict[str, object]:
        """The same, for people."""
        return {
            "faults": dict(sorted(self.faults.items())),
            "packets lost on slow lines": self.lost_packets,
            "answered": self.answered,
            "councils missing from answers": self.councils_lost,
            "ended in a reason": dict(sorted(self.reasons.items())),
            "longest round, seconds": round(self.longest_round_s, 1),
            "its deadline, seconds": ROUND_S,
        }


@dataclass(slots=True)
class Ground:
    """A federation on lines of its own."""

    federation: Federation
    network: Network
    proxies: Processes
    seen: Seen = field(default_factory=Seen)

    def pid(self, party: str) -> int:
        if party == PROXY:
            return self.proxies.running[PROXY].process.pid
        if party == CENTRE:
            return self.federation.processes.running[CENTRE].process.pid
        return self.federation.nodes[party].pid

    def signal(self, party: str, number: signal.Signals) -> None:
        running = self.proxies.running if party == PROXY else self.federation.processes.running
        name = party if party in {PROXY, CENTRE} else self.federation.nodes[party].name
        running[name].process.send_signal(number)

    def kill(self, party: str) -> None:
        self.signal(party, signal.SIGKILL)

    def start_again(self, party: str) -> None:
        if party == PROXY:
            start_proxy(self.network, self.proxies)
        else:
            self.federation.reap([party])
            self.federation.nodes[party].start()

    def quicken(self, party: str) -> None:
        self.seen.lost_packets += self.network.lost(party)
        self.network.quicken(party)


KINDS: dict[str, tuple[Callable[[Ground, str], None], Callable[[Ground, str], None]]] = {
    "cut": (lambda ground, party: ground.network.cut(party), lambda ground, party: ground.network.mend(party)),
    "slowed": (lambda ground, party: ground.network.slow(party), Ground.quicken),
    "stopped": (
        lambda ground, party: ground.signal(party, signal.SIGSTOP),
        lambda ground, party: ground.signal(party, signal.SIGCONT),
    ),
    "killed": (Ground.kill, Ground.start_again),
}
"""How each fault begins, and how it ends."""


def start_proxy(network: Network, proxies: Processes) -> None:
    proxies.start(PROXY, [*network.within(PROXY), sys.executable, "-m", "tests.e2e.passing_proxy", str(PROXY_PORT)])


@contextmanager
def federation_on_lines(folder, councils) -> Iterator[Ground]:
    """The last council goes through the proxy."""
    with Network([CENTRE, PROXY, *councils]) as network, Processes(folder) as proxies:
        start_proxy(network, proxies)
        by_proxy = {councils[-1]: f"http://{network.address(PROXY)}:{PROXY_PORT}"}
        with running_federation(
            folder,
            councils=councils,
            epsilon=EPSILON,
            budget=BUDGET,
            serve=("tests.e2e.witnessing_coordinator",),
            opening_wait_s=OPENING_S,
            network=network,
            proxies=by_proxy,
            stages=STAGES,
        ) as federation:
            yield Ground(federation, network, proxies)


# Faults


def drawn_faults() -> tuple[int, random.Random]:
    """The seed of this run, printed so that it can be given again, and what faults are drawn with."""
    seed = int(os.environ[SEED])
    print(f"faults of the network drawn with {SEED}={seed}")
    return seed, random.Random(seed)


def some_faults(rng: random.Random, councils, number: int, longest_s: float = LONGEST_S) -> list[Fault]:
    """To different parties; the proxy's is its council's too. The centre is never killed here, nor away for long."""
    parties = rng.sample([*councils, PROXY, CENTRE], number)
    faults = []
    for party in parties:
        kind = rng.choice([kind for kind in KINDS if party != CENTRE or kind != "killed"])
        longest = min(longest_s, CENTRE_LONGEST_S) if party == CENTRE else longest_s
        faults.append(Fault(kind, party, rng.uniform(0, LATEST_S), rng.uniform(0.2, longest)))
    return faults


def go_through(ground: Ground, faults: list[Fault]) -> None:
    """Let each begin and end at its time."""
    began = time.monotonic()
    moments = [(fault.begins_s, KINDS[fault.kind][0], fault) for fault in faults]
    moments += [(fault.begins_s + fault.lasts_s, KINDS[fault.kind][1], fault) for fault in faults]
    for moment, happen, fault in sorted(moments, key=lambda item: item[0]):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        happen(ground, fault.party)
        ground.seen.faults[fault.kind] += happen is KINDS[fault.kind][0]


# Asking, with a clock


@dataclass(frozen=True, slots=True)
class Timed:
    """One question as its analyst saw it."""

    run: Run
    longest_round_s: float


def ask(federation: Federation, plan) -> Timed:
    steps, begun, longest = [], None, 0.0
    for step in federation.client.submit(plan, federation.manifest(plan.question), refresh=True):
        now = time.monotonic()
        steps.append(step)
        if step.stage in IN_A_ROUND:
            begun = now if begun is None or step.stage == pb.RUN_STAGE_ADVERTISE_KEYS != steps[-2].stage else begun
            longest = max(longest, now - begun)
        elif begun is not None:
            longest, begun = max(longest, now - begun), None
    return Timed(Run(plan=plan, last=steps[-1], steps=tuple(steps)), longest)


def ask_under(ground: Ground, faults: list[Fault], asker: ThreadPoolExecutor) -> None:
    federation = ground.federation
    plan = federation.plan(replace(QUESTION, epsilon=EPSILON), Mechanism.DISCRETE_LAPLACE)
    asked = asker.submit(ask, federation, plan)
    go_through(ground, faults)
    timed = asked.result(timeout=END_S)
    # A node that was killed puts its own ledger in order when it starts; nobody reads it before.
    federation.wait("All councils", lambda: federation.connected() == set(federation.nodes))
    check_all(ground, timed)


# What must hold


def check_all(ground: Ground, timed: Timed) -> None:
    federation, seen, run = ground.federation, ground.seen, timed.run
    lines = lines_of(federation.folder / "orders.json")
    check_sent_once(lines)
    masked = masked_inputs(lines)
    for council, node in federation.nodes.items():
        charges = check_ledger(node)
        check_charged(council, masked[council], seen.spent[council], charges)
        seen.spent[council] |= charges
    check_end(run)
    check_deadline(timed.longest_round_s)
    seen.longest_round_s = max(seen.longest_round_s, timed.longest_round_s)
    kept = [item for item in federation.client.releases() if item.plan_digest == run.plan.digest]
    assert len(kept) == run.released
    if run.released:
        check_answer(ground, run)
        seen.answered += 1
    else:
        seen.reasons[run.last.rule or run.last.message.split(".")[0]] += 1


def check_charged(council: str, sent: set[str], before: set[str], charges: set[str]) -> None:
    assert sent <= charges, f"{council} sent figures that its ledger does not charge"
    assert before <= charges, f"{council} forgot a charge"


def check_end(run: Run) -> None:
    assert run.last.final
    assert run.released or run.last.message, "a question ended without a word"


def check_deadline(longest_round_s: float) -> None:
    assert longest_round_s < ROUND_S, f"a round went on for {longest_round_s:.0f} seconds"


def check_answer(ground: Ground, run: Run) -> None:
    federation = ground.federation
    release = federation.client.release(release_digest=run.last.release_digest)
    summed = {record.council for record in release.councils if record.outcome == "contributed"}
    for council in summed:
        assert release.sid in ground.seen.spent[council]
    ground.seen.councils_lost += len(federation.nodes) - len(summed)
    roster, agreements = federation.trusted.roster, {federation.agreement.id: federation.agreement}
    assert list(check_release(release, roster=roster, agreements=agreements, schema=load_schema()))
    totals = np.array([total for table in release.tables for total in table.totals]) / run.plan.scale
    widths = sure_widths(run.plan, joined=release.joined, contributed=len(summed))
    check_sum(totals, widths, lambda councils: federation.exact(run.plan, councils), summed, set(federation.nodes))


def sure_widths(plan, *, joined: int, contributed: int) -> np.ndarray:
    widths = []
    for index, planned in enumerate(plan.tables):
        noise = plan.released_noise(index, joined=joined, contributors=contributed)
        widths += [float(noise.half_width(SURE)[0])] * planned.layout.cells
    return np.array(widths)


def check_sum(totals, widths, exact, summed, councils) -> None:
    """The sum of these councils, and not that of one more or one fewer."""
    assert (np.abs(totals - exact(summed)) <= widths).all(), "an answer is not the sum of the councils it names"
    nearest = [((totals - exact(summed ^ {council})) ** 2).sum() for council in councils]
    assert ((totals - exact(summed)) ** 2).sum() < min(nearest), "an answer is rather the sum of other councils"


# One question in CI, dozens in the long run


def test_a_question_under_faults_of_the_network(tmp_path):
    _seed, rng = drawn_faults()
    with federation_on_lines(tmp_path, FEW) as ground, ThreadPoolExecutor(max_workers=1) as asker:
        faults = some_faults(rng, FEW, 4, longest_s=SHORT_S)
        print(faults)
        ask_under(ground, faults, asker)
        print(ground.seen.told())
        assert ground.seen.faults.total() == len(faults)


def test_a_seed_draws_the_same_faults_again_and_another_one_others(monkeypatch):
    def drawn(seed):
        monkeypatch.setenv(SEED, seed)
        return some_faults(drawn_faults()[1], FEW, 4, longest_s=SHORT_S)

    assert drawn("7") == drawn("7") != drawn("8")
    many = [fault for seed in range(100) for fault in drawn(str(seed))]
    assert {fault.kind for fault in many} == KINDS.keys()
    assert {fault.party for fault in many} == {*FEW, PROXY, CENTRE}
    assert max(fault.lasts_s for fault in many) <= SHORT_S
    assert not [fault for fault in many if (fault.kind, fault.party) == ("killed", CENTRE)]


@pytest.mark.long
def test_dozens_of_questions_under_random_faults_of_the_network(tmp_path):
    seed, rng = drawn_faults()
    questions = 24
    with federation_on_lines(tmp_path, MORE) as ground, ThreadPoolExecutor(max_workers=1) as asker:
        for _ in range(questions):
            ask_under(ground, some_faults(rng, MORE, rng.randint(2, 7)), asker)
    seen = ground.seen
    print(seen.told())
    assert seen.answered
    assert seen.lost_packets
    record(
        "network_faults",
        {"councils": len(MORE), **seen.told(), "answers wrong, ledgers undercharged, ends unexplained": 0},
        test="tests/e2e/test_network_faults.py::test_dozens_of_questions_under_random_faults_of_the_network",
        n=questions,
        seed=seed,
    )


# That faults happen, and that the checks see something


def test_lines_are_cut_hold_packets_up_and_lose_them():
    with Network(["one", "other"]) as network:
        # A line that has just come up takes a moment until each end knows the other.
        reached(network)
        network.cut("other")
        assert not network.reaches("one", "other")
        network.mend("other")
        reached(network)
        free_s = min(round_trip(network, "one", "other") for _ in range(5))
        network.slow("one")
        # Once: the line lets a little through at once again only after a rest, and else would lose some of it.
        assert round_trip(network, "one", "other") > max(HELD_UP_S, 3 * free_s)
        flood(network, "one", "other")
        assert network.lost("one") > 0
        network.quicken("one")
        assert min(round_trip(network, "one", "other") for _ in range(5)) < HELD_UP_S
        names = [network.within(party)[3] for party in ("one", "other")]
    assert not [name for name in names if namespaces.exists(name)]


def reached(network: Network) -> None:
    wait_for("The first packet", lambda: network.reaches("one", "other"), check=lambda: None, timeout_s=30)


HELD_UP_S = 0.15
"""Five packets of 742 bytes are sent; 2,048 pass at once, the others at 64,000 bits in a second: after 0.2 seconds."""


def round_trip(network: Network, party: str, other: str) -> float:
    """Seconds until five packets, none of which a slow line loses, have come back from the other."""
    back = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 7)); print(flush=True)\nwhile True: s.sendto(b'!', s.recvfrom(999)[1])"
    there = (
        "import socket, sys, time; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(20); began = time.monotonic(); "
        "[s.sendto(bytes(700), (sys.argv[1], 7)) for _ in range(5)]; [s.recv(9) for _ in range(5)]; print(time.monotonic() - began)"
    )
    echoing = subprocess.Popen([*network.within(other), sys.executable, "-S", "-c", back], stdout=subprocess.PIPE)
    try:
        assert echoing.stdout.readline() == b"\n"
        return float(namespaces.run(*network.within(party), sys.executable, "-S", "-c", there, network.address(other)))
    finally:
        echoing.kill()
        echoing.communicate()


def flood(network: Network, party: str, other: str) -> None:
    code = "import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); [s.sendto(bytes(1000), (sys.argv[1], 9)) for _ in range(99)]"
    namespaces.run(*network.within(party), sys.executable, "-S", "-c", code, network.address(other))


def test_where_there_are_no_namespaces_the_test_fails_in_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoNamespaces, match="network namespaces are needed, with ip and tc, as root"), Network(["one"]):
        pass


def test_the_checks_see_what_they_look_for():
    check_charged("E1", {"a"}, {"b"}, {"a", "b"})
    for sent, before in (({"a"}, set()), (set(), {"a"})):
        with pytest.raises(AssertionError):
            check_charged("E1", sent, before, {"b"})
    check_deadline(1.0)
    with pytest.raises(AssertionError, match="went on"):
        check_deadline(ROUND_S)
    for last in (pb.Progress(message="why"), pb.Progress(final=True)):
        with pytest.raises(AssertionError):
            check_end(Run(plan=None, last=last, steps=()))
    check_end(Run(plan=None, last=pb.Progress(final=True, message="why"), steps=()))
    figures = {"E1": np.array([100, 7]), "E2": np.array([30, 3]), "E3": np.array([9, 20])}

    def exact(councils):
        return sum((figures[council] for council in councils), start=np.zeros(2))

    widths = np.array([40.0, 40.0])
    check_sum(exact({"E1", "E2"}) + 2, widths, exact, {"E1", "E2"}, set(figures))
    for wrong in (exact({"E1", "E2"}) + 41, exact({"E1"})):
        with pytest.raises(AssertionError):
            check_sum(wrong, widths, exact, {"E1", "E2"}, set(figures))
