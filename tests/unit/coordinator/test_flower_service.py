"""`coordinator flower`: one run is served, every other is ended unopened, and what is missing is said in a sentence."""

import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from coordinator import flower_service
from coordinator.cli import app
from coordinator.flower_app import app as server_app
from coordinator.flower_service import ServedRun, serve_run
from federated.errors import FileProblem, QueryError, TransportError
from federated.flower_bundle import BUNDLE_SHA256, connection_file, write_bundle

OURS = ServedRun(run_id=7, bundle="aa" * 32)


@dataclass
class FakeRun:
    run_id: int = 7
    bundle: str = "aa" * 32
    grid: object = None
    ended: list[tuple[bool, str]] = field(default_factory=list)

    def end(self, *, completed, details=""):
        self.ended.append((completed, details))


class FakeRuntime:
    def __init__(self, *runs) -> None:
        self.runs = list(runs)

    @contextmanager
    def next_run(self, _on_stopped):
        yield self.runs.pop(0) if self.runs else None


@pytest.fixture
def served(monkeypatch):
    """What was served instead of a real coordinator; and no waiting."""
    seen = []
    monkeypatch.setattr(flower_service, "run_server", lambda *_args, **options: seen.append(options["link"]))
    monkeypatch.setattr(flower_service, "LOOK_S", 0)
    monkeypatch.setattr(flower_service, "PATIENCE_S", 0.2)
    return seen


def serve(*runs):
    told = []
    runtime = FakeRuntime(*runs)
    serve_run(None, runtime, OURS, ready_file=None, log=lambda event, fields: told.append((event, dict(fields))))
    return told


def test_the_run_we_started_is_served_and_ended_as_completed(served):
    run = FakeRun()
    assert serve(run) == []
    assert len(served) == 1
    assert run.ended == [(True, "")]


def test_other_runs_are_ended_unserved_with_a_reason(served):
    foreign, same = FakeRun(run_id=7, bundle="bb" * 32), FakeRun(run_id=8)
    told = serve(foreign, same, FakeRun())
    assert [event for event, _ in told] == ["run_refused", "run_refused"]
    assert len(served) == 1
    [(completed, why)] = foreign.ended
    assert not completed
    assert "bb" * 8 in why
    [(completed, why)] = same.ended
    assert not completed
    assert "no other" in why


def test_a_run_that_fails_is_ended_as_failed_without_the_words_of_the_failure(served, monkeypatch):
    def fail(*_args, **_options):
        raise FileProblem("secret.pem cannot be read")

    monkeypatch.setattr(flower_service, "run_server", fail)
    run = FakeRun()
    with pytest.raises(FileProblem):
        serve(run)
    [(completed, why)] = run.ended
    assert not completed
    assert "secret.pem" not in why


def test_a_superlink_that_does_not_hand_the_run_over_is_not_waited_for_for_ever(served):
    with pytest.raises(TransportError, match="did not hand run 7 over"):
        serve()
    assert served == []


def test_the_app_of_a_run_without_settings_says_so():
    with pytest.raises(QueryError, match="where the coordinator's settings are"):
        server_app(grid=None, context=SimpleNamespace(run_config={}))


def test_flower_is_told_of_our_superlink_and_its_authority(tmp_path):
    path = connection_file(tmp_path / "home", address="hub.example:9092", ca_file=tmp_path / 'a "quoted" file.pem')
    found = tomllib.loads(path.read_text(encoding="utf-8"))["superlink"]
    assert found["default"] == "coordinator"
    assert found["coordinator"]["address"] == "hub.example:9092"
    assert found["coordinator"]["root-certificates"].endswith('a "quoted" file.pem')
    path = connection_file(tmp_path / "home", address="127.0.0.1:1", ca_file=None)
    assert tomllib.loads(path.read_text(encoding="utf-8"))["superlink"]["coordinator"]["insecure"] is True


def test_files_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileProblem, match="bundle cannot be written"):
        write_bundle(tmp_path / "file")
    with pytest.raises(FileProblem, match="configuration cannot be written"):
        connection_file(tmp_path / "file", address="x:1", ca_file=None)


def test_the_pin_is_a_digest():
    assert len(bytes.fromhex(BUNDLE_SHA256)) == 32


def test_commands_without_settings_say_so(tmp_path):
    for arguments in (["superlink"], ["run"], ["flwr", "ls"]):
        with pytest.raises(FileProblem):
            app(["flower", *arguments, "--settings", str(tmp_path / "none.yaml")], standalone_mode=False)
