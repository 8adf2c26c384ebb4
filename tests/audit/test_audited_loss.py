"""Privacy loss measured from outside: what a household adds can be told from noise no better than was charged for.

For each statistic and each kind of noise, its worst household is counted by the node with and without, the node's own
step 5 adds noise, a secure sum adds the councils up, and an attacker who knows everything else scores the totals that a
release holds. One council colludes and adds no noise, one is lost after dealing keys: the noise left is the least that
a release can carry. Many runs share one secure sum, each with a coin, cells and noise of its own.
"""

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from math import log

import numpy as np
import pytest
from scipy.stats import norm

from council_node.contribution import ApprovedPlan, ChargedPlan, add_noise
from council_node.local_statistic import LocalStatistic
from federated.privacy import Mechanism, zcdp_epsilon
from federated.release import make_tables
from federated.statistics import STATISTICS
from protocols.identifiers import RoundId
from protocols.secagg import Profile
from protocols.secagg.messages import Stage
from protocols.secagg.run import run_secure_sum
from tests import evidence
from tests.audit.lower_bounds import ERROR, confident, epsilon_of, lower_bound, rho_of
from tests.audit.worst_neighbours import COUNCILS, worst_neighbours
from tests.docs.audit_page import audited
from tests.statistical.planted_noise import plant_scale

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
RUNS = 24_000
FULL_RUNS = 600_000
SEVERAL_CELLS = 3
TIMES_AS_MANY = 4
"""So many times the runs where a household touches more cells than that: the event that tells most is rarer there."""
AT_ONCE = 1_500_000
"""Most cells in one secure sum."""
HALF = Fraction(1, 2)
DELTA = Fraction(1, 1_000_000)
SID = RoundId(bytes(32))


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was claimed of a statistic and what was found; both epsilon for Laplace noise, both rho for Gaussian.

    The loss in (epsilon, delta) at delta = 1e-6 goes with it for Gaussian noise.
    """

    claimed: float
    audited: float
    claimed_epsilon: float
    audited_epsilon: float
    part_of_claim: float
    runs: int

    def figures(self):
        return {
            "claimed": round(self.claimed, 6),
            "audited_at_least": round(self.audited, 6),
            "claimed_epsilon_at_delta": round(self.claimed_epsilon, 6),
            "audited_epsilon_at_delta": round(self.audited_epsilon, 6),
            "change_as_part_of_claim": round(self.part_of_claim, 4),
            "runs": self.runs,
        }


def wide(plan, runs):
    """The plan with the cells of many runs in its one block; each cell's noise is as before."""
    [block] = plan.noise.blocks
    return replace(plan, noise=replace(plan.noise, blocks=(replace(block, cells=runs * plan.cells),)))


def totals(neighbours, inside):
    """Released totals of many runs, through noise, masks, one colluder and one loss.

    Shapes:
        `inside` is `(runs,)`, the result `(runs, plan.cells)`.
    """
    plan, runs = neighbours.plan, len(inside)
    charged = ChargedPlan(approved=ApprovedPlan(plan=wide(plan, runs), sid=SID))
    honest = plan.rules.thresholds(COUNCILS).h
    own = np.where(inside[:, None], neighbours.inside, neighbours.without).reshape(-1)
    other = np.tile(neighbours.without, runs)
    home, colluder, lost, *_ = plan.eligible
    vectors = {council: own if council == home else other for council in plan.eligible}
    sent = {
        council: vector * plan.scale
        if council == colluder
        else add_noise(LocalStatistic(vector=vector), charged, honest=honest, rng=os.urandom).vector
        for council, vector in vectors.items()
    }
    found = run_secure_sum(
        sent,
        rng=os.urandom,
        profile=Profile.CAREFUL,
        ring=plan.ring,
        min_honest=plan.rules.min_honest,
        drop={Stage.MASKED_INPUT: frozenset({lost})},
    )
    assert lost not in found.u3
    assert len(found.u3) - 1 == honest == found.thresholds.h
    each = found.total.reshape(runs, plan.cells)
    if plan.rounds == 1:
        # A release holds the totals as they are; whatever else it prints is made from them.
        [table] = make_tables(plan, each[0], joined=COUNCILS, contributors=len(found.u3))
        assert list(table.totals) == each[0].tolist()
    return each


def scores(neighbours, found):
    """Log-likelihood ratio of inside to not, over the cells that the household touches, by the planned law.

    Shapes:
        `found` is `(runs, plan.cells)`, the result `(runs,)`.
    """
    plan = neighbours.plan
    honest = plan.rules.thresholds(COUNCILS).h
    law = plan.released_noise(0, joined=COUNCILS, contributors=honest)
    first, probabilities = law.pmf()
    logs = np.log(np.maximum(probabilities, 1e-300))
    result = np.zeros(len(found))
    for cell in np.flatnonzero(neighbours.change):
        # Each of the contributors' extracts holds the same other rows.
        noise = found[:, cell] - (honest + 1) * plan.scale * neighbours.without[cell]
        moved = noise - plan.scale * neighbours.change[cell]
        for values, sign in ((moved, 1), (noise, -1)):
            result += sign * logs[np.clip(values - first, 0, len(logs) - 1)]
    return np.round(result, 9)


