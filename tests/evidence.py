"""Keeps the figures of long runs in docs/evidence.json: what was run, at which commit, on how much, with what result.

Under "runs" stand the figures that a test marked `long`, or `make mutate-guards`, hands to `record` when what it asserts is true. Under
"long" stands each file whose `long` cases all passed in one run (`tests.long_runs`). One entry a name; a later run takes the place of an
earlier one.
"""

import fcntl
import json
import platform
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["DIRTY", "EVIDENCE", "commit", "record", "record_file"]

ROOT = Path(__file__).resolve().parents[1]
EVIDENCE = ROOT / "docs/evidence.json"
DIRTY = "-dirty"
"""After a commit from which the files that ran differ: nobody can check such a run."""


def record(
    name: str,
    figures: Mapping[str, object],
    *,
    test: str = "",
    command: Sequence[str] = (),
    n: int,
    seed: int | None = None,
    besides: Sequence[Path] = (),
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
        besides: Other files that the run itself keeps figures in.
        path: The file.
    """
    with _kept(path, "runs") as runs:
        runs[name] = {
            **_run(command or _of_pytest(test), commit(*besides), seed),
            "n": n,
            "figures": dict(figures),
        }


def record_file(file: str, *, cases: int, seed: int, at: str, path: Path = EVIDENCE) -> None:
    """Write down that all `long` cases of a file passed, as many as `cases`, at the commit `at`.

    Args:
        file: As pytest names it.
        cases: How many.
        seed: Of the whole run, as it was printed.
        at: What `commit` gives.
        path: Where it is written down.
    """
    with _kept(path, "long") as files:
        files[file] = {**_run(_of_pytest(file), at, seed), "cases": cases}


def _of_pytest(test: str) -> Sequence[str]:
    return [".venv/bin/python", "-m", "pytest", "-m", "long", test]


def _run(command: Sequence[str], at: str, seed: int | None) -> dict[str, object]:
    return {
        "command": shlex.join(command),
        "commit": at,
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "seed": seed,
    }


@contextmanager
def _kept(path: Path, key: str) -> Iterator[dict[str, Any]]:
    """The entries under a key, written back in order; one process at a time, for tests may run in several."""
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        kept = json.loads(file.read() or '{"version": 1, "runs": {}, "long": {}}')
        entries = kept.setdefault(key, {})
        yield entries
        kept[key] = dict(sorted(entries.items()))
        file.seek(0)
        file.truncate()
        file.write(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def commit(*besides: Path) -> str:
    """The commit checked out, with a mark when tracked files other than the kept figures (and `besides`) differ from it."""
    found = _git("rev-parse", "HEAD")
    kept = [f":!{path.relative_to(ROOT)}" for path in (EVIDENCE, *besides) if path.is_relative_to(ROOT)]
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *kept)
    return f"{found or 'unknown'}{DIRTY if changed else ''}"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
