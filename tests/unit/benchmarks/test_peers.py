"""The harness beside the peers: pins that name no index, our side's sums, and what is kept. No peer is installed here."""

import importlib.util
import json
import math
import os
import re
import socket
import sys
import threading
import time
from contextlib import nullcontext
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.local_counts import made_up, plain
from benchmarks.peers import __main__ as front
from benchmarks.peers import (
    charged,
    dropouts,
    environment,
    equal_epsilon,
    local_counts,
    query,
    question,
    secure_sum_flower,
    secure_sum_mpyc,
    traffic,
)
from benchmarks.peers.environment import PEERS, Peer, PeerFailure, run_program
from benchmarks.peers.results import Comparison, keep
from benchmarks.peers.secure_sum import Spent, our_sum, our_threshold
from benchmarks.peers.vectors import exact_sum, make_vectors, write_vectors
from benchmarks.targets import AT_LEAST
from federated.demo.world import choose_councils
from federated.schema import load_schema
from federated.synthetic import synthesise
from protocols.secagg import BelowThreshold
from protocols.secagg.messages import Stage


def compared(**changed):
    values = {
        "name": "a sum",
        "peer": "flower",
        "unit": "seconds",
        "ours": [1.0, 2.0, 4.0],
        "theirs": [30.0, 80.0, 140.0],
        "command": "python -m benchmarks.peers.secure_sum_flower",
        "versions": {"flwr": "1"},
    }
    return Comparison(**values | changed)


@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.name)
def test_a_peer_is_pinned_with_hashes_and_names_no_index(peer):
    text = peer.requirements.read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9-]+)==(\S+) \\$", text, flags=re.MULTILINE)
    assert {name for name, _ in pins} >= set(peer.packages)
    assert text.count("--hash=sha256:") >= len(pins)
    for line in text.splitlines():
        assert re.match(r"^([a-z0-9-]+==\S+ \\|\s+--hash=sha256:[0-9a-f]{64}( \\)?|\s+#.*)$", line), line
    assert peer.documentation.startswith("https://")