def audit(code, mechanism, runs, seed, directory):
    neighbours = worst_neighbours(code, mechanism, directory)
    plan = neighbours.plan
    if np.count_nonzero(neighbours.change) > SEVERAL_CELLS:
        runs *= TIMES_AS_MANY
    rng = np.random.default_rng([seed, list(STATISTICS).index(code)])
    found, coins = [], []
    for part in np.array_split(np.arange(runs), -(-runs * plan.cells // AT_ONCE)):
        inside = rng.integers(0, 2, size=len(part)) == 1
        coins.append(inside)
        found.append(scores(neighbours, totals(neighbours, inside)))
    every, inside = np.concatenate(found), np.concatenate(coins)
    # Each round of several is charged by itself; what one round shows is held against its own charge.
    rho, delta = plan.round_charge.rho, float(DELTA)
    pure = plan.round_charge.epsilon
    at_delta = lower_bound(every, inside, lambda rates: epsilon_of(rates, delta))
    return Audit(
        claimed=float(rho if pure is None else pure),
        audited=lower_bound(every, inside, rho_of if pure is None else epsilon_of),
        claimed_epsilon=float(zcdp_epsilon(rho, DELTA) if pure is None else pure),
        audited_epsilon=at_delta,
        part_of_claim=neighbours.part_of_claim,
        runs=runs,
    )


def audit_all(mechanism, runs, seed, directory):
    found = {}
    for code in audited(mechanism):
        place = directory / f"{mechanism.value}-{code}"
        place.mkdir(parents=True)
        found[code] = audit(code, mechanism, runs, seed, place)
        print(f"{mechanism.value}, {code}, seed {seed}: {found[code].figures()}")
    return found


def halve_noise(monkeypatch):
    plant_scale(monkeypatch, HALF)
    # Nodes refuse to draw Gaussian shares that are too small to be accounted for; that guard is off as well.
    monkeypatch.setattr("federated.privacy.mechanism.LEAST_SHARE_VARIANCE", Fraction(1, 2))


def new_seed():
    return int.from_bytes(os.urandom(4), "big")


@pytest.mark.parametrize("mechanism", Mechanism)
def test_no_statistic_loses_more_than_is_claimed(mechanism, tmp_path):
    for item in audit_all(mechanism, RUNS, new_seed(), tmp_path).values():
        assert item.audited <= item.claimed
        assert item.audited_epsilon <= item.claimed_epsilon
        assert 0.9 < item.part_of_claim <= 1
        assert item.audited > item.claimed / 8, "an audit that finds next to nothing would find no fault either"


@pytest.mark.parametrize("mechanism", Mechanism)
def test_noise_halved_in_the_nodes_is_seen_for_every_statistic(mechanism, tmp_path, monkeypatch):
    halve_noise(monkeypatch)
    for item in audit_all(mechanism, RUNS, new_seed(), tmp_path).values():
        assert item.audited > item.claimed


def test_a_sensitivity_understated_by_half_is_seen(tmp_path, monkeypatch):
    found = worst_neighbours("mean", LAPLACE, tmp_path)
    twice = replace(found, inside=found.without + 2 * found.change)
    monkeypatch.setattr("tests.audit.test_audited_loss.worst_neighbours", lambda *_: twice)
    item = audit("mean", LAPLACE, RUNS, new_seed(), tmp_path)
    assert item.audited > item.claimed


def test_bounds_from_exact_shares_are_the_known_losses():
    half = confident(500_000, 1_000_000, 500_000, 1_000_000)
    assert half.likelier < 1 / 2 < half.other
    assert epsilon_of(half) == rho_of(half) == 0
    known = replace(half, likelier=0.5, other=0.5 / np.e)
    assert epsilon_of(known) == pytest.approx(1)
    assert epsilon_of(known, 0.25) == pytest.approx(1 - log(2))
    # A threshold in the middle of two normal laws 2 apart: rho is 2, and one event shows a part of it.
    gaussian = replace(half, likelier=float(norm.cdf(1)), other=float(norm.cdf(-1)))
    assert 1 < rho_of(gaussian) < 2


def test_a_bound_is_above_the_truth_as_seldom_as_it_says():
    """Laplace noise of epsilon 1 itself: of 60 bounds none is above 1, and most are near it."""
    rng = np.random.default_rng(1)
    bounds = []
    for _ in range(60):
        inside = rng.integers(0, 2, size=4_000) == 1
        bounds.append(lower_bound(np.clip(rng.laplace(size=4_000) + inside, 0, 1), inside, epsilon_of))
    assert max(bounds) < 1
    assert np.median(bounds) > 0.6
    assert ERROR < 1e-5


@pytest.mark.long
@pytest.mark.parametrize("mechanism", Mechanism)
def test_audit_at_full_size(mechanism, tmp_path, monkeypatch):
    seed = new_seed()
    found = audit_all(mechanism, FULL_RUNS, seed, tmp_path / "planned")
    assert all(item.audited <= item.claimed for item in found.values())
    with monkeypatch.context() as patch:
        halve_noise(patch)
        halved = audit_all(mechanism, RUNS, seed, tmp_path / "halved")
    assert all(item.audited > item.claimed for item in halved.values())
    evidence.record(
        f"audit/{mechanism.value}",
        {
            "measure": "epsilon" if mechanism is LAPLACE else "rho",
            "confidence": 1 - ERROR,
            "statistics": {code: item.figures() for code, item in found.items()},
            "with_noise_halved": {code: round(item.audited, 6) for code, item in halved.items()},
        },
        test="tests/audit/test_audited_loss.py",
        n=FULL_RUNS,
        seed=seed,
    )
