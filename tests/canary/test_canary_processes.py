"""A real federation: the commands that a coordinator and councils type, as processes; then all they left is searched."""

from fractions import Fraction
from pathlib import Path

import pytest

from federated.demo import world as demo_world
from federated.demo.papers import manifest_payload
from federated.demo.world import build_world
from federated.shell import now_utc
from federated.synthetic import write_extract
from tests.canary.federation import CANARY, EXTRACT, METRICS, QUESTIONS, poison, sweep_health
from tests.canary.harness import Sweep
from tests.integration.served_coordinator import free_port

pytestmark = pytest.mark.in_turn

EXPECTED = {"coordinator's folder", "coordinator's folder, tables", "councils' folders", "councils' folders, tables"}


@pytest.fixture
def planted(monkeypatch):
    """Extracts of the demo with the canary in columns never read, in references, and in every column of some rows."""

    def write(cases, path, **options):
        recorded = write_extract(cases, path, canary=CANARY, **options)
        poison(path)
        return recorded

    monkeypatch.setattr(demo_world, "write_extract", write)


@pytest.fixture
def port(monkeypatch):
    """Where the coordinator tells its health and metrics; the demo's own does not."""
    honest, chosen = demo_world.run, free_port()

    def run(line):
        said = honest(line)
        if line[1:3] == ["init", "--folder"] and (written := Path(line[3]) / "coordinator.yaml").exists():
            with written.open("a", encoding="utf-8") as file:
                file.write(f"operations:\n  port: {chosen}\n")
        return said

    monkeypatch.setattr(demo_world, "run", run)
    return chosen


def ask(world, question):
    """One question through the analyst's client."""
    with world.client() as client:
        manifest = manifest_payload("canary", question, today=now_utc().date())
        plan = client.plan(question, agreement=None, manifest=manifest)
        steps = list(client.submit(plan, manifest))
        assert steps[-1].release_digest, steps[-1].message
        release = client.release(release_digest=steps[-1].release_digest)
        assert release.contributed == len(world.councils)
        budgets = client.budgets(client.trusted())
        return steps, release, budgets


def run_processes(folder, sweep, questions, port):
    with build_world(folder, count=4, epsilon=Fraction(1), seed=4) as world:
        for question in questions:
            steps, release, budgets = ask(world, question)
            sweep.add("told to the analyst", question.title, repr(steps) + repr(budgets))
            sweep.add("answers", question.title, release.encode())
        sweep_health(port, sweep)
        world.processes.check()
    sweep.files("coordinator's folder", folder / "coordinator")
    sweep.files("councils' folders", folder / "councils", leave_out=EXTRACT)
    logs = sorted(folder.rglob("*.log"))
    assert len(logs) == 5
    for log in logs:
        sweep.add("logs of the processes", str(log.relative_to(folder)), log.read_bytes())


def test_no_canary_in_what_real_processes_keep_log_and_tell(tmp_path, planted, port):
    sweep = Sweep()
    run_processes(tmp_path, sweep, QUESTIONS[1:2], port)
    sweep.assert_clean(
        CANARY, expected=EXPECTED | METRICS | {"told to the analyst", "answers", "logs of the processes"}
    )
    sweep.files("extracts", tmp_path / "councils")
    assert len({finding.item for finding in sweep.findings(CANARY)}) == 4
