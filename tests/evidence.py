"""Keeps the figures of long runs in docs/evidence.json: what was run, at which commit, on how much, with what result.

Used by tests marked `long` and by `make mutate-guards`, when what they assert is true. One entry a name; a later run takes the place of an
earlier one.
"""

import json
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["EVIDENCE", "commit", "record"]

ROOT = Path(__file__).resolve().parents[1]
EVIDENCE = ROOT / "docs/evidence.json"


def record(
    name: str,
    figures: Mapping[str, object],
    *,
    test: str = "",
    command: Sequence[str] = (),
    n: int,
    seed: int | None = None,
    path: Path = EVIDENCE,
) -> None:
    """Write down what a long run found.

    Args:
        name: Which claim the figures are evidence for.
        figures: What was found.
        test: The test, as pytest names it, which goes into the command that repeats it.
        command: That command, where it is not a test.
        n: How many cells, residuals or cases the figures rest on.
        seed: Of the synthetic cases; noise and masks have none.
        path: The file.
    """
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"version": 1, "runs": {}}
    kept["runs"][name] = {
        "command": shlex.join(command or [".venv/bin/python", "-m", "pytest", "-m", "long", test]),
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "seed": seed,
        "n": n,
        "figures": dict(figures),
    }
    kept["runs"] = dict(sorted(kept["runs"].items()))
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def commit(besides: Path = EVIDENCE) -> str:
    """The commit checked out, with a mark when tracked files other than the kept figures (`besides`) differ from it."""
    found = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{besides.relative_to(ROOT)}")
    return f"{found or 'unknown'}{'-dirty' if changed else ''}"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
