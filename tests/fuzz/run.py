"""Runs targets under the fuzzer, each in a process of its own, and looks again at what it found without the fuzzer."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.table import CORPUS, FOUND, MERGED, Target, files_of

__all__ = ["LOCAL", "Broken", "Ran", "again", "merge", "run"]

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".fuzz"
"""Inputs with new paths, by target; not part of the repository. What `merge` takes of them is."""
HANG_S = 60
"""An input that takes longer is ended. Under the fuzzer all is slower, so the limit that counts is looked at again."""
START_S = 60
"""What a process may take before its first input and after its last."""
RSS_MIB = 1536
_DONE = re.compile(r"stat::number_of_executed_units: (\d+)")
_PULSE = re.compile(r"^#(\d+)\t", re.MULTILINE)
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_-]{2,30}")
MOST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An input that breaks a target.

    Attributes:
        target: Of the target.
        file: Where the input is.
        said: What went wrong.
    """

    target: str
    file: Path
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one run of a target came to.

    Attributes:
        executions: Inputs that were tried.
        broken: What breaks it, each kind of fault once.
    """

    target: str
    executions: int
    broken: tuple[Broken, ...]


def run(target: Target, *, seconds: int, seed: int, keep: Path = LOCAL, most: int = -1) -> Ran:
    """Fuzz one target.

    Args:
        target: Which.
        seconds: How long.
        seed: Of the fuzzer's choices.
        keep: Folder for inputs with new paths and for what breaks the target.
        most: Inputs after which it ends, however long it takes; -1 for no such number.

    Raises:
        RuntimeError: The fuzzer did not start.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-run-", dir=_place()) as passing:
        folder = keep / target.name
        faults, corpus, scratch = folder / "faults", folder / "corpus", Path(passing) / "tmp"
        for made in (faults, corpus, scratch):
            made.mkdir(parents=True, exist_ok=True)
        for old in faults.iterdir():
            old.unlink()
        options = [
            f"-max_total_time={seconds}", f"-runs={most}", f"-seed={seed or 1}", f"-timeout={HANG_S}", f"-rss_limit_mb={RSS_MIB}",
            f"-artifact_prefix={faults}/", "-print_final_stats=1", "-max_len=24576",
            f"-dict={_words(target, Path(passing) / 'words')}", str(corpus),
            *(str(root / target.name) for root in (CORPUS, FOUND) if (root / target.name).is_dir()),
        ]  # fmt: skip
        command = [sys.executable, "-m", "tests.fuzz.child", target.name, str(faults), *options]
        said, executions = "", 0
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=_environment(scratch), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors="replace", timeout=seconds + START_S + HANG_S, check=False,
            )  # fmt: skip
            said = done.stderr
        except subprocess.TimeoutExpired as error:
            said = error.stderr.decode("utf-8", "replace") if error.stderr else ""
            (faults / "hung.json").write_text(json.dumps({"said": "it did not end"}), encoding="utf-8")
        executions = int(next(iter(_DONE.findall(said)), 0) or next(iter(_PULSE.findall(said)[::-1]), 0))
        if not executions:
            raise RuntimeError(f"the fuzzer did not run '{target.name}':\n{said[-3000:]}")
        broken = tuple(_confirmed(target, faults))
        return Ran(target=target.name, executions=executions, broken=broken)


def merge(target: Target, *, room: int, keep: Path = LOCAL, corpus: Path = CORPUS) -> tuple[Path, ...]:
    """Put what runs of a target found among its kept inputs: those that take a path which no kept input takes.

    Args:
        target: Which.
        room: Bytes that may be added; the shortest inputs go first.
        keep: Folder that the runs were given.
        corpus: Folder of the kept inputs, by target.

    Returns:
        What was added. Nothing that breaks the target is.

    Raises:
        RuntimeError: The fuzzer did not merge.
    """
    found = keep / target.name / "corpus"
    if not found.is_dir() or not any(found.iterdir()):
        return ()
    with tempfile.TemporaryDirectory(prefix="fuzz-merge-", dir=_place()) as passing:
        known, faults, scratch = (Path(passing) / name for name in ("known", "faults", "tmp"))
        for made in (known, faults, scratch):
            made.mkdir()
        for number, path in enumerate(path for root in (corpus, FOUND) for path in (root / target.name).glob("*")):
            shutil.copyfile(path, known / f"known-{number}")
        options = [
            "-merge=1", "-use_counters=0", f"-timeout={HANG_S}", f"-rss_limit_mb={RSS_MIB}", f"-artifact_prefix={faults}/", str(known), str(found),
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.child", target.name, str(faults), *options], cwd=ROOT,
            env=_environment(scratch), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False,
        )  # fmt: skip
        if "MERGE-OUTER: successful" not in done.stderr:
            raise RuntimeError(f"what was found for '{target.name}' was not merged:\n{done.stderr[-3000:]}")
        new = [path for path in known.iterdir() if not path.name.startswith("known-")]
        return tuple(_added(target, sorted(new, key=lambda path: (path.stat().st_size, path.name)), room, corpus))


def _added(target: Target, new: Iterable[Path], room: int, corpus: Path) -> Iterator[Path]:
    for path in new:
        room -= path.stat().st_size
        if room < 0:
            return
        if not again(target.name, [path]):
            kept = corpus / target.name / f"{MERGED}{path.name[:16]}"
            kept.parent.mkdir(parents=True, exist_ok=True)
            yield Path(shutil.copyfile(path, kept))


def _place() -> str | None:
    """In memory where there is such a place: many targets write each input to a file."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _environment(scratch: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))), "TMPDIR": str(scratch)}  # fmt: skip


def _words(target: Target, path: Path) -> Path:
    """The words of the kept inputs, for the fuzzer to put elsewhere."""
    found = dict.fromkeys(word for file in files_of(target.name) for word in _WORD.findall(file.read_bytes()))
    path.write_bytes(b"".join(b'"%s"\n' % word for word in list(found)[:MOST_WORDS]) or b'"a"\n')
    return path


def _confirmed(target: Target, faults: Path) -> Iterator[Broken]:
    """What breaks the target outside the fuzzer too."""
    for path in sorted(faults.iterdir()):
        if path.suffix != ".json" and (said := again(target.name, [path])):
            yield Broken(target=target.name, file=path, said=said)


def again(name: str, paths: Iterable[Path]) -> str:
    """Feed inputs to a target in a fresh process; what went wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix="fuzz-again-", dir=_place()) as scratch:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.fuzz.again", name, *map(str, paths)], cwd=ROOT,
                env=_environment(Path(scratch)), capture_output=True, text=True, errors="replace", timeout=HANG_S,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"it did not end within {HANG_S} seconds"
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-4000:] or f"it ended with {done.returncode}"
