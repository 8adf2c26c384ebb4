"""Many histories, and over several processes: their seeds are numbers in a row from a first one.

A hundred thousand take hours. What each part of them came to can be kept in a file, and a run that was broken off goes
on from there, at a later commit too.
"""

import json
import multiprocessing
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tests.evidence import DIRTY
from tests.simulation.faults.history import live_through
from tests.simulation.faults.memory import remembered
from tests.simulation.faults.sqlite_files import simulated_disks

PART = 250
KEPT = Path(__file__).resolve().parents[3] / "docs/fault-histories.jsonl"
"""Where the full size is kept from one run to the next; taken away, it is begun anew."""


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
    """The same on every core, part by part as they end; what was kept comes first, and is not run again."""
    done = frozenset() if kept is None else kept.done
    wanted = {
        start: range(start, min(start + PART, first + histories))
        for start in range(first, first + histories, PART)
        if start not in done
    }
    if kept is not None:
        yield from list(kept.found.values())
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=context) as pool:
        running = {pool.submit(live_many, part): start for start, part in wanted.items()}
        for done in as_completed(running):
            found = done.result()
            if kept is not None:
                kept.keep(running[done], found)
            yield found


class Kept:
    """What parts of one run came to, in a file: a line for each commit and, until it is opened again, for each new part.

    A run may be broken off, and go on at a later commit. What was tried says nothing of rules that changed since, so each
    line names its commit.

    Args:
        path: The file; made where it is not there yet.
        first: First seed of the run, where it is not begun in the file already.
        at: What `tests.evidence.commit` gives.

    Attributes:
        first: First seed of the run.
        found: What was found, by commit.
        done: First seeds of the parts that are done.

    Raises:
        ValueError: The files here are not those of a commit, which is what a result has to name.
    """

    def __init__(self, path: Path, first: int, *, at: str) -> None:
        if at.endswith(DIRTY):
            raise ValueError(
                f"what is tried is kept in {path.name} for a commit; commit what was changed, and try again"
            )
        self._path, self._commit = path, at
        # The last line may have been broken off.
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        kept = [json.loads(line) for line in lines] or [{"first": first}]
        self.first: int = kept[0]["first"]
        self.found: dict[str, Found] = defaultdict(Found)
        self._parts: dict[str, list[int]] = defaultdict(list)
        for line in kept[1:]:
            self._add(line["commit"], line["parts"], _found(line["found"]))
        anew = path.with_name(f"{path.name}.new")
        _write(anew, "w", [{"first": self.first}, *map(self._line, self.found)])
        anew.replace(path)

    @property
    def done(self) -> frozenset[int]:
        """First seeds of the parts that are done."""
        return frozenset(self.first + PART * number for numbers in self._parts.values() for number in numbers)

    def keep(self, start: int, found: Found) -> None:
        """Keep a part."""
        number = (start - self.first) // PART
        self._add(self._commit, [number], found)
        _write(self._path, "a", [{"commit": self._commit, "parts": [number], "found": _kept(found)}])

    def _add(self, at: str, parts: list[int], found: Found) -> None:
        self._parts[at] += parts
        self.found[at].add(found)

    def _line(self, at: str) -> dict[str, object]:
        return {"commit": at, "parts": sorted(self._parts[at]), "found": _kept(self.found[at])}


def _write(path: Path, mode: str, lines: list[dict[str, object]]) -> None:
    with path.open(mode, encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())


def _kept(found: Found) -> dict[str, object]:
    counts = dict(sorted(found.counts.items()))
    return {"histories": found.histories, "violations": found.violations, "counts": counts}


def _found(kept: dict[str, object]) -> Found:
    violations = {int(seed): tuple(words) for seed, words in dict(kept["violations"]).items()}
    return Found(histories=int(str(kept["histories"])), violations=violations, counts=Counter(kept["counts"]))
