"""Whatever fails, no log line, error, dump or crash of a node holds a value of a case: for every kind of extract.

Metrics: a node has none; what it counts stands in its log.
"""

import json
import logging
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from council_node.crash_safety import tell_without_values
from council_node.event_log import EVENTS, UNLISTED, open_log
from council_node.mapping import SourceKind
from tests.canary.failing_councils import FAILURES, FORMS
from tests.canary.federation import CANARY
from tests.canary.harness import Sweep

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT_S = 120
EXTRACTS = frozenset(f"extract.{suffix}" for suffix in FORMS)
PLACES = {"log of the nodes", "nodes' folders", "coordinator's folder"}
CRASHED = -11


def rounds_with(failure, folder, sweep, *options):
    """Run the councils in a process of their own, sweep up all it leaves, and give its exit status and log."""
    (folder / "federation").mkdir()
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.canary.failing_councils"]
    done = subprocess.run(
        [*command, str(folder), failure, *options],
        capture_output=True,
        check=False,
        cwd=ROOT,
        timeout=TIME_LIMIT_S,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT)},
    )
    sweep.add("log of the nodes", failure, done.stdout)
    sweep.add("errors", failure, done.stderr)
    federation = folder / "federation"
    for place in ("councils", "kept"):
        if (federation / place).is_dir():
            sweep.files("nodes' folders", federation / place, leave_out=EXTRACTS)
    sweep.files("coordinator's folder", federation / "coordinator")
    sweep.files("left behind", folder / "work")
    lines = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    return done.returncode, [line for line in lines if line.get("log") == 1], done.stdout.decode()


EXPECTED = {
    "nothing_fails": {"masked_input_sent", "answer_received"},
    "loading_fails_as_nobody_foresaw": {"answer_failed"},
    "counting_fails_as_nobody_foresaw": {"answer_failed"},
    "memory_runs_out": {"stage_failed", "round_failed"},
    "disk_is_full": {"masked_input_sent", "request_refused"},
    "extracts_become_unreadable": {"stage_failed", "round_failed"},
    "strays": {"uncaught", "masked_input_sent", "answer_received"},
    "process_crashes": {"round_joined"},
}
"""What the log says of each failure, which shows that it happened."""


def test_every_failure_is_expected_to_show():
    assert EXPECTED.keys() == FAILURES.keys()


def test_every_kind_of_extract_is_planted():
    assert {kind for kind, _ in FORMS.values()} == set(SourceKind)


@pytest.mark.in_turn
@pytest.mark.drawn(3)
@pytest.mark.parametrize("failure", FAILURES)
def test_no_case_value_in_any_log_error_dump_or_folder(failure, tmp_path):
    sweep = Sweep()
    status, log, said = rounds_with(failure, tmp_path, sweep)
    assert status == (CRASHED if failure == "process_crashes" else 0), sweep.channels["errors"]
    assert EXPECTED[failure] <= {line["event"] for line in log}
    if status == 0:
        answered = f"answered: {len(FORMS)} contributed"
        assert (answered if "masked_input_sent" in EXPECTED[failure] else "no answer: ") in said
    assert UNLISTED not in {line["event"] for line in log}
    sweep.assert_clean(CANARY, expected=PLACES)
    if failure == "nothing_fails":
        check_planted(tmp_path / "federation")
    if failure == "strays":
        check_told(log)


def check_planted(folder):
    """The canary is in every kind of extract that was read; otherwise not finding it would say nothing."""
    sweep = Sweep()
    for path in folder.rglob("extract.*"):
        packed = zipfile.is_zipfile(path)
        content = b"".join(map(zipfile.ZipFile(path).read, zipfile.ZipFile(path).namelist())) if packed else None
        sweep.add(path.name, "whole", path.read_bytes() if content is None else content)
    assert sweep.found_in(CANARY) == sweep.channels.keys() == EXTRACTS


def check_told(log):
    """Every stray failure is told, by its kind and place."""
    told = {(line["error"], line["place"].split(":")[0]) for line in log if line["event"] == "uncaught"}
    assert {kind for kind, _ in told} == {"ValueError", "library error", "library warning"}
    assert ("library error", "some.library") in told