def test_a_peer_that_is_not_installed_is_named_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    with pytest.raises(PeerFailure, match="setup flower"):
        run_program(PEERS["flower"], "flower_secagg", [], timeout_s=1)


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A peer whose Python is this one, to run programs written by a test."""
    python = tmp_path / "bench" / "own" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / "bench"))
    monkeypatch.setattr(environment, "HERE", tmp_path)
    (tmp_path / "programs").mkdir()

    def write(text):
        (tmp_path / "programs" / "asked.py").write_text(text, encoding="utf-8")
        return Peer(name="own", packages=(), documentation="https://example.org")

    return write


def test_what_a_program_prints_last_comes_back(stand_in):
    peer = stand_in("print('noise'); print('{\"seconds\": 2}')")
    assert run_program(peer, "asked", [], timeout_s=30) == {"seconds": 2}


def test_a_program_that_fails_or_hangs_is_told_of(stand_in):
    with pytest.raises(PeerFailure, match=r"status 3.*gone wrong"):
        run_program(
            stand_in("import sys; print('gone wrong', file=sys.stderr); sys.exit(3)"), "asked", [], timeout_s=30
        )
    with pytest.raises(PeerFailure, match="did not finish within"):
        run_program(stand_in("import time; time.sleep(60)"), "asked", [], timeout_s=0.5)


def test_a_program_sees_no_code_of_this_project(stand_in, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(environment.ROOT))
    peer = stand_in("import json, os; print(json.dumps(os.environ.get('PYTHONPATH')))")
    assert run_program(peer, "asked", [], timeout_s=30, folder=tmp_path) is None


def test_the_front_door_lists_and_sets_up(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    assert front.main(["list"]) == 0
    assert "setup mpyc" in capsys.readouterr().out
    asked = []
    monkeypatch.setattr(front, "setup", lambda peer: asked.append(peer.name))
    monkeypatch.setattr(front, "versions", lambda peer: {})
    assert front.main(["setup", "all"]) == 0
    assert asked == list(PEERS)
    with pytest.raises(SystemExit):
        front.main(["setup", "nobody"])


def test_the_front_door_installs_what_is_missing_and_runs_everything(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    python = tmp_path / "mpyc" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    done = []
    monkeypatch.setattr(front, "setup", lambda peer: done.append(peer.name))
    monkeypatch.setattr(front, "versions", lambda peer: {})
    for module, _ in front.COMPARISONS:
        monkeypatch.setattr(module, "main", lambda arguments, name=module.__name__: done.append((name, *arguments)))
    assert front.main(["run"]) == 0
    installed = [name for name in PEERS if name != "mpyc"]
    asked = [(module.__name__, *options, "--record") for module, options in front.COMPARISONS]
    assert done == [*installed, *asked]


def test_a_comparison_that_fails_is_told_and_the_others_still_run(monkeypatch, capsys):
    def fail(arguments):
        raise PeerFailure("no answer came")

    done = []
    monkeypatch.setattr(front, "interpreter", lambda peer: None)
    for module, _ in front.COMPARISONS:
        monkeypatch.setattr(module, "main", done.append)
    monkeypatch.setattr(secure_sum_flower, "main", fail)
    assert front.main(["run"]) == 1
    assert "no answer came" in capsys.readouterr().err
    assert len(done) == len(front.COMPARISONS) - 1


def test_a_peer_that_cannot_be_installed_is_told_of(monkeypatch, capsys):
    def refuse(peer):
        raise PeerFailure(f"{peer.name} could not be installed")

    monkeypatch.setattr(front, "setup", refuse)
    assert front.main(["setup", "opendp"]) == 1
    assert "opendp could not be installed" in capsys.readouterr().err


@pytest.mark.parametrize("lost", [0, 1])
def test_our_side_gives_the_right_sum(lost):
    vectors = make_vectors(6, 50)
    spent = our_sum(vectors, lost=lost)
    assert np.array_equal(spent.total, exact_sum(vectors, lost))
    assert not np.array_equal(spent.total, exact_sum(vectors, 1 - lost))
    assert spent.seconds > 0 < spent.processor_seconds


def test_our_side_says_when_too_few_are_left():
    with pytest.raises(BelowThreshold):
        our_sum(make_vectors(6, 50), lost=6 - our_threshold(6) + 1, stage=Stage.CONFIRMATION)


def test_vectors_are_the_same_for_everyone(tmp_path):
    vectors = make_vectors(4, 10)
    assert np.array_equal(np.load(write_vectors(tmp_path, vectors)), make_vectors(4, 10))


@pytest.mark.parametrize("module", [secure_sum_flower, secure_sum_mpyc])
def test_a_comparison_refuses_a_peer_s_wrong_sum(module, monkeypatch):
    wrong = Spent(seconds=1.0, processor_seconds=1.0, total=np.zeros(20, dtype=np.int64))
    monkeypatch.setattr(module, "versions", lambda peer: {"peer": "1"})
    for name in ("flower_sum", "mpyc_sum"):
        monkeypatch.setattr(module, name, lambda *_, **__: wrong, raising=False)
    with pytest.raises(SystemExit, match="not the sum"):
        module.main(["--cells", "20", "--rounds", "1", *sized(module, 5)])


@pytest.mark.parametrize("module", [secure_sum_flower, secure_sum_mpyc])
def test_a_comparison_prints_the_ratio_of_each_run(module, monkeypatch, capsys):
    def right(_folder, path, *, lost=0, **_):
        return Spent(seconds=1000.0, processor_seconds=1000.0, total=exact_sum(np.load(path), lost))

    monkeypatch.setattr(module, "versions", lambda peer: {"peer": "1"})
    for name in ("flower_sum", "mpyc_sum"):
        monkeypatch.setattr(module, name, right, raising=False)
    module.main(["--cells", "20", "--rounds", "2", *sized(module, 5)])
    shown = capsys.readouterr().out
    row = json.loads(shown[shown.index("{\n") : shown.index("\n}") + 2])
    assert min(row["ratios"]) > 100
    assert row["theirs"]["median"] == 1000.0
    assert row["command"].startswith("python -m benchmarks.peers.")


def sized(module, councils):
    if module is secure_sum_flower:
        return ["--councils", str(councils), "--lost", "0"]
    return ["--parties", str(councils)]


def test_a_comparison_keeps_its_ratios_beside_the_targets(tmp_path):
    kept = tmp_path / "performance.json"
    kept.write_text(json.dumps({"targets": [{"name": "t"}]}), encoding="utf-8")
    for theirs in ([1.0, 1.0, 1.0], [30.0, 80.0, 140.0]):
        keep(compared(theirs=theirs).row(), kept)
    found = json.loads(kept.read_text(encoding="utf-8"))
    assert found["targets"] == [{"name": "t"}]
    [row] = found["comparisons"]
    assert row["ratios"] == [30.0, 40.0, 35.0]
    assert row["ratio"] == 35.0
    assert row["ours"] == {"median": 2.0, "least": 1.0, "most": 4.0, "samples": [1.0, 2.0, 4.0]}
    assert row["machine"]["cores"] >= 1


def test_a_comparison_is_a_target_too():
    row = compared().target(30.0, AT_LEAST).row()
    assert (row["ratio"], row["met"]) == (35.0, True)
    row = compared(ours=[1.0], theirs=[2.0]).target(0.5, AT_LEAST, ours_over_theirs=True).row()
    assert (row["ratio"], row["met"]) == (0.5, True)


@pytest.mark.parametrize(("councils", "at_most"), [(10, 1.12), (100, 1.10)])
def test_our_error_is_the_planned_share_of_the_central_one(councils, at_most):
    rng = np.random.default_rng(1)
    found = equal_epsilon.our_error(councils, cells=20_000, epsilon=Fraction(1), rng=rng.bytes)
    a = math.exp(-1)
    central = math.sqrt(2 * a) / (1 - a)
    expected = math.sqrt(councils / equal_epsilon.thresholds(councils).h)
    assert expected <= at_most
    assert found / central == pytest.approx(expected, rel=0.03)


def test_errors_are_compared_by_peer(monkeypatch, capsys):
    answers = {"opendp_counts": {"central": 1.0, "summed": 100.0}, "smartnoise_counts": {"summed": 400.0}}
    monkeypatch.setattr(equal_epsilon, "run_program", lambda peer, program, *_, **__: answers[program])
    monkeypatch.setattr(equal_epsilon, "versions", lambda peer: {"peer": "1"})
    equal_epsilon.main(["--councils", "10", "--cells", "500", "--rounds", "1"])
    shown = capsys.readouterr().out
    medians = [float(found) for found in re.findall(r'"theirs": \{\s+"median": ([0-9.]+)', shown)]
    assert medians == [1.0, 10.0, 20.0]


def test_local_counts_are_compared_when_both_counted_the_same_rows(monkeypatch, capsys):
    answer = {"seconds": [2.0, 4.0], "total": 0, "threads": 2}
    monkeypatch.setattr(local_counts, "run_program", lambda *_, **__: answer)
    monkeypatch.setattr(local_counts, "versions", lambda peer: {"polars": "1"})
    with pytest.raises(SystemExit, match="not the count of these rows"):
        local_counts.main(["--rows", "1000", "--samples", "2"])
    monkeypatch.setattr(local_counts, "run_program", lambda *_, **__: answer | {"total": plain_count(1000)})
    local_counts.main(["--rows", "1000", "--samples", "2"])
    assert '"median": 3.0' in capsys.readouterr().out


def plain_count(rows):
    with made_up(rows, load_schema().dataset("case")) as extract:
        return plain(extract.connection)


def test_a_ledger_is_charged_what_was_asked_whatever_the_number_of_tables():
    question = charged.questions(Fraction(1, 2))["two tables of counts"]
    assert len(question.tables) == 2
    assert charged.our_charge(question) == Fraction(1, 2)


@pytest.mark.parametrize(
    ("stage", "came"),
    [
        (Stage.KEY_SHARES, dropouts.RIGHT_OF_PRESENT),
        (Stage.MASKED_INPUT, dropouts.RIGHT_OF_PRESENT),
        (Stage.UNMASK, dropouts.RIGHT_OF_ALL),
    ],
)
def test_what_comes_out_when_councils_are_lost(stage, came):
    assert dropouts.our_outcome(make_vectors(6, 40), lost=1, stage=stage) == came


def test_too_many_lost_give_no_answer():
    vectors = make_vectors(6, 40)
    assert dropouts.our_outcome(vectors, lost=4, stage=Stage.MASKED_INPUT) == dropouts.NOTHING
    assert dropouts.told(vectors[0], vectors, 1) == "another figure"


def test_dropouts_on_both_sides_are_told_by_stage(monkeypatch, capsys):
    monkeypatch.setattr(dropouts, "versions", lambda peer: {"peer": "1"})

    def fail(*_, **__):
        raise PeerFailure("ended\nlast words")

    monkeypatch.setattr(dropouts, "run_program", fail)
    dropouts.main(["--councils", "6", "--cells", "20", "--lost", "1"])
    row = json.loads(capsys.readouterr().out)
    assert set(row["theirs"].values()) == {"no answer: last words"}
    assert row["ours"]["masked_input"] == dropouts.RIGHT_OF_PRESENT


def test_a_peer_gets_the_same_question_and_the_same_records(tmp_path):
    put = question.asked(Fraction(1))
    recorded = [synthesise(council, 1) for council in choose_councils(4)]
    folder = question.tidy_extracts(tmp_path / "extracts", recorded, put)
    module = import_program("flower_app/council_query/counting.py")
    counted = sum(module.count(file, put.write(tmp_path / "question.json")) for file in folder.glob("*.csv"))
    assert np.array_equal(counted, question.true_counts(recorded, put))
    assert len(counted) == put.cells == 945
    assert counted.sum() > 1_000


def import_program(name):
    """A program for a peer's Python that happens to need nothing of the peer."""
    path = environment.HERE / "programs" / name
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_relay_passes_on_both_ways_and_counts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server, traffic.relay_to(tmp_path / "asked") as relay:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(5) + b"!" * 100_000)

        threading.Thread(target=answer, daemon=True).start()
        (tmp_path / "asked").write_text(str(server.getsockname()[1]), encoding="utf-8")
        deadline = time.monotonic() + 10
        while not (told := tmp_path / "asked.up").exists() or not told.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", int(told.read_text(encoding="utf-8"))), timeout=10) as caller:
            caller.sendall(b"hello")
            received = b"".join(iter(lambda: caller.recv(65536), b""))
    assert received == b"hello" + b"!" * 100_000
    assert relay.passed == 5 + 5 + 100_000


