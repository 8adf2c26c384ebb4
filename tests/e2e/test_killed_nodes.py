"""Must show 3: twelve councils, careful profile, nodes killed (`kill -9`) at each stage of a round.

One, two or three lost: the answer is the sum of those in it plus the planned noise, and it says who is not. Four lost:
the round ends, nothing is released, and every ledger says whether its charge stands. The processes are the ones that a
council and a coordinator start; which stage a node dies at is exact, see `tests.e2e.killing_coordinator`.
"""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from federated.client import RemoteRefusal
from federated.plan import Plan
from federated.privacy import Mechanism
from federated.query import DatePart, Dimension, Period, Query, Table
from federated.release import Release
from federated.release_check import check_release
from federated.schema import load_schema
from federated.shell import now_utc
from protocols.identifiers import CouncilId
from protocols.wire import analyst_pb2 as pb
from tests.conftest import SEED as DRAWN_SEED
from tests.e2e.federation import NORTH_EAST, SEED, Federation, Run, running_federation
from tests.evidence import record

COUNCILS = 12
MAY_BE_LOST = 3
THRESHOLD = 9
HONEST = 5
EPSILON = Fraction(2)
BUDGET = Fraction(50)
"""Enough for every round of the grid; the sampler's own part of delta is for budgets up to about there."""
SURE = 1 - Fraction(1, 10**9)
"""No residual of a true sum lies outside this interval once in a thousand million cells."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of a round at which nodes are killed.

    Attributes:
        name: For the test's report.
        stage: The request that is on its way to a node when it is killed.
        when: ``sent``: it is killed before it gets the request. ``spent``: it got it, and has spent its charge.
        counted: Whether the killed node's masked input had arrived by then.
        victims_charged: Whether the killed node's charge stands.
        survivors_charged: Whether, when the round ends for lack of councils, the charge of the others stands.
    """

    name: str
    stage: str
    when: str
    counted: bool
    victims_charged: bool
    survivors_charged: bool


POINTS = (
    Point("R1", "ADVERTS", "sent", counted=False, victims_charged=False, survivors_charged=False),
    Point("R2", "SHARES", "sent", counted=False, victims_charged=False, survivors_charged=True),
    Point("R2 spent", "SHARES", "spent", counted=False, victims_charged=True, survivors_charged=True),
    Point("R3", "SURVIVORS", "sent", counted=True, victims_charged=True, survivors_charged=True),
    Point("R4", "STATEMENTS", "sent", counted=True, victims_charged=True, survivors_charged=True),
)
R1, R2, R2_SPENT, R3, R4 = POINTS

GRID = [(point, lost) for point in POINTS for lost in range(1, MAY_BE_LOST + 2)]
SOME = [(point, lost) for point, lost in zip(POINTS, (1, MAY_BE_LOST) * len(POINTS), strict=False)]
ENDED = (R2_SPENT, R3)
"""Where one too many is killed: one of these, drawn anew each time."""

QUESTION = Query(
    title="Households assessed, by outcome and type, and by month",
    dataset="case",
    unit="household",
    group="pilot",
    period=Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31)),
    epsilon=EPSILON,
    tables=(
        Table(
            name="outcome_by_type",
            statistic="households",
            by=(Dimension(column="assessment_outcome"), Dimension(column="household_type")),
        ),
        Table(name="month", statistic="households", by=(Dimension(column="assessment_date", part=DatePart.MONTH),)),
    ),
)


@pytest.fixture
def federation(tmp_path) -> Iterator[Federation]:
    with running_federation(tmp_path, epsilon=EPSILON, budget=BUDGET) as made:
        assert len(made.nodes) == COUNCILS
        yield made


@dataclass(slots=True)
class Tally:
    """What all rounds together showed.

    Attributes:
        charged: Charges that should stand, by council.
        squares: Squared residuals over the variance planned for them; their mean is 1 when the noise is as planned.
        excess: By how much their sum in a round grows when one council more or fewer is taken for summed.
        answered: Rounds with an answer.
    """

    charged: dict[CouncilId, int] = field(default_factory=lambda: dict.fromkeys(NORTH_EAST, 0))
    squares: list[float] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)
    answered: int = 0


def test_nodes_killed_at_every_stage(federation):
    end = random.Random(os.environ[DRAWN_SEED]).choice(ENDED)
    go_through(federation, [*SOME, (end, MAY_BE_LOST + 1)])


