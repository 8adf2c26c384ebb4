"""The parts of docs/performance.md that are made from docs/performance.json, so that the two cannot disagree."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.targets import PERFORMANCE

__all__ = ["parts"]

STEPS = {
    "share keys": "adverts checked, channels agreed, both seeds dealt",
    "accept shares": "key shares opened and checked, masks agreed",
    "mask": "masks made and added",
    "confirm": "survivors checked and signed for",
    "unmask": "confirmations checked, shares shown",
}
"""Steps of a node's round, as `benchmarks.watched` names them; advertising takes no time worth a row."""
ROUND = "a node's whole round"
UNITS = ((1e6, "ms"), (1e3, "µs"), (1, "ns"))
MEMORY = "the coordinator's memory"


def parts(path: Path = PERFORMANCE) -> dict[str, str]:
    """Each part by the name in its mark."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    growth = kept.get("growth", {})
    return {
        "targets": _targets(kept["targets"]),
        "node profile": _profile(kept["targets"]),
        "growth": _growth(growth),
        "memory": _memory(growth),
        "console pages": _console_pages(kept.get("console", ())),
        "console readers": _console_readers(kept.get("console", ())),
    }


def _table(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    top, *rest = [f"| {' | '.join(row)} |\n" for row in (heading, *lines)]
    return "".join((top, "|" + "---|" * len(heading) + "\n", *rest))


def _targets(targets: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        (row["name"], f"{row['ratio']:.2f}", f"{row['direction']} {row['target']:g}", "yes" if row["met"] else "no")
        for row in targets
    ]
    return _table(("What is measured", "Ratio", "Target", "Met"), lines)


def _profile(targets: Sequence[Mapping[str, Any]]) -> str:
    figures: Mapping[str, float] = next((row["figures"] for row in targets if ROUND in row["name"]), {})
    lines = [(step, _milliseconds(figures[step]), what) for step, what in STEPS.items() if step in figures]
    return _table(("Step", "Milliseconds", "What it is"), lines)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"


def _growth(growth: Mapping[str, Any]) -> str:
    lines = [
        (
            what,
            ", ".join(f"{rung['cells' if what.endswith('cells') else 'councils']:,}" for rung in found["rungs"]),
            ", ".join(f"{rung['seconds']:.2g}" for rung in found["rungs"]),
            " + ".join(_term(term, factor) for term, factor in found["nanoseconds"].items()),
            f"{100 * found['worst_relative_error']:.0f} %",
        )
        for what, found in growth.items()
        if "rungs" in found
    ]
    return _table(("What grows", "At", "Seconds", "Law", "Largest error"), lines)


def _term(term: str, nanoseconds: float) -> str:
    size, unit = next((size, unit) for size, unit in UNITS if nanoseconds >= size or size == 1)
    factors = "" if term == "1" else " × " + " × ".join(term.split())
    return f"{nanoseconds / size:.3g} {unit}{factors}"


def _memory(growth: Mapping[str, Any]) -> str:
    sizes = growth.get(MEMORY, ())
    councils = sorted({size["councils"] for size in sizes})
    peaks = {(size["councils"], size["cells"]): str(size["peak_mib"]) for size in sizes}
    lines = [
        (f"{cells:,}", *(peaks[count, cells] for count in councils)) for cells in sorted({cells for _, cells in peaks})
    ]
    return _table(("Cells", *(f"MiB with {count} councils" for count in councils)), lines)


def _console_pages(found: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        (row["database"], page["page"], str(page["queries"]), f"{page['page_ms']:.1f}", f"{page['queries_ms']:.1f}")
        for row in found
        for page in row["pages"]
    ]
    return _table(("Database", "Page", "Queries", "Milliseconds", "Of these, the bare queries"), lines)


def _console_readers(found: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        (
            row["database"],
            f"{readers:,}",
            *(f"{figures[name]:.0f}" for name in ("p50_ms", "p95_ms", "a_second")),
            str(row["load"]["errors"]),
        )
        for row in found
        for readers, figures in ((1, row["load"]["one"]), (row["load"]["readers"], row["load"]["at_once"]))
    ]
    heading = ("Database", "Readers at once", "Half within, ms", "95 in 100 within, ms", "Pages a second", "Errors")
    return _table(heading, lines)
