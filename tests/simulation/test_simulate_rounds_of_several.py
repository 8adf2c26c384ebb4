"""A question of several rounds through the whole federation: in one process, over gRPC, and with a round lost."""

import asyncio
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from coordinator.proposal_run import ProposalRun
from coordinator.rounds import RoundDriver
from coordinator.simulate import Scenario, build_world, simulate
from coordinator.simulation_hub import Hub
from federated.errors import RoundAborted
from federated.privacy import Mechanism
from federated.query import Equals, Measured, Named, Points, Table, measured
from federated.release_check import check_release
from federated.schema import load_schema
from protocols.identifiers import RoundId
from tests.integration.link_harness import over_grpc
from tests.simulation.test_simulate_federation import small

MARK = Points(base=0, terms=((Equals(column="main_sex", value="male"), 1),))
FIT = Table(
    name="fit",
    statistic="logistic_rounds",
    measures=(measured("dependent_children_n", 0, 6), Measured(measure=MARK, low=0, high=1)),
    conditions=(Named(name="owed", where=Equals(column="assessment_outcome", value="relief_owed")),),
    rounds=3,
)
QUESTION = small(title="Relief owed, by children and sex", tables=(FIT,), epsilon=Fraction(3))

OWED = Points(base=0, terms=((Equals(column="assessment_outcome", value="relief_owed"), 1),))
NUMBERS = Table(
    name="fit",
    statistic="poisson_rounds",
    measures=(
        measured("dependent_children_n", 0, 6),
        Measured(measure=MARK, low=0, high=1),
        Measured(measure=OWED, low=0, high=1),
    ),
    rounds=3,
)

COUNTS = small(epsilon=Fraction(3))
ROOM = Scenario(questions=(QUESTION, COUNTS), councils=5, seed=8, mechanism=Mechanism.DISCRETE_GAUSSIAN)
"""The year's budget is for both questions, so that there is room for a round that is held again."""


@pytest.fixture
def without_noise(monkeypatch):
    def nothing(spec, *, honest, rng):
        return np.zeros(spec.cells, dtype=np.int64)

    monkeypatch.setattr("council_node.contribution.sample_noise_share", nothing)


@pytest.mark.drawn(1)
@pytest.mark.parametrize(("fit", "lost"), [(FIT, 0), (FIT, 1), (NUMBERS, 0)])
def test_but_for_the_noise_every_round_is_the_exact_sum_at_its_coefficients(without_noise, fit, lost):
    asked = replace(QUESTION, tables=(fit,))
    [found] = simulate(Scenario(questions=(asked,), councils=11, lost=lost, seed=8)).rounds
    rounds = found.release.rounds
    assert [record.number for record in rounds] == [1, 2, 3]
    assert rounds[0].coefficients == (0, 0, 0)
    assert len({record.coefficients for record in rounds}) == 3
    assert all(not np.any(residuals) for residuals in found.residuals)
    assert found.release.contributed == 11 - lost
    # Who was lost in the first round is asked no more, so that all rounds are over the same councils.
    assert len({frozenset(record.attestations.masked_inputs) for record in rounds}) == 1
    for held in found.cells():
        assert held.held is not False
        assert held.truth is None or held.cell.estimate == pytest.approx(float(held.truth), abs=0.02, rel=0.02)


def test_the_noise_of_the_last_round_is_as_large_as_the_release_says():
    [found] = simulate(Scenario(questions=(QUESTION,), councils=11, seed=9)).rounds
    [noise] = found.noise()
    # Nine numbers: within a factor of four standard deviations of a chi-squared of nine.
    assert 0.2 < noise.found_sd / noise.planned_sd < 1.9


def ask(folder, meddle=lambda nodes: nodes, watch=lambda hub, answered: None):
    with build_world(Scenario(questions=(QUESTION,), councils=5, seed=3), folder) as world:

        async def asked():
            async with (
                over_grpc(meddle(world.nodes)) as harness,
                Hub(world, harness.link, note=lambda *_: None) as hub,
            ):
                answered = await hub.ask(QUESTION)
                await hub.settle()
                watch(hub, answered)
                return answered

        return world, asyncio.run(asked())


def test_over_grpc_all_rounds_are_taken_charged_and_checked_and_every_council_has_the_answer(tmp_path):
    seen = []

    def watch(hub, answered):
        store = hub._world.centre_files.store
        rows = [store.rounds.get(RoundId(bytes.fromhex(item.sid))) for item in answered.release.rounds]
        seen.extend(row.outcome for row in rows)
        roster, agreement = hub._world.centre_files.roster, hub._world.centre_files.agreement
        lines = check_release(
            answered.release, roster=roster, agreements={agreement.id: agreement}, schema=load_schema()
        )
        seen.extend(lines)

    world, found = ask(tmp_path, watch=watch)
    assert seen[:3] == ["counted", "counted", "released"]
    assert "The tables follow from the published totals." in seen
    assert found.release.contributed == len(world.councils)
    assert found.plan.charge.rho == 3 * found.plan.round_charge.rho


def failing(monkeypatch, numbers):
    """Rounds of these attempts end without a sum after their inputs were asked for."""
    true_run = RoundDriver.run

    async def run(self, order, **options):
        report = await true_run(self, order, **options)
        if order.attempt in numbers:
            return replace(report, result=None, charged=True, rule="below_threshold", reason="Lost for the test.")
        return report

    monkeypatch.setattr(RoundDriver, "run", run)


def test_a_round_lost_in_the_middle_is_held_again_and_charged_again(monkeypatch):
    failing(monkeypatch, {2})
    [found, _] = simulate(ROOM).rounds
    assert [(record.number, record.attempt) for record in found.release.rounds] == [(1, 1), (2, 3), (3, 4)]


@pytest.mark.parametrize("numbers", [{1}, set(range(2, 9))])
def test_rounds_that_end_early_release_nothing(monkeypatch, numbers, tmp_path):
    failing(monkeypatch, numbers)
    with pytest.raises(RoundAborted, match="without a release"):
        simulate(ROOM, folder=tmp_path)


def test_a_coordinator_that_forgets_its_rounds_begins_again_only_while_enough_are_left(monkeypatch):
    true_step = ProposalRun._go_on

    async def forget(self, report, opened):
        await true_step(self, report, opened)
        self._counted.clear()

    monkeypatch.setattr(ProposalRun, "_go_on", forget)
    with pytest.raises(RoundAborted, match="were lost with a coordinator that stopped, and too few are left"):
        simulate(ROOM)
