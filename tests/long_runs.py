"""Writes each file whose `long` cases all passed in one run into docs/evidence.json, beside the figures that tests hand to `record`.

In a run with `-m long` alone. A file has its entry once its last case is done, so that a run broken off keeps what it did. None is
written where a case failed or was skipped, where only some of a file's cases were asked for, or where the files that ran are not those of
one commit. With several workers only the process that starts them counts, each case once.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests import evidence

__all__ = ["LongRuns", "keep_long_runs"]


def keep_long_runs(config: pytest.Config, seed: int) -> None:
    """Have a run of the long cases written down; any other run is left alone."""
    if config.option.markexpr == "long" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(LongRuns(config, seed))


class LongRuns:
    """Counts the cases of each file.

    Args:
        config: Of the run.
        seed: Of the run, as it was printed.
        commit: Gives the commit checked out.
        path: Where a file is written down.
    """

    def __init__(
        self,
        config: pytest.Config,
        seed: int,
        *,
        commit: Callable[[], str] = evidence.commit,
        path: Path = evidence.EVIDENCE,
    ) -> None:
        self._seed, self._commit, self._path = seed, commit, path
        self._began = commit()
        self._narrowed = _narrowed(config)
        self._in_part = {_file(config, each) for each in config.args if "::" in each}
        self._asked: dict[str, set[str]] = {}
        self._passed: dict[str, set[str]] = defaultdict(set)
        self._left_out: dict[str, str] = {}
        self._kept = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers: what is going to run."""
        self._ask(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        """With workers: the same of each of them; they have all collected the same."""
        self._ask(ids)

    def _ask(self, ids: Iterable[str]) -> None:
        asked: dict[str, set[str]] = defaultdict(set)
        for each in ids:
            asked[each.partition("::")[0]].add(each)
        self._asked = asked

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a case, and write its file down when it was the last."""
        file = report.nodeid.partition("::")[0]
        if not report.passed:
            self._left_out[file] = f"{report.nodeid} {report.outcome}"
        elif report.when == "call":
            self._passed[file].add(report.nodeid)
        if report.when == "teardown" and self._passed[file] == self._asked[file] and file not in self._left_out:
            self._keep(file)

    def _keep(self, file: str) -> None:
        if self._narrowed or file in self._in_part:
            self._left_out[file] = "only some of its cases were asked for"
        elif (at := self._commit()) != self._began or at.endswith(evidence.DIRTY):
            self._left_out[file] = "the files that ran are not those of one commit"
        else:
            evidence.record_file(file, cases=len(self._asked[file]), seed=self._seed, at=at, path=self._path)
            self._kept += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was written down, and why a file was not."""
        terminalreporter.section(f"{self._kept} files kept in {self._path.name}")
        for file, why in sorted(self._left_out.items()):
            terminalreporter.line(f"not kept: {file}: {why}")


def _narrowed(config: pytest.Config) -> bool:
    """Whether an option leaves out cases of any file."""
    names = ("keyword", "deselect", "lf", "stepwise", "stepwise_skip")
    return any(config.getoption(name, default=None) for name in names)


def _file(config: pytest.Config, argument: str) -> str:
    """The file of a case named on the command line, as pytest names it."""
    path = (config.invocation_params.dir / argument.partition("::")[0]).resolve()
    return os.path.relpath(path, config.rootpath)
