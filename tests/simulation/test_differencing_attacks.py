"""Differencing succeeds where small counts are hidden, and not here; and a federation without noise is seen to fail."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import exp, sqrt

import numpy as np
import pytest
from scipy.stats import norm

from coordinator.simulate_attacks import simulate_attacks
from federated.attack.attacks import ATTACKS, BUDGET
from federated.attack.bound import largest_success
from federated.attack.crowd import MOST_TRIALS, make_crowd
from federated.attack.guess import Answered, shown, success_by_likelihood, success_by_subtraction, success_under_hiding
from federated.demo.world import choose_councils
from federated.errors import QueryError
from federated.privacy import Mechanism, Totals, released_noise
from federated.synthetic import true_table
from tests import evidence

TRIALS = 200
COUNCILS = 6
SEED = 4
DELTA = Fraction(1, 1_000_000)
FOUR_ERRORS = 4 * sqrt(1 / (4 * TRIALS))
NAMED = {attack.name: attack for attack in ATTACKS}


def attacked(*names, mechanism=None):
    attacks = tuple(NAMED[name] for name in names) or ATTACKS
    found = simulate_attacks(trials=TRIALS, seed=SEED, councils=COUNCILS, attacks=attacks, mechanism=mechanism)
    for item in found.outcomes:
        print(f"{item.attack.name}: {item.success:.3f} of at most {item.bound:.3f}; hidden {item.hidden}")
    return found


def over_its_bound(outcome):
    return outcome.success > outcome.bound + FOUR_ERRORS


def test_every_attack_succeeds_where_small_counts_are_hidden_and_stays_under_the_bound_here():
    found = attacked()
    assert [item.attack for item in found.outcomes] == list(ATTACKS)
    for item in found.outcomes:
        assert item.hidden[1] >= 0.9
        assert not over_its_bound(item)
        assert item.by_subtraction <= item.bound + FOUR_ERRORS
        assert item.free_answers == 3
        assert item.answers == BUDGET / item.attack.epsilon
        assert "already spent or reserved" in item.refusal
    spent = {item.attack.name: item.spent.epsilon for item in found.outcomes}
    assert spent == dict.fromkeys(NAMED, BUDGET) | {"one_council_more": BUDGET / 2}
    printed = found.as_json()
    assert printed["threshold_only"]["success"] >= 0.9
    assert printed["ours"]["success"] <= printed["ours"]["bound"] + FOUR_ERRORS
    assert printed["ours"]["attack"] in NAMED


@pytest.mark.long
def test_attacks_at_full_size():
    found = simulate_attacks(trials=MOST_TRIALS, seed=SEED)
    assert all(item.success <= item.bound + 4 * found.standard_error for item in found.outcomes)
    evidence.record(
        "differencing",
        found.as_json(),
        test="tests/simulation/test_differencing_attacks.py",
        n=MOST_TRIALS,
        seed=SEED,
    )


def test_under_gaussian_noise_rho_bounds_the_guesses():
    [item] = attacked("published_table", mechanism=Mechanism.DISCRETE_GAUSSIAN).outcomes
    assert item.spent.epsilon is None
    assert item.bound < 0.6
    assert not over_its_bound(item)


def test_without_noise_in_the_nodes_the_attack_goes_over_its_bound(monkeypatch):
    def nothing(spec, *, honest, rng):
        return np.zeros(spec.cells, dtype=np.int64)

    monkeypatch.setattr("council_node.contribution.sample_noise_share", nothing)
    for item in attacked("published_table", "one_council_more").outcomes:
        assert item.success > 0.99
        assert over_its_bound(item)


def test_a_ledger_that_refuses_nothing_is_seen(monkeypatch):
    monkeypatch.setattr("council_node.ledger.check_budget", lambda *_: None)
    monkeypatch.setattr("coordinator.simulate_attacks.MOST_ASKED", 4)
    [item] = attacked("one_council_more").outcomes
    assert item.refusal == ""
    assert item.answers == 4


def crowd_of(trials=40, seed=SEED):
    return make_crowd(tuple(choose_councils(COUNCILS)), trials=trials, seed=seed)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_counts_by_the_attack_are_those_by_hand_over_the_records(attack):
    crowd = crowd_of()
    cases = crowd.cases()
    for view in attack.views:
        question = view.question(Fraction(1))
        asked = [of_one for council, of_one in cases.items() if not (view.smaller and council == crowd.home)]
        truth = true_table(asked, question.tables[0], question.period, question.where)
        assert [truth.get(cell, 0) for cell in crowd.cells] == view.exact(crowd).tolist()
        assert sum(truth.values()) == view.exact(crowd).sum()


def test_each_pair_differs_by_the_target_alone():
    crowd = crowd_of()
    assert 0 < crowd.inside.sum() < crowd.trials
    for pair in (pair for attack in ATTACKS for pair in attack.pairs):
        assert pair.holding.holds_target
        without = pair.holding.others(crowd) if pair.without is None else pair.without.exact(crowd)
        assert np.array_equal(pair.holding.exact(crowd) - without, crowd.inside)


@pytest.mark.parametrize("trials", [19, MOST_TRIALS + 1])
def test_a_number_of_trials_that_there_is_no_room_for_is_refused(trials):
    with pytest.raises(QueryError, match="20 to 2000 trials"):
        crowd_of(trials)


def test_small_counts_are_hidden_and_others_rounded():
    counts = np.array([0, 1, 4, 5, 7, 8, 12, 15])
    assert shown(counts, 1).tolist() == [0, -1, -1, 5, 7, 8, 12, 15]
    assert shown(counts, 5).tolist() == [0, -1, -1, 5, 5, 10, 10, 15]
    assert shown(counts, 10).tolist() == [0, -1, -1, 10, 10, 10, 10, 20]


def test_where_everything_is_hidden_hiding_protects():
    """Otherwise the success under hiding would be a figure that cannot fail."""
    crowd = crowd_of(trials=1000)
    few = replace(crowd, cell=crowd.cell[:0], council=crowd.council[:0], band=crowd.band[:0], day=crowd.day[:0])
    two = replace(few, cell=np.repeat(np.arange(1000), 2), council=np.zeros(2000, dtype=int), band=np.zeros(2000, int))
    two = replace(two, day=np.full(2000, np.datetime64("2025-01-02")))
    assert success_under_hiding(NAMED["published_table"], two) == pytest.approx(1 / 2, abs=0.07)
    assert success_under_hiding(NAMED["published_table"], crowd) == 1


@pytest.mark.parametrize("epsilon", [Fraction(1, 4), Fraction(1), Fraction(2)])
def test_the_pure_bound_is_the_success_of_the_best_guesser_at_discrete_laplace_noise(epsilon):
    law = released_noise(Mechanism.DISCRETE_LAPLACE, epsilon, scale=1, honest=4, contributors=4)
    _, probabilities = law.pmf()
    variation = np.abs(np.diff(probabilities, prepend=0, append=0)).sum() / 2
    bound = largest_success(Totals(epsilon=epsilon, rho=Fraction(10)), DELTA)
    assert bound == pytest.approx((1 + variation) / 2, abs=2e-9)
    assert bound == pytest.approx(exp(epsilon) / (1 + exp(epsilon)), abs=2e-9)


def test_the_bound_of_rho_is_above_what_gaussian_noise_allows_and_never_above_that_of_epsilon():
    for rho in (Fraction(1, 100), Fraction(1, 8), Fraction(1, 2), Fraction(2), Fraction(9)):
        exactly = norm.cdf(sqrt(2 * rho) / 2)
        assert exactly < largest_success(Totals(epsilon=None, rho=rho), DELTA) <= 1
    for epsilon, rho in product((Fraction(1, 10), Fraction(3)), (Fraction(1, 200), Fraction(5))):
        both, pure = (largest_success(Totals(epsilon=epsilon, rho=r), DELTA) for r in (rho, Fraction(500)))
        assert both <= pure


def test_the_likelihood_guesser_is_right_as_often_as_the_law_allows_and_better_than_subtraction():
    crowd, view = crowd_of(trials=MOST_TRIALS), NAMED["published_table"].pairs[0].holding
    law = released_noise(Mechanism.DISCRETE_LAPLACE, Fraction(2), scale=1, honest=4, contributors=4)
    first, probabilities = law.pmf()
    places = np.random.default_rng(1).choice(
        len(probabilities), size=crowd.trials, p=probabilities / probabilities.sum()
    )
    answer = Answered(view=view, totals=view.exact(crowd) + first + places, noise=law)
    best = success_by_likelihood([answer], crowd)
    assert best == pytest.approx(exp(2) / (1 + exp(2)), abs=0.04)
    assert success_by_subtraction([answer], NAMED["published_table"].pairs, crowd) <= best
    assert (
        success_by_likelihood([], crowd) == success_by_subtraction([], NAMED["one_council_more"].pairs, crowd) == 1 / 2
    )
