"""Many histories, and over several processes: their seeds are numbers in a row from a first one."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.faults.history import live_through
from tests.simulation.faults.memory import remembered
from tests.simulation.faults.sqlite_files import simulated_disks

PART = 250


@dataclass(slots=True)
class Found:
    """What many histories came to.

    Attributes:
        histories: How many.
        violations: By seed, in words.
        counts: How often what happened, over all of them.
    """

    histories: int = 0
    violations: dict[int, tuple[str, ...]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Found") -> None:
        """Take another part in."""
        self.histories += other.histories
        self.violations |= other.violations
        self.counts.update(other.counts)

    def told(self) -> str:
        """The violations, each with what reproduces it."""
        return "\n".join(
            f"{violation}\n    reproduce with: python -m tests.simulation.faults --seed {seed} --trace"
            for seed, violations in sorted(self.violations.items())
            for violation in violations
        )


def live_many(seeds: Iterable[int]) -> Found:
    """Histories in this process."""
    found = Found()
    with simulated_disks(), remembered():
        for seed in seeds:
            outcome = live_through(seed)
            found.histories += 1
            found.counts.update(outcome.counts)
            if outcome.violations:
                found.violations[seed] = outcome.violations
    return found


def first_found(seeds: Iterable[int]) -> tuple[int, tuple[str, ...]] | None:
    """The first of these histories with a violation."""
    with simulated_disks(), remembered():
        for seed in seeds:
            outcome = live_through(seed)
            if outcome.violations:
                return seed, outcome.violations
    return None


def live_on_every_core(first: int, histories: int) -> Iterator[Found]:
    """The same on every core, part by part as they end."""
    parts = [range(start, min(start + PART, first + histories)) for start in range(first, first + histories, PART)]
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=context) as pool:
        yield from pool.map(live_many, parts)
