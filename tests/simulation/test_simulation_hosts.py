"""The app of Flower's simulation engine: every council's node stays in one host, whoever carries its messages.

Ray and Flower's engine are stood in for here, by objects in this process; both themselves run in
`tests/e2e/test_flower_simulation.py`.
"""

import pickle
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.task_identity import TaskIdentity

from coordinator import simulate_flower, simulate_flower_app
from coordinator.simulate import Scenario
from coordinator.simulate_flower import OUTCOME, PROGRESS, SCENARIO
from coordinator.simulation_files import COORDINATOR
from federated.errors import FederatedError, FileProblem, InternalError, RoundAborted
from federated.flower_record import MESSAGE_TYPE, unwrapped, wrapped
from protocols.wire.relayed import NO_TICKET, TICKET_SIZE, RelayedKind, RelayedReply, RelayedRequest
from tests.integration.flower_harness import RUN, FakeGrid
from tests.simulation.test_simulate_federation import small, without_noise  # noqa: F401 - a fixture

HOSTS = 2


class FakeRay:
    """Hosts are objects of this process, and every call to one has been made when it is asked for."""

    def __init__(self):
        self.actors, self.given = {}, {}

    def is_initialized(self):
        return True

    def remote(self, made):
        def options(name, num_cpus):
            assert num_cpus == 0

            def start(*arguments):
                self.given[name] = arguments
                self.actors[name] = Handle(made(*arguments))
                return self.actors[name]

            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=options)

    def get_actor(self, name):
        return self.actors[name]

    def get(self, called):
        return called


class Handle:
    """To an actor: `handle.method.remote(...)`."""

    def __init__(self, actor):
        self.actor = actor

    def __getattr__(self, name):
        return SimpleNamespace(remote=getattr(self.actor, name))


@pytest.fixture
def ray(monkeypatch):
    ray = FakeRay()
    monkeypatch.setattr(simulate_flower_app, "ray", ray)
    monkeypatch.setattr(simulate_flower_app, "START_S", 20.0)
    return ray


def run(folder, scenario, apps=None):
    """What the engine's run of a scenario leaves behind, as the command reads it."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = RUN, 1, 1
    home = folder / "flower"
    home.mkdir()
    (home / SCENARIO).write_bytes(pickle.dumps(scenario))
    grid = FakeGrid()
    for number in range(scenario.councils):
        app = (apps or {}).get(number, simulate_flower_app.client)
        grid.add(app, node_config={"partition-id": number}, run_config={"hosts": HOSTS})
    config = {"folder": str(home), "hosts": HOSTS}
    context = Context(run_id=RUN, node_id=0, node_config={}, state=RecordDict(), run_config=config, series_id=RUN)
    simulate_flower_app.main(grid, context)
    for node in grid.nodes.values():
        node.inbox.put(None)
    return simulate_flower._outcome(home)


@pytest.mark.parametrize("lost", [0, 1])
def test_but_for_the_noise_the_answer_is_the_exact_sum_of_those_who_contributed(ray, without_noise, tmp_path, lost):  # noqa: F811
    found = run(tmp_path, Scenario(questions=(small(),), councils=5, rounds=2, lost=lost, seed=8))
    assert len(found.rounds) == 2
    for item in found.rounds:
        assert (item.release.joined, item.release.contributed) == (5, 5 - lost)
        assert all(not np.any(residuals) for residuals in item.residuals)
        assert item.exact.sum() > 0
    dropped = [{r.council for r in item.release.councils if r.outcome == "dropped"} for item in found.rounds]
    assert [len(councils) for councils in dropped] == [lost, lost]
    assert not lost or dropped[0] != dropped[1]
    assert all(traffic.sent > 0 < traffic.received for traffic in found.traffic.values())
    assert len(ray.actors) == HOSTS


def test_the_nodes_decide_as_on_every_link(ray, tmp_path):
    with pytest.raises(RoundAborted, match=r"refused: 5 of 5.*said: The question needs more random draws"):
        run(tmp_path, Scenario(questions=(small(epsilon=Fraction(90)),), councils=5))


def test_a_node_is_never_open_in_two_processes(ray, tmp_path):
    """What Flower's engine would do to an app that opens the node in its worker: the ledger is held by the first."""
    problems = []
    app = ClientApp()

    @app.query()
    def open_here_too(message, context):
        (files, kept) = ray.given["councils-0"]
        try:
            simulate_flower_app.Host({0: files[0]}, kept)
        except FederatedError as problem:
            problems.append(str(problem))
        return simulate_flower_app.pass_on(message, context)

    found = run(tmp_path, Scenario(questions=(small(),), councils=5), {0: app})
    assert found.rounds[0].release.contributed == 5
    assert len(problems) >= 5
    assert all("in use" in problem or "another" in problem for problem in problems), set(problems)


def relayed(kind, ticket=NO_TICKET):
    request = RelayedRequest(kind=kind, nonce=bytes(32), coordinator_id=COORDINATOR, ticket=ticket, body=b"")
    return Message(wrapped(request.encode()), 1, MESSAGE_TYPE, ttl=60)


def test_another_process_would_not_answer_what_was_begun_in_the_first(ray, tmp_path):
    """Why there are hosts: a node that is opened anew, as in another of the engine's workers, has none of its state."""
    run(tmp_path, Scenario(questions=(small(),), councils=4))
    files, kept = ray.given["councils-0"]
    context = Context(run_id=RUN, node_id=1, node_config={}, state=RecordDict(), run_config={}, series_id=RUN)
    first = simulate_flower_app.Host(files, kept)
    proof = RelayedReply.decode(unwrapped(first.reply(0, relayed(RelayedKind.PROVE), context).content))
    asked = relayed(RelayedKind.ASK, proof.body[:TICKET_SIZE])
    assert not first.reply(0, asked, context).has_error()
    first.close()
    second = simulate_flower_app.Host(files, kept)
    assert second.reply(0, asked, context).has_error()
    second.close()


def test_progress_and_failures_reach_the_command(ray, tmp_path, capsys):
    run(tmp_path, Scenario(questions=(small(),), councils=4))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(PROGRESS)]
    assert len(lines) == 2
    assert "4 councils are set up" in lines[0]


def test_an_engine_that_leaves_no_outcome_is_told_of(tmp_path):
    (tmp_path / "engine.log").write_text("first\nsecond\nthe reason\n", encoding="utf-8")
    with pytest.raises(InternalError, match="without an outcome: first second the reason"):
        simulate_flower._outcome(tmp_path)
    (tmp_path / "engine.log").write_text(f"{simulate_flower.RAY_TOO_SLOW} ...", encoding="utf-8")
    with pytest.raises(FederatedError, match="Ray did not start in 5 attempts"):
        simulate_flower._outcome(tmp_path)
    (tmp_path / OUTCOME).write_bytes(pickle.dumps("something else"))
    with pytest.raises(InternalError, match="an outcome that is none"):
        simulate_flower._outcome(tmp_path)


def test_without_ray_the_command_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(simulate_flower, "find_spec", lambda _name: None)
    with pytest.raises(FileProblem, match="Ray is not installed"):
        simulate_flower.simulate_on_flower(Scenario(questions=(small(),)), folder=tmp_path)


def test_somebody_elses_ray_is_not_joined(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", "ray.example:6379")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "known to others")
    made = [simulate_flower.engine_environment(tmp_path, tmp_path, rng) for rng in (bytes, lambda size: b"1" * size)]
    assert all("RAY_ADDRESS" not in environment for environment in made)
    assert made[0]["RAY_AUTH_TOKEN"] == "0" * 64 != made[1]["RAY_AUTH_TOKEN"]