# The guards taken away: each channel then shows the canary, so the tests above would have seen it there.


@pytest.mark.in_turn
def test_without_the_guards_python_prints_the_value(tmp_path):
    sweep = Sweep()
    rounds_with("strays", tmp_path, sweep, "guards-off")
    assert "errors" in sweep.found_in(CANARY)
    assert sweep.channels["errors"][0][1].count(CANARY.encode()) >= 4


@pytest.mark.in_turn
def test_without_the_guards_a_crash_leaves_the_memory_on_the_disk(tmp_path):
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    assert not pattern.startswith("|"), f"core files go to '{pattern}' here, so this test can see none"
    sweep = Sweep()
    status, _log, _said = rounds_with("process_crashes", tmp_path, sweep, "guards-off")
    assert status == CRASHED
    (core,) = (tmp_path / "work").iterdir()
    assert CANARY.encode() in core.read_bytes()
    core.unlink()


def test_a_line_that_is_not_listed_is_not_written_and_its_name_shows(capsys):
    log = open_log("E06000001", "debug")
    log("row_read", {"row": CANARY})
    log(f"row of {CANARY}", {})
    log("link_down", {"reason": "no route", "row": CANARY})
    log("started", {"ledger_entry": 3})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == [UNLISTED, UNLISTED, "link_down", "started"]
    assert [line.get("name") for line in lines[:2]] == ["row_read", "not a name"]
    assert (lines[2]["reason"], lines[2]["level"]) == ("no route", "warning")
    assert not any(CANARY in json.dumps(line) for line in lines)


def test_a_value_in_a_listed_sentence_would_be_seen(capsys):
    """Positive control of the log's channel: the list allows a sentence, and a sentence could hold anything."""
    open_log("E06000001", "debug")("stage_failed", {"sid": "ab" * 32, "reason": f"The row of {CANARY} is wrong."})
    sweep = Sweep()
    sweep.add("log of the nodes", "one", capsys.readouterr().out)
    assert sweep.found_in(CANARY) == {"log of the nodes"}


def test_lines_below_the_level_are_left_out(capsys):
    log = open_log("E06000001", "warning")
    log("started", {"ledger_entry": 1})
    log("link_down", {"reason": "no route"})
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["link_down"]


def test_every_event_of_the_source_is_listed():
    """Names given to a log in the node's source, and the fields beside them where they are written out."""
    import ast

    found = {}
    for path in sorted((ROOT / "council_node").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_log(node.func) and len(node.args) == 2 and _is_text(node.args[0]):
                fields = node.args[1]
                names = {key.value for key in fields.keys if _is_text(key)} if isinstance(fields, ast.Dict) else set()
                found.setdefault(node.args[0].value, set()).update(names)
    assert {"started", "link_down", "stage_failed", "reservation_released"} <= found.keys()
    unlisted = {name: names for name, names in found.items() if name not in EVENTS}
    assert unlisted == {}
    known = {name: {*event.fields, "sid", "plan", "request"} for name, event in EVENTS.items()}
    assert {name: names - known[name] for name, names in found.items() if names - known[name]} == {}


def _is_log(called):
    import ast

    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name in {"log", "_log", "_on_event", "on_event"}


def _is_text(node):
    import ast

    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.fixture
def as_before():
    """What `tell_without_values` puts in place is taken back."""
    import threading
    import warnings

    before = sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning
    handlers = logging.root.handlers[:]
    yield
    logging.captureWarnings(capture=False)
    sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning = before
    logging.root.handlers[:] = handlers


def test_what_nobody_caught_is_told_without_its_message(as_before):
    told = []
    tell_without_values(lambda kind, place: told.append((kind, place)))
    with pytest.raises(ValueError, match=CANARY) as caught:
        int(CANARY)
    sys.excepthook(ValueError, caught.value, caught.tb)
    logging.getLogger("a.library").warning("row %s", CANARY)
    logging.getLogger("a.library").info("not told at all")
    assert [kind for kind, _ in told] == ["ValueError", "library warning"]
    assert told[0][1].startswith("tests.canary.test_canary_logs:") or told[0][1].startswith("test_canary_logs:")
    assert CANARY not in repr(told)
