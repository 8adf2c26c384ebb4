"""Many histories, and over several processes: their seeds are numbers in a row from a first one.

A hundred thousand take hours. What each part of them came to can be kept in a file, and a run that was broken off goes
on from there.
"""

import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tests.evidence import commit
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


def live_on_every_core(first: int, histories: int, kept: "Kept | None" = None) -> Iterator[Found]:
    """The same on every core, part by part as they end; parts that were kept come first, and are not run again."""
    wanted = {
        start: range(start, min(start + PART, first + histories)) for start in range(first, first + histories, PART)
    }
    for start, found in ({} if kept is None else kept.parts).items():
        if wanted.pop(start, None) is not None:
            yield found
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=context) as pool:
        running = {pool.submit(live_many, part): start for start, part in wanted.items()}
        for done in as_completed(running):
            found = done.result()
            if kept is not None:
                kept.keep(running[done], found)
            yield found


class Kept:
    """What parts of one run came to, in a file, a line for each.

    Args:
        path: The file; made where it is not there yet.
        first: First seed of the run, where it is not begun in the file already.

    Attributes:
        first: First seed of the run.
        parts: What was found, by the part's first seed.

    Raises:
        ValueError: The file is of another commit, of whose software it says nothing.
    """

    def __init__(self, path: Path, first: int) -> None:
        self._path = path
        if not path.exists():
            path.write_text(json.dumps({"commit": commit(), "first": first}) + "\n", encoding="utf-8")
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # the last may have been broken off
        head, *parts = (json.loads(line) for line in lines)
        if head["commit"] != commit():
            raise ValueError(f"{path} was kept at commit {head['commit']}; check that out, or name another file")
        self.first: int = head["first"]
        self.parts = {part["start"]: _found(part["found"]) for part in parts}
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    def keep(self, start: int, found: Found) -> None:
        """Keep a part."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"start": start, "found": _kept(found)}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _kept(found: Found) -> dict[str, object]:
    return {"histories": found.histories, "violations": found.violations, "counts": found.counts}


def _found(kept: dict[str, object]) -> Found:
    violations = {int(seed): tuple(words) for seed, words in dict(kept["violations"]).items()}
    return Found(histories=int(str(kept["histories"])), violations=violations, counts=Counter(kept["counts"]))
