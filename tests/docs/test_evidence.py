"""That docs/evidence.json holds what the tests write there, all of it, and each at a commit that anybody can check out."""

import ast
import json
import re

import pytest

from federated.privacy import Mechanism
from tests.architecture.source_tree import ROOT, parsed
from tests.evidence import DIRTY, EVIDENCE

OF_RECORD = ROOT / "tests/architecture/test_long_runs.py"
"""Writes entries into files of its own."""
KEPT = json.loads(EVIDENCE.read_text(encoding="utf-8"))
FORMED = {
    "audit/{}": [(mechanism.value,) for mechanism in Mechanism],
    "coverage/{}": [("planner",), *((mechanism.value,) for mechanism in Mechanism)],
    "memory of a node over five million rows of {}": [("CSV",), ("POSTGRESQL",), ("XML",)],
    "noise-scale/{}": [(mechanism.value,) for mechanism in Mechanism],
    "simulate/{} councils, {} lost": [("12", "0"), ("100", "0"), ("100", "10"), ("296", "0")],
}
"""What is put into the names that a test forms."""
STILL_TO_RUN = {
    "every decoder and reader under the fuzzer",
    "real connections/350 councils, 10 lost",
}
"""Tests that have not had their full size since they write it down. Take a name out when its entry is there."""
OF_CHANGED_FILES = {
    "a line of ten gigabytes in a CSV extract",
    "memory of a node over five million rows of CSV",
    "memory of a node over five million rows of POSTGRESQL",
    "simulate/100 councils, 0 lost",
    "simulate/100 councils, 10 lost",
    "simulate/12 councils, 0 lost",
}
"""Entries whose commit had changes beside it, to be run again. Take a name out when it was; none comes in."""


def recorded(tree):
    """Every name that a module hands to `record` of `tests.evidence`, with {} for what it puts in."""
    nodes = list(ast.walk(tree))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    named = {
        f"{alias.asname or alias.name}{after}"
        for module, name, after in (("tests", "evidence", ".record"), ("tests.evidence", "record", ""))
        for node in froms
        for alias in node.names
        if (node.module, alias.name) == (module, name)
    }
    for node in nodes if named else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) in named:
            yield name_of(node.args[0])


def name_of(node):
    match node:
        case ast.Constant(value=str(name)):
            return name
        case ast.JoinedStr(values=parts):
            return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)
    raise AssertionError(f"the name of an entry is written where it is recorded, not {ast.unparse(node)}")


def expected():
    """Every name that the tests write, the formed ones filled in."""
    paths = [path for path in (ROOT / "tests").rglob("*.py") if b"evidence" in path.read_bytes() and path != OF_RECORD]
    names = {name for path in paths for name in recorded(parsed(path))}
    formed = {name for name in names if "{}" in name}
    assert formed == FORMED.keys()
    return (names - formed) | {form.format(*values) for form in formed for values in FORMED[form]}


def faults(kept, names, still_to_run, of_changed_files):
    """What is not as it should be, one line each."""
    runs = kept["runs"]
    entries = runs | kept.get("long", {})
    dirty = {name for name, entry in entries.items() if entry["commit"].endswith(DIRTY)}
    unknown = {name for name in entries.keys() - dirty if not re.fullmatch("[0-9a-f]{40}", entries[name]["commit"])}
    return [
        *(f"not run: {name}" for name in sorted(names - runs.keys() - still_to_run)),
        *(f"no longer to run: {name}" for name in sorted(still_to_run & runs.keys())),
        *(f"of no test: {name}" for name in sorted((runs.keys() | still_to_run) - names)),
        *(f"of changed files: {name}" for name in sorted(dirty - of_changed_files)),
        *(f"no longer of changed files: {name}" for name in sorted(of_changed_files - dirty)),
        *(f"of no commit: {name}" for name in sorted(unknown)),
        *(f"no such file: {name}" for name in sorted(kept.get("long", {})) if not (ROOT / name).is_file()),
    ]


def test_every_long_run_is_kept_and_of_a_commit():
    assert faults(KEPT, expected(), STILL_TO_RUN, OF_CHANGED_FILES) == []


CLEAN, CHANGED = {"commit": "a" * 40}, {"commit": f"{'a' * 40}{DIRTY}"}


@pytest.mark.parametrize(
    ("kept", "names", "still_to_run", "of_changed_files", "found"),
    [
        ({"runs": {"a": CLEAN}}, {"a"}, set(), set(), []),
        ({"runs": {}}, {"a"}, set(), set(), ["not run: a"]),
        ({"runs": {}}, {"a"}, {"a"}, set(), []),
        ({"runs": {"a": CLEAN}}, {"a"}, {"a"}, set(), ["no longer to run: a"]),
        ({"runs": {"a": CLEAN}}, set(), set(), set(), ["of no test: a"]),
        ({"runs": {}}, set(), {"a"}, set(), ["of no test: a"]),
        ({"runs": {"a": CHANGED}}, {"a"}, set(), set(), ["of changed files: a"]),
        ({"runs": {"a": CHANGED}}, {"a"}, set(), {"a"}, []),
        ({"runs": {"a": CLEAN}}, {"a"}, set(), {"a"}, ["no longer of changed files: a"]),
        ({"runs": {"a": {"commit": "unknown"}}}, {"a"}, set(), set(), ["of no commit: a"]),
        ({"runs": {}, "long": {"tests/conftest.py": CHANGED}}, set(), set(), set(), ["of changed files: tests/conftest.py"]),
        ({"runs": {}, "long": {"tests/gone.py": CLEAN}}, set(), set(), set(), ["no such file: tests/gone.py"]),
    ],
)  # fmt: skip
def test_what_is_not_kept_or_of_no_commit_is_found(kept, names, still_to_run, of_changed_files, found):
    assert faults(kept, names, still_to_run, of_changed_files) == found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from tests.evidence import record\ndef test():\n record('a', {}, n=1)", ["a"]),
        ("from tests import evidence\nevidence.record(f'a/{1 + 1} of {n}', {}, n=1)", ["a/{} of {}"]),
        ("from tests.evidence import record as keep\nkeep('a', {}, n=1)\nrecord('b')", ["a"]),
        ("from other import record\nrecord('a')", []),
        ("found.record('a', 1)", []),
    ],
)
def test_names_are_read_where_they_are_recorded(source, names):
    assert list(recorded(ast.parse(source))) == names


def test_a_name_that_cannot_be_read_is_no_way_round():
    with pytest.raises(AssertionError, match="not title"):
        list(recorded(ast.parse("from tests.evidence import record\nrecord(title, {}, n=1)")))
