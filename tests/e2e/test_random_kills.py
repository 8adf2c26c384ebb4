"""Nodes killed (`kill -9`) at random instants: before, during and after rounds, and while they start again.

After every kill: the ledger's chain holds, every masked input that the coordinator was sent is a charge that stands,
nothing that was spent is forgotten, no round is answered twice or in two ways, and nothing of the extract is on disk.
The coordinator is the witness: it writes down what crossed its link.
"""

import csv
import random
import secrets
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from threading import Lock

import pytest

from council_node.ledger import Ledger
from council_node.mapping import load_mapping
from federated.privacy import Mechanism
from federated.schema import load_schema
from protocols.identifiers import CouncilId
from tests.e2e.federation import NORTH_EAST, Federation, Node, Run, running_federation
from tests.e2e.test_killed_nodes import QUESTION
from tests.evidence import record

EPSILON = Fraction(1, 20)
BUDGET = Fraction(40)
KILLED_AT_ONCE = 4
"""One more than a careful round of twelve survives, so that rounds end both ways."""
SIDE_BY_SIDE = 3
LONGEST_S = 1.6
"""Kills fall anywhere from handing the question in to some time after its answer."""
AGAIN = 0.25
"""How often a node is killed once more while it starts."""
START_S = 1.5
LONGEST_ANSWER_S = 300
SHORTEST_REFERENCE = 5


@dataclass(slots=True)
class Seen:
    """What the test has seen so far, which must stay true.

    Attributes:
        kills: Processes killed.
        spent: By council, the rounds whose charge stood.
        answered: Rounds with an answer.
        ended: Rounds without one.
        before: Kills by what the node had sent in the round by then.
    """

    kills: int = 0
    spent: dict[CouncilId, set[str]] = field(default_factory=lambda: defaultdict(set))
    answered: int = 0
    ended: int = 0
    before: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@contextmanager
def federation_with_witness(folder: Path) -> Iterator[tuple[Federation, Path]]:
    serve = ("tests.e2e.witnessing_coordinator",)
    with running_federation(folder, epsilon=EPSILON, budget=BUDGET, serve=serve, opening_wait_s=2) as federation:
        # The third argument that the coordinator is started with is for its module's own use: here, the notes.
        yield federation, folder / "orders.json"


def test_random_kills(tmp_path):
    with federation_with_witness(tmp_path) as (federation, notes):
        seen = go_on_killing(federation, notes, kills=5, seed=secrets.randbits(32))
    assert seen.kills >= 5


@pytest.mark.long
def test_a_thousand_random_kills(tmp_path):
    one_by_one = Lock()
    seeds = [secrets.randbits(32) for _ in range(SIDE_BY_SIDE)]
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        parts = list(pool.map(lambda seed: one_of_several(tmp_path / str(seed), seed, one_by_one), seeds))
    seen = together(parts)
    assert seen.kills >= 500
    assert seen.answered
    assert seen.ended
    figures = {
        "federations side by side": SIDE_BY_SIDE,
        "seeds": seeds,
        "rounds answered": seen.answered,
        "rounds ended without an answer": seen.ended,
        "charges that stand": sum(map(len, seen.spent.values())),
        "kills by last message the node had sent in the round": dict(sorted(seen.before.items())),
        "charges lost": 0,
        "broken ledgers": 0,
        "rounds answered twice": 0,
        "references of the extract found on disk": 0,
    }
    record(
        "nodes_killed_at_random",
        figures,
        test="tests/e2e/test_random_kills.py::test_a_thousand_random_kills",
        n=seen.kills,
        seed=seeds[0],
    )


