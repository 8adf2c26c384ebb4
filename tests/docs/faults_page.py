"""The part of docs/faults.md that says what the full size came to: from docs/evidence.json, or so far."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.docs.audit_page import runs
from tests.simulation.faults.many import KEPT

RUN = "histories_of_faults"
FULL_SIZE = 100_000


def parts() -> dict[str, str]:
    """The generated part of the page."""
    lines = KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else []
    return {"histories": full_size(runs().get(RUN), [json.loads(line) for line in lines])}


def full_size(run: Mapping[str, Any] | None, kept: Sequence[Mapping[str, Any]]) -> str:
    """What is recorded of the full size, or kept of one that has not come to its end."""
    if run is not None:
        at = _commits(run["figures"]["histories at each commit"])
        violations = run["figures"]["violations"]
        return (
            f"{run['n']:,} histories, violations: {violations:,}. First seed {run['seed']}, {at}, "
            f"recorded on {run['date']}.\n"
        )
    not_yet = f"**The full size of {FULL_SIZE:,} histories is not recorded yet.** "
    if len(kept) < 2:
        return f"{not_yet}Until then, what is known is that of each run of `make test`.\n"
    head, *parts = kept
    by_commit: dict[str, int] = {}
    for part in parts:
        by_commit[part["commit"]] = by_commit.get(part["commit"], 0) + part["found"]["histories"]
    violations = sum(len(part["found"]["violations"]) for part in parts)
    return (
        f"{not_yet}So far: {sum(by_commit.values()):,} histories, violations: {violations:,}. "
        f"First seed {head['first']}, {_commits(by_commit)} (`docs/{KEPT.name}`).\n"
    )


def _commits(histories: Mapping[str, int]) -> str:
    each = [f"`{at[:12]}` ({number:,})" for at, number in histories.items()]
    return f"at {'commit' if len(each) == 1 else 'commits'} {', '.join(each)}"
