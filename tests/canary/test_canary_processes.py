"""A real federation: the commands that a coordinator and councils type, as processes; then all they left is searched."""

from fractions import Fraction

import pytest

from federated.demo import world as demo_world
from federated.demo.papers import manifest_payload
from federated.demo.world import build_world
from federated.shell import now_utc
from federated.synthetic import write_extract
from tests.canary.federation import CANARY, EXTRACT, QUESTIONS, poison
from tests.canary.harness import Sweep

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


def run_processes(folder, sweep, questions):
    with build_world(folder, count=4, epsilon=Fraction(1), seed=4) as world:
        for question in questions:
            steps, release, budgets = ask(world, question)
            sweep.add("told to the analyst", question.title, repr(steps) + repr(budgets))
            sweep.add("answers", question.title, release.encode())
        world.processes.check()
    sweep.files("coordinator's folder", folder / "coordinator")
    sweep.files("councils' folders", folder / "councils", leave_out=EXTRACT)
    logs = sorted(folder.rglob("*.log"))
    assert len(logs) == 5
    for log in logs:
        sweep.add("logs of the processes", str(log.relative_to(folder)), log.read_bytes())


def test_no_canary_in_what_real_processes_keep_log_and_tell(tmp_path, planted):
    sweep = Sweep()
    run_processes(tmp_path, sweep, QUESTIONS[1:2])
    sweep.assert_clean(CANARY, expected=EXPECTED | {"told to the analyst", "answers", "logs of the processes"})
    sweep.files("extracts", tmp_path / "councils")
    assert len({finding.item for finding in sweep.findings(CANARY)}) == 4
