"""What a comparison found, as it is printed and kept: machine, versions, medians, spreads, the ratio of each run."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.targets import AT_MOST, PERFORMANCE, Target

__all__ = ["Comparison", "commit", "keep", "machine"]


def commit() -> str:
    """The commit measured, as a target's row says it."""
    return str(Target(name="", samples=[1.0], target=1.0, direction=AT_MOST, command="").row()["commit"])


def machine() -> dict[str, object]:
    """Processor, cores, memory and Python of this machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One measurement of ours beside a peer's, run in turn.

    Attributes:
        name: What was compared.
        peer: Beside whom.
        unit: Of the samples.
        ours: A figure for each repetition.
        theirs: The peer's, of the same repetitions.
        command: Repeats it.
        versions: Of the peer's packages.
        figures: What else was seen.
    """

    name: str
    peer: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float]
    command: str
    versions: Mapping[str, str]
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def ratios(self) -> list[float]:
        """The peer's figure over ours, for each repetition."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def target(self, target: float, direction: str, *, ours_over_theirs: bool = False) -> Target:
        """The same as a target of docs/performance.json."""
        ratios = [1 / ratio for ratio in self.ratios] if ours_over_theirs else self.ratios
        row = self.row()
        return Target(
            name=self.name,
            samples=ratios,
            target=target,
            direction=direction,
            command=self.command,
            figures={name: row[name] for name in ("unit", "ours", "theirs", "machine", "versions", "figures")},
        )

    def row(self) -> dict[str, object]:
        """As it is printed and kept; the commit is the one of a target's row."""
        return {
            "name": self.name,
            "peer": self.peer,
            "unit": self.unit,
            "ours": _told(self.ours),
            "theirs": _told(self.theirs),
            "ratio": round(statistics.median(self.ratios), 3),
            "ratios": [round(ratio, 3) for ratio in self.ratios],
            "command": self.command,
            "commit": commit(),
            "machine": machine(),
            "versions": dict(self.versions),
            "figures": dict(self.figures),
        }


def _told(samples: Sequence[float]) -> dict[str, object]:
    return {
        "median": _short(statistics.median(samples)),
        "least": _short(min(samples)),
        "most": _short(max(samples)),
        "samples": [_short(sample) for sample in samples],
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def keep(row: Mapping[str, object], path: Path = PERFORMANCE) -> None:
    """Keep a comparison beside the targets; it takes the place of an earlier one of the same name."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"targets": []}
    others = [other for other in kept.get("comparisons", []) if other["name"] != row["name"]]
    kept["comparisons"] = sorted([*others, dict(row)], key=lambda one: str(one["name"]))
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
