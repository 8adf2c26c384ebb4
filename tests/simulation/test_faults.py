"""Random histories of faults over the real protocol, round driver, ledger and store; any failure prints its seed.

What is simulated and what is not: docs/faults.md. Reproduce one history with
`python -m tests.simulation.faults --seed N --trace`; run others here with the environment variable FAULTS_SEED.
"""

import os
import random
import secrets
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.evidence import DIRTY, commit, record
from tests.simulation.faults.disk import Cut, Died, Disk, Loss
from tests.simulation.faults.history import live_through
from tests.simulation.faults.many import KEPT, Found, Kept, first_found, live_many, live_on_every_core
from tests.simulation.faults.memory import remembered
from tests.simulation.faults.mutations import PLANTED
from tests.simulation.faults.sqlite_files import simulated_disks

ROOT = Path(__file__).resolve().parents[2]
CI_SIZE = 20
FULL_SIZE = 100_000
SOON, FOUND_WITHIN = 30, 300
"""Histories within which planted faults are found: those that show at once, and the others."""
AT_ONCE = (
    "data_before_charge",
    "ledger_not_waited_for",
    "refund_at_start",
    "answers_not_waited_for",
    "no_deadline",
    "no_reason",
)
"""The others take more histories than `make test` has time for."""


def first_seed() -> int:
    given = os.environ.get("FAULTS_SEED")
    return int(given) if given else secrets.randbelow(2**40)


def test_random_histories_of_faults_break_nothing():
    first = first_seed()
    print(f"histories {first} to {first + CI_SIZE - 1}; again with FAULTS_SEED={first}")
    found = live_many(range(first, first + CI_SIZE))
    assert not found.violations, found.told()
    assert found.counts["answers worked out again"] > CI_SIZE / 2
    assert found.counts["crashes of a council"] + found.counts["crashes of the coordinator"] > 0


@pytest.mark.long
def test_a_hundred_thousand_histories_of_faults_break_nothing():
    kept = Kept(KEPT, first_seed(), at=commit(KEPT))
    found = Found()
    for part in live_on_every_core(kept.first, FULL_SIZE, kept):
        found.add(part)
    assert not found.violations, found.told()
    assert found.histories == FULL_SIZE
    record(
        "histories_of_faults",
        {
            "violations": 0,
            "histories at each commit": {at: part.histories for at, part in kept.found.items()},
            "what happened in them": dict(sorted(found.counts.items())),
        },
        test="tests/simulation/test_faults.py::test_a_hundred_thousand_histories_of_faults_break_nothing",
        n=found.histories,
        seed=kept.first,
        besides=[KEPT],
    )


def test_a_run_that_was_broken_off_goes_on_from_what_was_kept(tmp_path):
    path = tmp_path / "kept"
    kept = Kept(path, 5, at="one")
    kept.keep(5 + 500, Found(histories=250, violations={507: ("this is wrong",)}, counts=Counter(crashes=3)))
    kept.keep(5, Found(histories=250, counts=Counter(crashes=4)))
    with path.open("a") as file:
        file.write('{"commit": "one", "fou')  # broken off here
    again = Kept(path, 99, at="another")
    assert (again.first, again.done) == (5, {5, 505})
    assert again.found["one"] == Found(histories=500, violations={507: ("this is wrong",)}, counts=Counter(crashes=7))
    parts = list(live_on_every_core(5, 252, Kept(path, 99, at="another")))
    assert [part.histories for part in parts] == [500, 2]
    assert "this is wrong" in parts[0].told()
    last = Kept(path, 99, at="a third")
    assert last.done == {5, 255, 505}
    assert {at: found.histories for at, found in last.found.items()} == {"one": 500, "another": 2}
    assert len(path.read_text().splitlines()) == 3


def test_what_files_of_no_commit_did_is_not_kept(tmp_path):
    with pytest.raises(ValueError, match="commit what was changed"):
        Kept(tmp_path / "kept", 5, at=f"one{DIRTY}")


# Guards seen


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_planted_fault_is_found(name):
    with PLANTED[name]():
        assert first_found(range(SOON)) is not None, f"'{name}' was not found in {SOON} histories"


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in PLANTED if name not in AT_ONCE])
def test_a_planted_fault_that_shows_seldom_is_found(name):
    with PLANTED[name]():
        assert first_found(range(FOUND_WITHIN)) is not None, f"'{name}' was not found in {FOUND_WITHIN} histories"


# One seed is one history


def test_a_seed_is_the_same_history_in_another_process_with_another_order_of_hashes():
    seeds = (3, 11)
    with simulated_disks(), remembered():
        here = [live_through(seed).digest for seed in seeds]
        assert [live_through(seed).digest for seed in seeds] == here
    arguments = [part for seed in seeds for part in ("--seed", str(seed))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.faults", *arguments],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert [line.split()[3] for line in done.stdout.splitlines()] == here


def test_another_seed_is_another_history():
    with simulated_disks(), remembered():
        assert live_through(1).digest != live_through(2).digest


# The disk


def test_a_power_cut_leaves_what_was_waited_for_and_any_part_of_the_rest():
    disk = Disk({"a": b"old" * 1000})
    file = disk.files["a"]
    disk.write(file, 0, b"N" * 3000)
    left = {disk.left(Loss.POWER, random.Random(number))["a"] for number in range(40)}
    assert b"old" * 1000 in left
    assert b"N" * 3000 in left
    assert len(left) > 3
    assert disk.left(Loss.KILLED, random.Random(1))["a"] == b"N" * 3000
    disk.sync(file)
    assert {disk.left(Loss.POWER, random.Random(number))["a"] for number in range(40)} == {b"N" * 3000}


@pytest.mark.parametrize(("cut", "shown"), [(Cut.BEFORE, b""), (Cut.HALF_WAY, b"12"), (Cut.AFTER, b"1234")])
def test_a_machine_dies_before_half_way_through_or_after_a_request(cut, shown):
    died = []
    disk = Disk({}, died=lambda: died.append(True))
    file = disk.create("a")
    disk.write(file, 0, b"")
    disk.die_in(1, cut)
    with pytest.raises(Died):
        disk.write(file, 0, b"1234")
    assert bytes(file.shown) == shown
    assert died == [True]
    with pytest.raises(Died):
        disk.sync(file)