@pytest.mark.long
def test_one_to_four_nodes_killed_at_every_stage(federation):
    tally = go_through(federation, GRID)
    figures = {
        "councils": COUNCILS,
        "threshold": THRESHOLD,
        "nodes_killed": sum(lost for _, lost in GRID),
        "rounds_answered": tally.answered,
        "rounds_ended_without_an_answer": len(GRID) - tally.answered,
        "mean_squared_residual_over_planned_variance": round(float(np.mean(tally.squares)), 3),
        "largest_residual_over_planned_sd": round(max(tally.squares) ** 0.5, 2),
        "smallest_excess_with_one_council_more_or_fewer": round(min(tally.excess), 1),
    }
    test = "tests/e2e/test_killed_nodes.py::test_one_to_four_nodes_killed_at_every_stage"
    record("nodes_killed_at_every_stage", figures, test=test, n=len(tally.squares), seed=SEED)


def go_through(federation: Federation, cases: Sequence[tuple[Point, int]]) -> Tally:
    tally = Tally()
    for number, (point, lost) in enumerate(cases):
        # Everybody's turn comes: the lowest and the highest in the order, which fixes shares and signs of masks.
        victims = tuple(NORTH_EAST[(5 * number + step) % COUNCILS] for step in range(lost))
        mechanism = Mechanism.DISCRETE_LAPLACE if number % 2 else Mechanism.DISCRETE_GAUSSIAN
        plan = federation.plan(QUESTION, mechanism)
        federation.order(point.stage, dict.fromkeys(victims, point.when))
        run = federation.ask(plan)
        federation.reap(victims)
        for council in victims:
            state = "spent" if point.victims_charged else "reserved"
            assert federation.nodes[council].states(plan) == (state,), (point.name, council)
        if lost <= MAY_BE_LOST:
            check_answered(federation, point, victims, run, tally)
        else:
            check_aborted(federation, point, victims, run)
        federation.restart(victims)
        check_ledgers(federation, point, victims, plan, tally, answered=lost <= MAY_BE_LOST)
    check_noise(tally)
    check_budgets(federation, tally)
    return tally


# An answer without the killed


def check_answered(federation: Federation, point: Point, victims: Sequence[CouncilId], run: Run, tally: Tally) -> None:
    assert run.released, (point.name, run.last.message)
    release = federation.client.release(release_digest=run.last.release_digest)
    summed = [council for council in NORTH_EAST if point.counted or council not in victims]
    assert contributors(release) == set(summed), point.name
    assert set(release.attestations.masked_inputs) == set(summed)
    assert (release.joined, release.contributed) == (COUNCILS, len(summed))
    assert (release.threshold, release.honest) == (THRESHOLD, HONEST)
    check_named(release, run, victims, point)
    tally.answered += 1
    roster, agreements = federation.trusted.roster, {federation.agreement.id: federation.agreement}
    assert len(list(check_release(release, roster=roster, agreements=agreements, schema=load_schema()))) == 4
    check_sum(federation, run.plan, release, summed, tally)


def contributors(release: Release) -> set[str]:
    return {record.council for record in release.councils if record.outcome == "contributed"}


def check_named(release: Release, run: Run, victims: Sequence[CouncilId], point: Point) -> None:
    """Everybody who was asked is in the list; whoever is not in the sum is named there, with the stage it was lost at."""
    assert [record.council for record in release.councils] == list(NORTH_EAST)
    missing = {record.council: record for record in release.councils if record.outcome != "contributed"}
    assert set(missing) == (set() if point.counted else set(victims))
    stage = {"ADVERTS": "share keys", "SHARES": "masked input"}
    for council, told in missing.items():
        assert told.name == load_schema().council(council).name
        assert told.outcome == "dropped"
        assert stage[point.stage] in told.reason
        silent = [step for step in run.steps if step.council_id == council and step.rule == "silent"]
        assert [step.council_state for step in silent] == [pb.COUNCIL_STATE_SILENT]  # as the analyst saw it live


def check_sum(federation: Federation, plan: Plan, release: Release, summed: Sequence[CouncilId], tally: Tally) -> None:
    """The totals are the exact sum of these councils and of no others, with as much noise as was planned."""
    totals = np.array([total for table in release.tables for total in table.totals]) / plan.scale
    widths, variances = noise_of(plan, len(summed))
    residuals = totals - federation.exact(plan, summed)
    assert (np.abs(residuals) <= widths).all()
    squares = residuals**2 / variances
    tally.squares.extend(squares)
    # One council more or fewer would show, the smallest too: this is what makes a test of the lines above.
    for council in NORTH_EAST:
        others = totals - federation.exact(plan, set(summed) ^ {council})
        tally.excess.append(float((others**2 / variances).sum() - squares.sum()))
        assert tally.excess[-1] > 100, council


