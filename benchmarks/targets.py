"""The targets of docs/performance.json: what was measured, what was to be reached, and whether it was.

Every figure is a ratio within one run, so that it says the same on a slow machine as on a fast one.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests import evidence

__all__ = [
    "AT_LEAST",
    "AT_MOST",
    "PERFORMANCE",
    "Target",
    "add_record_option",
    "commit",
    "is_met",
    "record",
    "record_console",
    "tell",
]

ROOT: Final = Path(__file__).resolve().parents[1]
PERFORMANCE: Final = ROOT / "docs/performance.json"
AT_MOST: Final = "at most"
AT_LEAST: Final = "at least"


def is_met(ratio: float, target: float, direction: str) -> bool:
    """Whether a ratio reaches its target."""
    if direction not in {AT_MOST, AT_LEAST}:
        raise ValueError(f"a direction is '{AT_MOST}' or '{AT_LEAST}', not '{direction}'")
    return ratio <= target if direction == AT_MOST else ratio >= target


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One target as measured.

    Attributes:
        name: What is measured.
        samples: A ratio for each repetition, in order.
        target: What the median is to reach.
        direction: `AT_MOST` or `AT_LEAST`.
        command: Repeats the measurement.
        figures: What else was seen: seconds, cores.
    """

    name: str
    samples: Sequence[float]
    target: float
    direction: str
    command: str
    figures: Mapping[str, object] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """As it is printed and kept."""
        samples = [round(sample, 3) for sample in self.samples]
        ratio = round(statistics.median(samples), 3)
        return {
            "name": self.name,
            "ratio": ratio,
            "target": self.target,
            "direction": self.direction,
            "met": is_met(ratio, self.target, self.direction),
            "command": self.command,
            "commit": commit(),
            "samples": samples,
            "figures": dict(self.figures),
        }


def record(row: Mapping[str, object], path: Path = PERFORMANCE) -> None:
    """Keep a row; it takes the place of an earlier one of the same name."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"targets": []}
    rows = [other for other in kept["targets"] if other["name"] != row["name"]]
    kept["targets"] = sorted([*rows, dict(row)], key=lambda one: str(one["name"]))
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def record_console(row: Mapping[str, object], path: Path = PERFORMANCE) -> None:
    """Keep what was measured of the console on a database, in place of an earlier measurement on it."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    rows = [other for other in kept.get("console", []) if other["database"] != row["database"]]
    kept["console"] = sorted([*rows, dict(row)], key=lambda one: str(one["database"]))
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def add_record_option(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark its `--record`."""
    parser.add_argument("--record", action="store_true", help="keep the figures in docs/performance.json")


def tell(row: Mapping[str, object], *, kept: bool) -> None:
    """Print a row, and keep it where that was asked for."""
    print(json.dumps(row, indent=2), flush=True)
    if kept:
        record(row)


def commit() -> str:
    """The commit checked out, with a mark when tracked files differ from it, other than the figures themselves."""
    return evidence.commit(PERFORMANCE)
