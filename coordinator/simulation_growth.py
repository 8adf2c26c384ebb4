"""How a federation's cost grows: the same simulation at a ladder of sizes, and the exponent that fits.

Each size runs in a process of its own, since the most memory that a process has had never falls again.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from federated.errors import InternalError
from federated.query import Dimension, Query, Table, write_query

__all__ = ["MEASURES", "Growth", "Rung", "council_ladder", "exponent", "measure_growth", "questions_by_cells"]

SMALLEST: Final = 12
"""Fewer councils say nothing of growth: what every round costs is more than what they add."""
COUNCILS_FOR_CELLS: Final = 24
"""Most councils of the simulations that differ in their cells alone."""

MEASURES: Final[Mapping[str, str]] = {
    "seconds": "Seconds of a round",
    "sent": "Bytes that a council sends",
    "received": "Bytes that a council receives",
    "memory_mib": "MiB of memory",
}
"""What is fitted, by its name in `Rung`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One size, and what it took.

    Attributes:
        councils: How many took part.
        cells: Numbers in the vector.
        seconds: Of a round from plan to release, all parties on this computer.
        sent: Bytes that the average council sent.
        received: Bytes that it received.
        memory_mib: Most memory of the process that holds all parties.
    """

    councils: int
    cells: int
    seconds: float
    sent: int
    received: int
    memory_mib: int

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Read the object that `coordinator simulate --json` prints: seconds are the mean over its rounds."""
        rounds = found["rounds"]
        return cls(
            councils=found["councils"],
            cells=rounds[0]["numbers"],
            seconds=sum(sum(item["seconds"].values()) for item in rounds) / len(rounds),
            sent=found["bytes_per_council"]["sent"],
            received=found["bytes_per_council"]["received"],
            memory_mib=found["memory_mib"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A ladder of sizes.

    Attributes:
        by: `councils` or `cells`: what differs from rung to rung.
        rungs: From the smallest.
        exponents: By the names of `MEASURES`: twice the size costs 2 to this power.
        at_the_top: The same of the two largest sizes alone, where what every round costs anyway weighs least.
    """

    by: str
    rungs: tuple[Rung, ...]
    exponents: Mapping[str, float]
    at_the_top: Mapping[str, float]

    @classmethod
    def fitted(cls, by: str, rungs: Sequence[Rung]) -> "Growth":
        """Fit every measure."""
        return cls(by=by, rungs=tuple(rungs), exponents=_exponents(by, rungs), at_the_top=_exponents(by, rungs[-2:]))

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        rungs = [
            {"councils": rung.councils, "cells": rung.cells}
            | {name: round(getattr(rung, name), 3) for name in MEASURES}
            for rung in self.rungs
        ]
        fits = {"exponents": self.exponents, "exponents_at_the_top": self.at_the_top}
        rounded = {fit: {name: round(value, 2) for name, value in found.items()} for fit, found in fits.items()}
        return {"by": self.by, "rungs": rungs, **rounded}


def _exponents(by: str, rungs: Sequence[Rung]) -> dict[str, float]:
    sizes = [getattr(rung, by) for rung in rungs]
    return {name: exponent(sizes, [getattr(rung, name) for rung in rungs]) for name in MEASURES}


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The power p of the line log(cost) = p log(size) + c that fits best; least squares.

    Args:
        sizes: At least two different ones, above zero.
        costs: Above zero.
    """
    xs, ys = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread


def council_ladder(most: int) -> tuple[int, ...]:
    """Numbers of councils up to `most`, each twice the one before, never below twelve."""
    rungs = [most]
    while rungs[-1] // 2 >= SMALLEST:
        rungs.append(rungs[-1] // 2)
    return tuple(reversed(rungs))


def questions_by_cells(like: Query) -> Iterator[Query]:
    """Questions of more and more cells over the synthetic records, otherwise as `like`."""
    age_and_outcome = ("main_age_band", "assessment_outcome")
    reasons = ("reason_loss", *age_and_outcome)
    employment = ("reason_loss", "household_type", "main_employment")
    for tables in ([age_and_outcome], [("reason_loss", "main_age_band")], [reasons], [reasons, employment]):
        made = (
            Table(name=f"t{place}", statistic="households", by=tuple(Dimension(column=name) for name in by))
            for place, by in enumerate(tables)
        )
        yield replace(like, tables=tuple(made))


def measure_growth(question: Query, most: int, *, options: Sequence[str], tell: Callable[[str], None]) -> list[Growth]:
    """Run both ladders: councils up to `most` with the question, and cells with fewer councils.

    Args:
        question: For the ladder of councils.
        most: Councils of its last rung.
        options: Passed on to every simulation.
        tell: Takes progress, one line at a time.

    Raises:
        InternalError: A simulation failed.
    """
    by_councils = [_rung(question, councils, options, tell) for councils in council_ladder(most)]
    few = min(most, COUNCILS_FOR_CELLS)
    by_cells = [_rung(of_cells, few, options, tell) for of_cells in questions_by_cells(question)]
    growths = [Growth.fitted("cells", by_cells)]
    return [Growth.fitted("councils", by_councils), *growths] if len(by_councils) > 1 else growths


def _rung(question: Query, councils: int, options: Sequence[str], tell: Callable[[str], None]) -> Rung:
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        path = Path(folder) / "question.yaml"
        path.write_text(write_query(question), encoding="utf-8")
        code = "from coordinator.cli import main; main()"
        sizes = ["--councils", str(councils), "--question", str(path), "--json"]
        done = subprocess.run(
            [sys.executable, "-c", code, "simulate", *sizes, *options], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise InternalError(f"The simulation of {councils} councils failed. {done.stderr.strip()}")
    rung = Rung.of(json.loads(done.stdout))
    tell(f"{rung.councils} councils, {rung.cells:,} cells: {rung.seconds:.1f} seconds, {rung.memory_mib:,} MiB.")
    return rung
