"""That a file whose long cases all passed is written down, once, and that no other is."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import pytest_configure
from tests.evidence import DIRTY, record

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = """
import sys
from pathlib import Path
from tests.long_runs import LongRuns

HERE = Path(__file__).parent

def pytest_configure(config):
    commit = (HERE / "commit").read_text
    if config.option.markexpr == "long" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(LongRuns(config, 5, commit=commit, path=HERE / "kept.json"))
"""
FILES = {
    "test_good.py": "@long\n@pytest.mark.parametrize('n', range(3))\ndef test_many(n): pass\n@long\ndef test_one(): pass\ndef test_short(): assert 0\n",
    "test_bad.py": "@long\n@pytest.mark.parametrize('n', range(3))\ndef test_many(n): assert n\n",
    "test_skipped.py": "@long\ndef test_one(): pass\n@long\ndef test_two(): pytest.skip('not here')\n",
    "test_closing.py": "@pytest.fixture\ndef it():\n yield\n assert 0\n@long\ndef test_one(it): pass\n",
    "test_short.py": "def test_one(): pass\n",
    "test_other.py": "@long\ndef test_one():\n    pass\n",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\naddopts = --import-mode=importlib\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "commit").write_text("a" * 40)
    for name, text in FILES.items():
        (tmp_path / name).write_text(f"import pytest\nlong = pytest.mark.long\n{text}")
    return tmp_path


def kept_by(folder, *options, marks="long"):
    """The files that a run writes down, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", marks, *options], cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    path = folder / "kept.json"
    return (json.loads(path.read_text())["long"] if path.exists() else {}), done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_files_whose_cases_all_passed_are_written_down_and_no_others(folder, workers):
    kept, said = kept_by(folder, "-p", "xdist.plugin", "-n", workers)
    assert {name: entry["cases"] for name, entry in kept.items()} == {"test_good.py": 4, "test_other.py": 1}
    good = kept["test_good.py"]
    assert (good["commit"], good["seed"]) == ("a" * 40, 5)
    assert good["command"] == ".venv/bin/python -m pytest -m long test_good.py"
    assert "2 files kept in kept.json" in said
    for left in (
        "test_bad.py::test_many[0] failed",
        "test_skipped.py::test_two skipped",
        "test_closing.py::test_one failed",
    ):
        assert f"not kept: {left.partition('::')[0]}: {left}" in said


@pytest.mark.parametrize(
    "options",
    [("test_good.py::test_one",), ("test_good.py::test_many[1]",), ("test_good.py", "-k", "one"), ("test_good.py", "--deselect", "test_good.py::test_one")],
)  # fmt: skip
def test_a_file_run_in_part_is_not_written_down(folder, options):
    kept, said = kept_by(folder, *options)
    assert kept == {}
    assert "not kept: test_good.py: only some of its cases were asked for" in said


def test_beside_a_file_run_in_part_another_is_written_down(folder):
    assert set(kept_by(folder, "test_good.py::test_one", "test_other.py")[0]) == {"test_other.py"}


def test_only_what_failed_last_is_a_part(folder):
    assert "test_bad.py::test_many[0] failed" in kept_by(folder, "test_bad.py")[1]
    (folder / "test_bad.py").write_text((folder / "test_bad.py").read_text().replace("assert n", "pass"))
    assert kept_by(folder, "test_bad.py", "--lf")[0] == {}
    assert set(kept_by(folder, "test_bad.py")[0]) == {"test_bad.py"}


def test_a_run_that_is_not_of_the_long_cases_writes_nothing(folder):
    assert kept_by(folder, marks="not long")[0] == {}


@pytest.mark.parametrize("change", ["commit.write_text('a' * 40 + '-dirty')", "commit.write_text('b' * 40)"])
def test_files_changed_while_they_ran_are_not_written_down(folder, change):
    with (folder / "test_other.py").open("a") as file:
        file.write(f"    from pathlib import Path\n    commit = Path(__file__).parent / 'commit'\n    {change}\n")
    kept, said = kept_by(folder, "test_other.py")
    assert kept == {}
    assert "not kept: test_other.py: the files that ran are not those of one commit" in said


def test_files_changed_before_are_not_written_down(folder):
    (folder / "commit").write_text("a" * 40 + DIRTY)
    assert kept_by(folder, "test_other.py")[0] == {}


@pytest.mark.parametrize(
    ("marks", "more", "kept"), [("long", {}, 1), ("not long", {}, 0), ("long", {"workerinput": {}}, 0)]
)
def test_the_long_runs_of_this_project_are_written_down(marks, more, kept):
    registered = []
    pytest_configure(
        SimpleNamespace(
            option=SimpleNamespace(markexpr=marks),
            pluginmanager=SimpleNamespace(register=registered.append),
            getoption=lambda _name, default: default,
            args=[],
            **more,
        )
    )
    assert [type(one).__name__ for one in registered] == kept * ["LongRuns"]


def test_figures_and_files_stand_beside_each_other_whoever_writes_first(folder):
    record("ours", {"found": 1}, test="test_x.py", n=1, path=folder / "kept.json")
    kept_by(folder, "test_other.py")
    found = json.loads((folder / "kept.json").read_text())
    assert list(found) == ["version", "runs", "long"]
    assert (list(found["runs"]), list(found["long"])) == (["ours"], ["test_other.py"])


def test_none_of_many_entries_written_at_once_is_lost(tmp_path):
    def write(number):
        record(f"{number:02}", {}, test="test_x.py", n=number, path=tmp_path / "kept.json")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    assert list(json.loads((tmp_path / "kept.json").read_text())["runs"]) == [f"{number:02}" for number in range(24)]