def test_the_kernel_s_count_is_of_the_named_processes_alone():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            near, _ = server.accept()
            caller.sendall(b"x" * 1000)
            near.sendall(b"y" * 500)
            assert caller.recv(500)
            deadline = time.monotonic() + 5
            while traffic.bytes_of(port, [os.getpid()]) < 1500:
                assert time.monotonic() < deadline
            assert traffic.bytes_of(port, [os.getpid()]) <= 1510
            assert traffic.bytes_of(port, [1]) == 0
            near.close()


def test_a_peer_s_wrong_answer_is_refused():
    truth = np.array([1, 2, 3])
    right = [{"total": [1, 2, 3]}]
    assert query.their_answers(right, truth, "a peer") == right
    with pytest.raises(SystemExit, match="a peer: not the counts"):
        query.their_answers([*right, {"total": [1, 2, 4]}], truth, "a peer")


def test_our_wrong_answer_is_refused_and_a_noisy_one_is_not():
    truth = np.arange(5)
    for noise, refused in ((3, False), (query.MOST_NOISE + 1, True)):
        release = SimpleNamespace(tables=[SimpleNamespace(totals=[0, 1 + noise]), SimpleNamespace(totals=[2, 3, 4])])
        with pytest.raises(SystemExit) if refused else nullcontext():
            query.check_counts(release, truth)