def one_of_several(folder: Path, seed: int, one_by_one: Lock) -> Seen:
    folder.mkdir()
    with ExitStack() as stack:
        with one_by_one:  # the library that makes the coordinator's tables serves one thread at a time
            federation, notes = stack.enter_context(federation_with_witness(folder))
        return go_on_killing(federation, notes, kills=-(-1000 // SIDE_BY_SIDE), seed=seed)


def together(parts: list[Seen]) -> Seen:
    """What several federations saw; the same council is another one in each."""
    whole = Seen()
    for number, part in enumerate(parts):
        whole.kills += part.kills
        whole.answered += part.answered
        whole.ended += part.ended
        whole.spent |= {CouncilId(f"{number}/{council}"): rounds for council, rounds in part.spent.items()}
        for kind, count in part.before.items():
            whole.before[kind] += count
    return whole


def go_on_killing(federation: Federation, notes: Path, *, kills: int, seed: int) -> Seen:
    print(f"seed of the instants: {seed}")
    rng = random.Random(seed)
    seen = Seen()
    references = {council: references_of(node) for council, node in federation.nodes.items()}
    with ThreadPoolExecutor(max_workers=1) as asker:
        while seen.kills < kills:
            plan = federation.plan(replace(QUESTION, epsilon=EPSILON), rng.choice(tuple(Mechanism)))
            already = len(lines_of(notes))
            asked = asker.submit(federation.ask, plan)
            victims = rng.sample(NORTH_EAST, rng.randint(1, KILLED_AT_ONCE))
            kill(federation, victims, rng, seen, lambda already=already: lines_of(notes)[already:])
            restart_and_kill(federation, victims, rng, seen)
            # With too few councils left a question waits for those who come back, so the answer is waited for last.
            run = asked.result(timeout=LONGEST_ANSWER_S)
            check_all(federation, notes, run, {council: references[council] for council in victims}, seen)
        check_all(federation, notes, run, references, seen)
    return seen


# Killing


def kill(
    federation: Federation,
    victims: list[CouncilId],
    rng: random.Random,
    seen: Seen,
    sent: Callable[[], list[list[str]]],
) -> None:
    began = time.monotonic()
    for moment, council in sorted((rng.uniform(0, LONGEST_S), council) for council in victims):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        federation.nodes[council].running.process.send_signal(signal.SIGKILL)
        seen.before[last_sent(sent(), council)] += 1
    federation.reap(victims)
    seen.kills += len(victims)


def restart_and_kill(federation: Federation, victims: list[CouncilId], rng: random.Random, seen: Seen) -> None:
    """Start the killed again; some are killed once more on the way up."""
    again = [council for council in victims if rng.random() < AGAIN]
    federation.wait("The loss of the killed", lambda: federation.connected().isdisjoint(victims))
    for council in again:
        federation.nodes[council].start()
    for council in again:
        time.sleep(rng.uniform(0, START_S))
        federation.nodes[council].running.process.send_signal(signal.SIGKILL)
    federation.reap(again)
    seen.kills += len(again)
    federation.restart(victims)


# What must hold


def check_all(
    federation: Federation, notes: Path, run: Run, references: dict[CouncilId, tuple[bytes, ...]], seen: Seen
) -> None:
    lines = lines_of(notes)
    check_sent_once(lines)
    masked = masked_inputs(lines)
    for council, node in federation.nodes.items():
        charges = check_ledger(node)
        assert masked[council] <= charges, f"{council} sent a masked input that its ledger does not charge"
        assert seen.spent[council] <= charges, f"{council} forgot a charge"
        seen.spent[council] |= charges
        if council in references:
            found = on_disk(node.settings.ledger_file.parent.parent, references[council])
            assert not found, f"{council}'s extract is in {found}"
    check_release(federation, run, seen)


def check_ledger(node: Node) -> set[str]:
    """The rounds whose charge stands, from a ledger that is walked entry by entry as it is opened."""
    with Ledger.read_only(node.settings.ledger_file, CouncilId(node.council.id)) as ledger:
        return {item.sid.hex() for item in ledger.rounds() if item.state.value == "spent"}


def check_release(federation: Federation, run: Run, seen: Seen) -> None:
    """At most one answer to a question, and everybody in it is charged for that very round."""
    found = [item for item in federation.client.releases() if item.plan_digest == run.plan.digest]
    assert len(found) == run.released
    seen.answered += run.released
    seen.ended += not run.released
    if run.released:
        release = federation.client.release(release_digest=run.last.release_digest)
        contributed = {record.council for record in release.councils if record.outcome == "contributed"}
        for council in contributed:
            assert release.sid in seen.spent[CouncilId(council)]


def check_sent_once(lines: list[list[str]]) -> None:
    """A node never answers a stage of a round in two ways: a second masked input would reveal what the first hid."""
    answers = defaultdict(set)
    for direction, council, kind, reference, digest in lines:
        if direction == "received" and kind in {"ADVERT", "KEY_SHARES", "MASKED_INPUT", "CONFIRMATION", "UNMASK"}:
            answers[council, kind, reference].add(digest)
    twice = [key for key, digests in answers.items() if len(digests) > 1]
    assert not twice, twice


def masked_inputs(lines: list[list[str]]) -> dict[str, set[str]]:
    """By council, the rounds in which its masked input arrived."""
    found: dict[str, set[str]] = defaultdict(set)
    for direction, council, kind, reference, _ in lines:
        if (direction, kind) == ("received", "MASKED_INPUT"):
            found[council].add(reference)
    return found


def lines_of(notes: Path) -> list[list[str]]:
    text = notes.read_text(encoding="ascii") if notes.exists() else ""
    return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]


def last_sent(lines: list[list[str]], council: str) -> str:
    sent = [kind for direction, who, kind, *_ in lines if direction == "received" and who == council]
    return sent[-1] if sent else "nothing"


def references_of(node: Node) -> tuple[bytes, ...]:
    """The case references of its extract: every record has one of its own."""
    mapping = load_mapping(node.settings.data["case"], load_schema())
    text = node.extract.read_bytes().decode("utf-8", errors="replace").lstrip("\ufeff")
    separator = max(",;\t|", key=text.splitlines()[0].count)
    heading, *rows = csv.reader(text.splitlines(), delimiter=separator)
    place = heading.index(mapping.columns["case_key"].source)
    found = {row[place].strip() for row in rows if len(row) > place}
    long_enough = tuple(sorted(text.encode() for text in found if len(text) >= SHORTEST_REFERENCE))
    assert len(long_enough) > len(rows) // 2, "most records must be recognisable for the check to mean anything"
    return long_enough


def on_disk(folder: Path, references: Iterable[bytes]) -> list[str]:
    """Files below a node's folder that hold a case reference, as it is or as the database engine would store it."""
    found = []
    for file in folder.rglob("*"):
        if not file.is_file():
            continue
        try:
            content = file.read_bytes()
        except FileNotFoundError:  # a journal, gone since
            continue
        if any(reference in content for reference in references):
            found.append(str(file.relative_to(folder)))
    return found


# That the checks see something


def test_the_checks_see_what_they_look_for(tmp_path):
    (tmp_path / "spilled.tmp").write_bytes(b"\0\0HH-12345\0")
    assert on_disk(tmp_path, [b"HH-12345"]) == ["spilled.tmp"]
    once = ["received", "E06000001", "MASKED_INPUT", "aa", "11"]
    check_sent_once([once, once])
    with pytest.raises(AssertionError):
        check_sent_once([once, [*once[:-1], "22"]])
    assert masked_inputs([once]) == {"E06000001": {"aa"}}
    assert last_sent([once], "E06000001") == "MASKED_INPUT"
