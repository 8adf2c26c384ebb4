"""`python -m benchmarks.accuracy --repetitions 200`: every statistic on every source, and docs/accuracy.md."""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.accuracy.measure import Accuracy, measure
from benchmarks.accuracy.page import page
from benchmarks.accuracy.sources import source
from benchmarks.accuracy.tables import questions
from benchmarks.targets import commit

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("published", "fair", "randhie")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and with --record write docs/accuracy.json and docs/accuracy.md."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--repetitions", type=int, default=100)
    reader.add_argument("--councils", type=int, default=100)
    reader.add_argument("--epsilon", type=Fraction, default=Fraction(1))
    reader.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    reader.add_argument("--statistics", nargs="+", help="Only these tables; with --record the others keep their rows.")
    reader.add_argument("--record", action="store_true", help="Write docs/accuracy.json and docs/accuracy.md.")
    chosen = reader.parse_args(arguments)
    rows = []
    for name in chosen.sources:
        held = source(name)
        for table, question in questions(held, chosen.epsilon):
            if chosen.statistics and table not in chosen.statistics:
                continue
            found = measure(held, question, councils=chosen.councils, repetitions=chosen.repetitions)
            rows.append(as_row(table, question.tables[0].statistic, name, held.households, found))
            print(json.dumps(rows[-1]), flush=True)
    if chosen.record:
        command = f"python -m benchmarks.accuracy --repetitions {chosen.repetitions} --councils {chosen.councils}"
        asked = {
            "command": f"{command} --epsilon {chosen.epsilon}",
            "councils": chosen.councils,
            "epsilon": str(chosen.epsilon),
            "repetitions": chosen.repetitions,
        }
        kept = json.loads((ROOT / "docs/accuracy.json").read_text(encoding="utf-8"))
        document = {**asked, "rows": merged(rows, kept, asked)}
        (ROOT / "docs/accuracy.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        (ROOT / "docs/accuracy.md").write_text(page(document), encoding="utf-8")


def merged(
    rows: Sequence[Mapping[str, object]], kept: Mapping[str, Any], asked: Mapping[str, object]
) -> list[Mapping[str, object]]:
    """The rows measured now in the place of earlier ones, and new ones last.

    Where something else was asked then, the earlier rows go.
    """
    earlier = kept["rows"] if all(kept[name] == value for name, value in asked.items()) else []
    found = {(row["table"], row["source"]): row for row in (*earlier, *rows)}
    order = list(SOURCES)
    return sorted(found.values(), key=lambda row: order.index(str(row["source"])))


def as_row(table: str, code: str, name: str, households: int, found: Accuracy) -> dict[str, object]:
    """A row of the table as it is kept."""
    return {
        "table": table,
        "commit": commit(),
        "statistic": code,
        "source": name,
        "households": households,
        "mechanism": found.mechanism,
        "figures": found.figures,
        "said": round(found.said, 3),
        "relative_error": _rounded(found.relative, 5),
        "beside_central": _rounded(found.ratio("ours", "central"), 3),
        "each_council_beside_ours": _rounded(found.ratio("each council", "ours"), 2),
        "covered": round(found.covered, 4),
        "declared": round(found.declared, 4),
    }


def _rounded(value: float, digits: int) -> float | None:
    """JSON knows no value that is not a number."""
    return None if math.isnan(value) else round(value, digits)


if __name__ == "__main__":
    main()
