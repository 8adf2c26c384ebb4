"""More than a hundred damaged inputs: each is explained or counted; none crashes, hangs, fills memory or leaks."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.evidence import record
from tests.integration.damaged_inputs import (
    CANARY,
    GOOD_ROWS,
    TEN_GIGABYTES,
    Damaged,
    Fate,
    Kind,
    inputs,
    long_line,
    mapping_text,
)

ROOT = Path(__file__).resolve().parents[2]
INPUTS = inputs()
WAIT_S = 120
"""For one input, on a busy machine; the slowest takes a few seconds on a quiet one."""
PEAK_MIB = 400
"""Memory of the process that reads, with 128 MiB in the settings; DuckDB and the libraries take about 110 of it."""
CHILD_MIB = 1100
"""Memory of the process that unpacks spreadsheets, which has limits of its own."""
PLAIN = re.compile(r"^[^\n]{10,600}$")
CODE = re.compile(r"Traceback|Exception|Error\b|[Ee]rrno|0x[0-9a-f]{6}|\bNone\b|<class")


@dataclass
class Seen:
    """What a process said of one input, and everything it wrote meanwhile."""

    outcome: str = "none"
    said: str = ""
    remedy: str = ""
    good: int = 0
    peak_mib: int = 0
    child_mib: int = 0
    written: str = field(default="", repr=False)


def faults(item: Damaged, seen: Seen) -> list[str]:
    """What is wrong with how an input was met."""
    found = []
    if CANARY in seen.written or CANARY in seen.said or CANARY in seen.remedy:
        found.append("a value leaked")
    if seen.peak_mib > PEAK_MIB or seen.child_mib > CHILD_MIB:
        found.append(f"memory: {seen.peak_mib} MiB, its spreadsheet process {seen.child_mib} MiB")
    if seen.outcome not in {"refused", "read"}:
        return [*found, seen.outcome]
    if item.fate is not Fate.EITHER and seen.outcome != item.fate.value:
        found.append(f"it was {seen.outcome}")
    if seen.outcome == "refused" and not (PLAIN.match(seen.said) and seen.remedy and not CODE.search(seen.said)):
        found.append(f"no plain sentence: {seen.said[:200]!r}")
    if seen.outcome == "read" and item.fate is Fate.READ and not seen.good >= item.good_rows:
        found.append(f"{seen.good} good rows of {item.good_rows} counted")
    return found


def run(folders: Sequence[Path], *, wait_s: float = WAIT_S) -> Iterator[tuple[Path, Seen]]:
    """Have the inputs read, by one process for as long as it lives."""
    left = list(folders)
    while left:
        done = dict(_one_process(left, wait_s))
        yield from done.items()
        left = [folder for folder in left if folder not in done]


def _command(folders: Sequence[Path]) -> list[str]:
    # For the administrator no file is out of reach, so that right is laid down.
    bare = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"] if os.geteuid() == 0 else []
    return [*bare, sys.executable, "-m", "tests.integration.damaged_reader", *map(str, folders)]


def _one_process(folders: Sequence[Path], wait_s: float) -> Iterator[tuple[Path, Seen]]:
    with subprocess.Popen(
        _command(folders), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:  # fmt: skip
        at, written = folders[0], ""
        try:
            for line in _lines(process, wait_s):
                told = _told(line)
                if told is None:
                    written += line
                elif "begins" in told:
                    at, written = Path(told["begins"]), ""
                else:
                    known = {name: told[name] for name in Seen.__dataclass_fields__ if name in told}
                    yield at, Seen(**known, written=written)
                    at = folders[min(folders.index(at) + 1, len(folders) - 1)]
                    written = ""
        except TimeoutError:
            yield at, Seen(outcome="hung", written=written)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        if process.wait() not in {0, -signal.SIGKILL}:
            yield at, Seen(outcome="crashed", written=written)


def _told(line: str) -> dict | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and told.keys() & {"begins", "ends"} else None


def _lines(process: subprocess.Popen, wait_s: float) -> Iterator[str]:
    rest, deadline = b"", time.monotonic() + wait_s
    while True:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        block = os.read(process.stdout.fileno(), 65536)
        if not block:
            yield from [rest.decode("utf-8", "replace")] if rest else []
            return
        *lines, rest = (rest + block).split(b"\n")
        if lines:
            deadline = time.monotonic() + wait_s
        yield from (line.decode("utf-8", "replace") for line in lines)


def made(root: Path, items: Sequence[Damaged]) -> dict[Path, Damaged]:
    found = {}
    for number, item in enumerate(items):
        folder = root / f"{number:03d}"
        folder.mkdir()
        (folder / "kind").write_text(item.kind.value, encoding="ascii")
        if item.kind is Kind.EXTRACT:
            (folder / "mapping.yaml").write_text(mapping_text(item.file), encoding="utf-8")
        item.build(folder)
        found[folder] = item
    return found


@pytest.fixture(scope="module")
def met(tmp_path_factory):
    """Every input with what became of it."""
    root = tmp_path_factory.mktemp("damaged")
    folders = made(root, INPUTS)
    found = {folders[folder].name: seen for folder, seen in run(list(folders))}
    yield found
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.long
def test_a_line_of_ten_gigabytes(tmp_path):
    item = long_line(TEN_GIGABYTES)
    [(_, seen)] = run(list(made(tmp_path, [item])))
    (tmp_path / "000" / "extract.csv").unlink()
    assert not faults(item, seen)
    record(
        "a line of ten gigabytes in a CSV extract",
        {"bytes": TEN_GIGABYTES, "good_rows": seen.good, "peak_mib": seen.peak_mib},
        test="tests/integration/test_damaged_inputs.py::test_a_line_of_ten_gigabytes",
        n=TEN_GIGABYTES,
    )


def test_there_are_more_than_a_hundred():
    assert len(INPUTS) > 100
    assert {item.kind for item in INPUTS} == set(Kind)


@pytest.mark.parametrize("item", INPUTS, ids=lambda item: item.name)
def test_each_is_explained_or_counted(met, item):
    assert not faults(item, met[item.name])


GOOD_ITEM = Damaged("control", Kind.EXTRACT, Fate.READ, lambda _: None, good_rows=GOOD_ROWS)


@pytest.mark.parametrize(
    ("kind", "noticed"),
    [("leak", "a value leaked"), ("crash", "crashed"), ("hang", "hung"), ("grow", "memory"), ("print", "leaked")],
)
def test_the_harness_notices(tmp_path, kind, noticed):
    (tmp_path / "kind").write_text(kind, encoding="ascii")
    [(_, seen)] = run([tmp_path], wait_s=4 if kind == "hang" else WAIT_S)
    assert any(noticed in fault for fault in faults(GOOD_ITEM, seen)), seen


@pytest.mark.parametrize(
    ("seen", "noticed"),
    [
        (Seen(outcome="read", good=2), "2 good rows of 3"),
        (Seen(outcome="fell out", said="It could not be loaded."), "fell out"),
        (Seen(outcome="refused", said="Something is wrong here.", remedy="Mend it."), "it was refused"),
        (Seen(outcome="refused", said="Traceback (most recent call last)", remedy="x"), "no plain sentence"),
        (Seen(outcome="refused", said="It cannot be read.", remedy=""), "no plain sentence"),
    ],
)
def test_what_is_noticed(seen, noticed):
    assert any(noticed in fault for fault in faults(GOOD_ITEM, seen))
    assert not faults(GOOD_ITEM, Seen(outcome="read", good=3, peak_mib=200))


def test_the_rest_is_read_after_one_that_ends_the_process(tmp_path):
    good = Damaged("good", Kind.POLICY, Fate.REFUSED, lambda folder: (folder / "policy.yaml").write_text("- one"))
    folders = made(tmp_path, [good, good, good])
    first, second, third = folders
    (second / "kind").write_text("crash", encoding="ascii")
    found = dict(run([first, second, third]))
    assert [found[folder].outcome for folder in (first, second, third)] == ["refused", "crashed", "refused"]
