"""The part of docs/faults.md that says what the full size came to, from docs/evidence.json."""

from collections.abc import Mapping
from typing import Any

from tests.docs.audit_page import runs

RUN = "histories_of_faults"
FULL_SIZE = 100_000


def parts() -> dict[str, str]:
    """The generated part of the page."""
    return {"histories": full_size(runs().get(RUN))}


def full_size(run: Mapping[str, Any] | None) -> str:
    """What is kept of the full size; `None` where nothing is."""
    if run is None:
        return (
            f"**The full size is not recorded yet.** No run of {FULL_SIZE:,} histories has come to its end with its result "
            "in `docs/evidence.json`. Until then, what is known is that of each run of `make test`.\n"
        )
    commit, _, changed = run["commit"].partition("-")
    return (
        f"{run['n']:,} histories, violations: {run['figures']['violations']:,}. First seed {run['seed']}, at commit "
        f"`{commit[:12]}`{' with changes not committed' if changed else ''}, recorded on {run['date']}.\n"
    )
