"""What an attacker could gain: upper bounds, never overstated as safety, and right for the noise that is really used."""

import math
import re
from decimal import Decimal, getcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from federated.attacker_words import attacker_words, gain_of, hand_check, shown_down, shown_up
from federated.plan import derive_plan
from federated.privacy import Charge, Mechanism, Totals, zcdp_epsilon
from federated.schema import load_schema
from tests.unit.council_node.policy_cases import AGREEMENT, QUESTION, ROSTER, TERMS

DELTA = Fraction(1, 10**6)
RATIONALS = st.fractions(min_value=Fraction(1, 1000), max_value=12)


def pure(epsilon):
    return Charge(epsilon=epsilon, rho=epsilon**2 / 2, draws=1000)


def gaussian(rho):
    return Charge(epsilon=None, rho=rho, draws=1000)


@given(RATIONALS, st.fractions(min_value=Fraction(1, 100), max_value=Fraction(99, 100)))
def test_a_pure_charge_moves_the_odds_by_e_to_the_epsilon_and_no_less_is_said(epsilon, prior):
    getcontext().prec = 60
    gain = gain_of(Totals(epsilon=epsilon, rho=Fraction(10**6), draws=0), DELTA)
    exact = (Decimal(epsilon.numerator) / Decimal(epsilon.denominator)).exp()
    assert Decimal(gain.odds.numerator) / Decimal(gain.odds.denominator) >= exact
    assert float(gain.odds) == pytest.approx(float(exact), rel=1e-12)
    belief = gain.belief(prior)
    assert prior < belief < 1
    assert belief / (1 - belief) == gain.odds * prior / (1 - prior)


def test_the_figures_that_the_guide_for_reviewers_names():
    assert Fraction(731, 1000) < gain_of(pure(Fraction(1)), DELTA).belief(Fraction(1, 2)) < Fraction(732, 1000)
    assert Fraction(524, 1000) < gain_of(pure(Fraction(1, 10)), DELTA).belief(Fraction(1, 2)) < Fraction(525, 1000)
    words = attacker_words(pure(Fraction(1)), DELTA, "household")
    assert "from 50 in 100 to at most 73.2 in 100" in words[1]
    assert "less than one in a billion" in words[2]


@given(st.fractions(min_value=Fraction(1, 1000), max_value=3))
def test_under_gaussian_noise_the_odds_stay_within_the_bound_but_for_delta(rho):
    """The log of the odds is normal with mean rho and variance 2 rho: its tail is known exactly."""
    gain = gain_of(gaussian(rho), DELTA)
    assert gain.delta_based
    mean, sd, bound = float(rho), math.sqrt(2 * float(rho)), float(gain.epsilon)
    assert norm.sf((bound - mean) / sd) <= float(DELTA)
    assert norm.sf((bound - mean) / sd) + norm.cdf((-bound - mean) / sd) <= float(gain.failure)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=3))
def test_the_chance_counts_odds_that_rise_and_odds_that_fall(rho):
    """A pair of answers for which the bound is reached: with chance delta of a log of the odds of epsilon and over."""
    gain = gain_of(Charge(epsilon=None, rho=rho, draws=0), DELTA)
    rare = float(DELTA)
    where_it_is_not = rare * math.exp(-float(gain.epsilon))
    assert float(gain.failure) >= (rare + where_it_is_not) * (1 - 1e-12)
    assert gain.failure <= 2 * DELTA


def test_the_converted_epsilon_alone_would_overstate_the_safety():
    """The control of the test above: the ledger's (epsilon, delta) bounds an average, not the odds."""
    rho = Fraction(1, 10)
    converted = float(zcdp_epsilon(rho, DELTA))
    assert norm.sf((converted - float(rho)) / math.sqrt(2 * float(rho))) > float(DELTA)
    assert gain_of(gaussian(rho), DELTA).epsilon > converted


def test_many_pure_charges_are_bounded_by_whichever_sum_is_smaller():
    few = gain_of(Totals(epsilon=Fraction(2), rho=Fraction(2), draws=9), DELTA)
    many = gain_of(Totals(epsilon=Fraction(10), rho=Fraction(1, 2), draws=9), DELTA)
    assert (few.epsilon, few.delta_based) == (2, False)
    assert many.delta_based
    assert many.epsilon < 10


@given(st.fractions(min_value=0, max_value=1000), st.integers(min_value=0, max_value=8))
def test_figures_for_reading_are_rounded_to_look_no_better_than_they_are(value, decimals):
    up, down = (Fraction(text(value, decimals).replace(",", "")) for text in (shown_up, shown_down))
    assert down <= value <= up
    assert up - down <= Fraction(1, 10**decimals)


def test_a_guess_is_never_called_certain():
    words = " ".join(attacker_words(pure(Fraction(40)), DELTA, "household"))
    assert "nearly 100 in 100" in words
    assert "to at most 100 in 100" not in words


def test_it_says_that_it_is_a_limit_and_whom_it_counts():
    for words in (attacker_words(pure(Fraction(1)), DELTA, "person"), attacker_words(gaussian(DELTA), DELTA, "person")):
        said = " ".join(words)
        assert "not a promise that nothing is" in said
        assert "one person of one council" in said
        assert not re.search(r"\b(safe|anonymous|impossible|cannot be identified)\b", said)
    assert "at most one in 679,9" in attacker_words(gaussian(Fraction(1, 100)), DELTA, "person")[2]


@pytest.mark.parametrize("mechanism", Mechanism)
def test_a_line_can_be_done_again_by_hand(mechanism):
    plan = derive_plan(
        QUESTION, agreement=AGREEMENT, roster=ROSTER, schema=load_schema(), mechanism=mechanism, terms=TERMS
    )
    first, second, third = hand_check(plan)
    number = r"[\d.,]+(?:/\d+)?"
    if mechanism is Mechanism.DISCRETE_LAPLACE:
        sum_text, total = re.search(rf"added up: ([^=]+) = ({number}),", first).groups()
        parts = [re.fullmatch(rf"(\d+) × ({number})", part).groups() for part in sum_text.split(" + ")]
        assert Fraction(total) == plan.charge.epsilon
        by_hand = sum(int(times) * Fraction(step) for times, step in parts)
        assert 0 <= by_hand - Fraction(total) < Fraction(1, 10**4)
        assert second.endswith(f"= {plan.charge.rho}.")
    else:
        sum_text, total = re.search(rf"added up: (.+), about ({number}),", first).groups()
        parts = [re.fullmatch(rf"(\d+) / \(2 × ({number})\)", part).groups() for part in sum_text.split(" + ")]
        by_hand = sum(int(square) / (2 * Fraction(variance.replace(",", ""))) for square, variance in parts)
        assert float(by_hand) == pytest.approx(float(Fraction(total)), rel=1e-3)
        assert Fraction(total) >= plan.charge.rho
        rho, shown = float(plan.charge.rho), float(re.search(rf": ({number})\.$", second).group(1))
        assert shown == pytest.approx(rho + 2 * math.sqrt(rho * math.log(1 / float(plan.delta))), abs=2e-4)
    odds, guess = re.search(rf"100: ({number}) / \(1 \+ .*at most ({number}) in 100", third).groups()
    assert float(guess) == pytest.approx(100 * float(odds) / (1 + float(odds)), abs=0.11)