def noise_of(plan: Plan, contributed: int) -> tuple[np.ndarray, np.ndarray]:
    """Half the width of a sure interval, and the variance, of the planned noise in each cell, in households."""
    widths, variances = [], []
    for index, planned in enumerate(plan.tables):
        noise = plan.released_noise(index, joined=COUNCILS, contributors=contributed)
        widths += [float(noise.half_width(SURE)[0])] * planned.layout.cells
        variances += [noise.sd**2] * planned.layout.cells
    return np.array(widths), np.array(variances)


def check_noise(tally: Tally) -> None:
    """Neither none nor twice as much; `tests/statistical` holds its law to a few per cent."""
    cells = len(tally.squares)
    assert cells >= 300
    # The squares' own variance is below 6 for Laplace noise and 2 for Gaussian, so these are over six of their errors.
    allowed = 6.5 * (6 / cells) ** 0.5
    assert 1 - allowed <= np.mean(tally.squares) <= 1 + allowed


# No answer


def check_aborted(federation: Federation, point: Point, victims: Sequence[CouncilId], run: Run) -> None:
    assert not run.released
    assert run.last.final
    assert run.last.rule in {"below_threshold", "min_cohort"}
    assert ("Nothing was spent" in run.last.message) != point.survivors_charged, run.last.message
    assert ("stay charged" in run.last.message) == point.survivors_charged, run.last.message
    with pytest.raises(RemoteRefusal) as refusal:
        federation.client.release(plan_digest=run.plan.digest)
    assert refusal.value.rule == "not_found"
    assert all(summary.plan_digest != run.plan.digest for summary in federation.client.releases())


# What each ledger says


def check_ledgers(
    federation: Federation, point: Point, victims: Sequence[CouncilId], plan: Plan, tally: Tally, *, answered: bool
) -> None:
    survivors = [council for council in NORTH_EAST if council not in victims]
    stands = "spent" if answered or point.survivors_charged else "released"
    for council in survivors:
        node = federation.nodes[council]
        # An abort is told to the councils in the background, and a second invitation may have come before it.
        federation.wait(f"{council}'s ledger", lambda node=node: set(node.states(plan)) == {stands}, timeout_s=20)
        tally.charged[council] += stands == "spent"
    for council in victims:
        found = federation.nodes[council].states(plan)
        assert found == ("spent" if point.victims_charged else "released",), (point.name, council, found)
        tally.charged[council] += point.victims_charged
    if not answered:
        check_shown(federation, survivors[0], plan, stands)
        check_shown(federation, victims[0], plan, "spent" if point.victims_charged else "released")
    owed = [council for council in NORTH_EAST if answered and (point.counted or council not in victims)]
    for council, node in federation.nodes.items():
        if council in owed:  # the killed get the answer they are in when they come back
            federation.wait(f"{council}'s answer", lambda node=node: len(node.releases(plan)) == 1, timeout_s=20)
        else:
            assert node.releases(plan) == ()


def check_shown(federation: Federation, council: CouncilId, plan: Plan, expected: str) -> None:
    """The same, as `council-node ledger show --json` tells it to a person."""
    entries = federation.nodes[council].shown()
    sids = [entry["sid"] for entry in entries if entry.get("plan_digest") == plan.digest.hex()]
    assert sids
    for sid in sids:
        assert [entry["kind"] for entry in entries if entry.get("sid") == sid] == ["reserved", expected]


def check_budgets(federation: Federation, tally: Tally) -> None:
    """At the end every ledger's rho is that of the charges that should stand, nothing is left reserved, and the
    councils' own signed statements say the same."""
    per_round = {}
    for mechanism in Mechanism:
        per_round[mechanism] = federation.plan(QUESTION, mechanism).charge.rho
    statements = federation.client.budgets(federation.trusted)
    for council, node in federation.nodes.items():
        spent = [item for item in node.all_rounds() if item.state.value == "spent"]
        assert len(spent) == tally.charged[council]
        assert {item.charge.rho for item in spent} <= set(per_round.values())
        (period,) = statements[council].periods
        assert period.period == str(now_utc().year)
        assert period.spent.rho == sum(item.charge.rho for item in spent)
        assert period.reserved.rho == 0
