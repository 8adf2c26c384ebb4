"""Tries mutations: in a copy of the project, never in the project itself."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar
from xml.etree import ElementTree as ET

from tests.adversary.fates import STOPPED, SUCCEEDED
from tests.mutations.listed import ROOT, Mutation

LONGEST_S: Final = 900
SAID: Final = 200
"""Letters of what a failure says that are told."""
LIES: Final = "tests/adversary/test_lies.py::test_the_lie_gains_nothing["
"""Tests of which what they say is counted."""
PART: Final = 40
"""Tests that are run together with every guard in place."""
SHARED: Final = (".venv", "node_modules", "federated/pages/static")
"""Made by `make setup` and `make setup-web`; read by tests, written by none."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one mutation led to.

    Attributes:
        mutation: Which.
        green: Tests that did not notice.
        said: What each test that noticed said, shortened.
        problem: Why it could not be tried; empty when it could.
        seconds: How long it took.
    """

    mutation: Mutation
    green: tuple[str, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    seconds: float

    @property
    def red(self) -> bool:
        """Whether every test noticed."""
        return not self.green and not self.problem

    @property
    def told(self) -> str:
        """One line."""
        if self.problem:
            return f"NOT TRIED {self.mutation.label}: {self.problem}"
        if self.green:
            return f"NOT NOTICED {self.mutation.label}: {', '.join(self.green)}"
        return f"{self.mutation.label}: {next(iter(self.said.values()), '')}"


def fates(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """What became of the lies that were told without their guard: by the first words of their tests' failures."""
    said = [words for outcome in outcomes for test, words in outcome.said.items() if test.startswith(LIES)]
    succeeded, stopped = (sum(known in words for words in said) for known in (SUCCEEDED, STOPPED))
    return {
        "lies that succeeded without their guard": succeeded,
        "lies that another guard refused": stopped,
        "lies that came to nothing in another way": len(said) - succeeded - stopped,
    }


def try_all(
    mutations: Sequence[Mutation], *, jobs: int, tell: Callable[[str], None] = lambda _line: None
) -> Iterator[Outcome]:
    """Try mutations, several at once, each in a copy of its own; outcomes in the order they come.

    First every test of theirs is run with all guards in place: one that is red then would be red for another reason.
    """
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()

    def in_a_copy(act: Callable[[Path], Found]) -> Found:
        copy = copies.get()
        try:
            return act(copy)
        finally:
            copies.put(copy)

    tests = sorted({test for mutation in mutations for test in mutation.tests})
    parts = [tests[start : start + PART] for start in range(0, len(tests), PART)]
    with TemporaryDirectory(prefix="guards-") as folder, ThreadPoolExecutor(jobs) as pool:
        for number in range(jobs):
            copies.put(copy_project(Path(folder) / f"copy{number}"))
        checked = [pool.submit(in_a_copy, partial(red_already, part)) for part in parts]
        red: dict[str, str] = {}
        for done, found in enumerate(checked, start=1):
            red |= found.result()
            tell(f"with every guard in place: {min(done * PART, len(tests))} of {len(tests)} tests, {len(red)} red")
        waiting = []
        for mutation in mutations:
            why = "; ".join(red[test] for test in mutation.tests if test in red)
            if why:
                yield Outcome(mutation=mutation, problem=why, seconds=0)
            else:
                waiting.append(pool.submit(in_a_copy, partial(try_one, mutation)))
        for done in as_completed(waiting):
            yield done.result()


def red_already(tests: Sequence[str], copy: Path) -> dict[str, str]:
    """Of these tests, those that fail with every guard in place, and what to say of them."""
    red, problem = _run(tests, copy, longest_s=LONGEST_S * len(tests))
    if problem:
        return dict.fromkeys(tests, problem)
    return {test: f"{test} fails with the guard in place ({why})" for test, why in red.items()}


def copy_project(target: Path) -> Path:
    """Copy the files that git knows, as they stand; what was installed is linked."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, names)):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for name in SHARED:
        if (ROOT / name).exists():
            (target / name).symlink_to(ROOT / name)
    return target


def try_one(mutation: Mutation, copy: Path) -> Outcome:
    """Take a guard out of the copy, run its tests there, and put it back."""
    before = {change.file: (copy / change.file).read_text(encoding="utf-8") for change in mutation.changes}
    began = time.monotonic()
    try:
        for change in mutation.changes:
            path = copy / change.file
            path.write_text(change.apply(path.read_text(encoding="utf-8")), encoding="utf-8")
        red, problem = _run(mutation.tests, copy)
        green = () if problem else tuple(test for test in mutation.tests if test not in red)
    except ValueError as error:
        red, green, problem = {}, (), str(error)
    finally:
        for name, text in before.items():
            (copy / name).write_text(text, encoding="utf-8")
    return Outcome(mutation=mutation, green=green, said=red, problem=problem, seconds=time.monotonic() - began)


def _run(tests: Sequence[str], copy: Path, *, longest_s: float = LONGEST_S) -> tuple[dict[str, str], str]:
    """Run tests.

    Returns:
        Those of which a case failed, with what it said; and why they could not be run.
    """
    report = copy.parent / f"{copy.name}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    # Byte code of the guard that was there would be taken for that of a file as old and as long.
    surroundings = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    # A group of its own: what a test started, and could not end without its guard, ends with it.
    with subprocess.Popen(
        [*command, *tests],
        cwd=copy,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            told, _ = running.communicate(timeout=longest_s)
        except subprocess.TimeoutExpired:
            return {}, f"its tests had not ended after {longest_s} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    if running.returncode not in {0, 1}:  # 2: nothing was collected, so a red test would be red for the wrong reason
        return {}, " / ".join(told.strip().splitlines()[-3:])
    failed = {
        name: said for case in ET.parse(report).iter("testcase") if (said := _said(case)) for name in _names(case)
    }
    return {test: failed[_named(test)] for test in tests if _named(test) in failed}, ""


def _said(case: ET.Element) -> str:
    """What a case that failed said, on one line; nothing of one that did not."""
    for child in case:
        if child.tag in {"failure", "error"}:
            return " ".join((child.get("message") or child.tag).split())[:SAID]
    return ""


def _names(case: ET.Element) -> Iterator[tuple[str, str]]:
    """The case and its function: an entry may name either."""
    for name in (case.get("name", ""), case.get("name", "").partition("[")[0]):
        yield case.get("classname", ""), name


def _named(test: str) -> tuple[str, str]:
    path, _, function = test.partition("::")
    return path.removesuffix(".py").replace("/", "."), function
