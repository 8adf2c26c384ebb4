"""The filter: either sum may fit, nothing else passes, and what it says remains is what passes."""

from fractions import Fraction
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import BudgetExceeded
from federated.privacy import Budget, Charge, Totals, check_budget, remaining, zcdp_epsilon
from federated.privacy.rounding import GRID
from protocols.errors import LocalProtocolError

ONE = Budget(epsilon=Fraction(1), delta=Fraction(1, 10**6))


def pure(epsilon, draws=0):
    epsilon = Fraction(epsilon)
    return Charge(epsilon=epsilon, rho=epsilon**2 / 2, draws=draws)


def gaussian(rho, draws=0):
    return Charge(epsilon=None, rho=Fraction(rho), draws=draws)


def after(*charges):
    totals = Totals()
    for charge in charges:
        totals = totals.plus(charge)
    return totals


def allowed(totals, charge, budget=ONE):
    try:
        check_budget(totals, charge, budget)
    except BudgetExceeded:
        return False
    return True


def test_the_whole_pure_budget_may_be_spent_and_not_a_step_more():
    assert allowed(Totals(), pure(1))
    assert not allowed(Totals(), pure(Fraction(1) + Fraction(1, 10**9)))
    thirds = after(pure("1/3"), pure("1/3"))
    assert allowed(thirds, pure("1/3"))
    assert not allowed(thirds, pure("1/3") and pure(Fraction(1, 3) + Fraction(1, 10**9)))
    assert not allowed(after(pure("1/3"), pure("1/3"), pure("1/3")), pure("1/1000000"))


def test_the_zcdp_side_alone_carries_many_small_questions():
    """Forty questions of epsilon 1/30 sum to 4/3, over the pure budget, but their rho still converts to less than 1."""
    totals = after(*[pure("1/30")] * 39)
    assert totals.epsilon > 1
    assert zcdp_epsilon(totals.plus(pure("1/30")).rho, ONE.filter_delta) <= 1
    assert allowed(totals, pure("1/30"))


def test_the_pure_side_alone_carries_one_large_question():
    assert zcdp_epsilon(pure(1).rho, ONE.delta) > 3
    assert allowed(Totals(), pure(1))


def test_one_gaussian_question_ends_the_pure_side():
    totals = after(gaussian("1/1000000"))
    assert totals.epsilon is None
    assert allowed(Totals(), pure("99/100"))
    assert not allowed(totals, pure("99/100"))
    assert after(pure("1/2"), gaussian("1/1000"), pure("1/4")).epsilon is None


def test_the_zcdp_side_ends_at_its_converted_epsilon_with_the_filter_s_part_of_delta():
    limit = ONE.rho
    assert zcdp_epsilon(limit, ONE.delta * Fraction(999, 1000)) <= 1
    assert allowed(Totals(), gaussian(limit))
    assert not allowed(Totals(), gaussian(limit + Fraction(1, 1 << 47)))
    # At the whole of delta a little more would fit; that part is kept for the sampler.
    at_whole_delta = limit + Fraction(1, 1 << 20) / 1000
    assert zcdp_epsilon(at_whole_delta, ONE.delta) <= 1
    assert not allowed(Totals(), gaussian(at_whole_delta))


def test_the_sampler_s_draws_are_accounted_for():
    covered = int(2**128 * 1e-9 / (1 + exp(1)))
    few, many = int(covered * 0.999), int(covered * 1.001)
    assert allowed(Totals(), pure("1/2", draws=few))
    assert not allowed(Totals(), pure("1/2", draws=many))
    assert not allowed(after(pure("1/4", draws=many - few)), pure("1/4", draws=few))
    with pytest.raises(BudgetExceeded, match="random draws"):
        check_budget(Totals(), pure("1/2", draws=many), ONE)


def test_a_budget_so_large_that_the_sampler_is_not_covered_is_refused_at_once():
    for epsilon in (100, 10**3, 10**30):
        huge = Budget(epsilon=Fraction(epsilon), delta=Fraction(1, 10**6))
        assert not allowed(Totals(), pure("1/2", draws=1000), huge)
    assert allowed(Totals(), pure("1/2", draws=1000), Budget(epsilon=Fraction(20), delta=Fraction(1, 10**6)))


def test_the_refusal_says_asked_spent_left_and_what_to_do():
    with pytest.raises(BudgetExceeded) as refusal:
        check_budget(after(pure("3/4")), pure("1/2"), ONE)
    assert refusal.value.rule == "budget"
    assert "costs epsilon 0.5;" in str(refusal.value)
    assert "epsilon 1, 0.75 is already spent or reserved" in str(refusal.value)
    assert "room for epsilon 0.25" in str(refusal.value)
    assert "stored release" in refusal.value.remedy
    with pytest.raises(BudgetExceeded, match=r"costs rho 0.05;.* room for rho 0.02435"):
        check_budget(Totals(), gaussian("1/20"), ONE)
    with pytest.raises(BudgetExceeded, match="room for epsilon 0"):
        check_budget(after(pure(1)), pure("1/2"), ONE)


def test_figures_in_the_refusal_are_rounded_to_look_no_better():
    with pytest.raises(BudgetExceeded, match=r"costs epsilon 0.6667; .* 0.3334 is .* room for epsilon 0.6666"):
        check_budget(after(pure("1/3")), pure(Fraction(2, 3) + Fraction(1, 10**9)), ONE)


charges = st.one_of(
    st.fractions(min_value=Fraction(1, 1000), max_value=Fraction(1, 3)).map(pure),
    st.fractions(min_value=Fraction(1, 10**6), max_value=Fraction(1, 100)).map(gaussian),
)


@given(st.lists(charges, max_size=6), st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(3)]))
@settings(max_examples=150, deadline=None)
def test_what_remains_is_what_passes(spent, epsilon):
    budget, totals = Budget(epsilon=epsilon, delta=Fraction(1, 10**7)), after(*spent)
    left = remaining(totals, budget)
    assert left.epsilon >= 0
    assert left.rho >= 0
    if left.epsilon > 0:
        assert allowed(totals, pure(left.epsilon), budget)
    if left.rho > 0:
        assert allowed(totals, gaussian(left.rho), budget)
    assert not allowed(totals, pure(left.epsilon + Fraction(1, 10**5)), budget)
    assert not allowed(totals, gaussian(left.rho + Fraction(1, 10**12)), budget)


@given(st.lists(charges, max_size=30))
@settings(max_examples=60, deadline=None)
def test_whatever_was_allowed_one_of_the_two_sums_still_fits(asked):
    totals = Totals()
    for charge in asked:
        if allowed(totals, charge):
            totals = totals.plus(charge)
    fits_pure = totals.epsilon is not None and totals.epsilon <= 1
    assert fits_pure or zcdp_epsilon(totals.rho, ONE.filter_delta) <= 1


@given(st.lists(st.integers(3, 10**15), min_size=1, max_size=30))
@settings(deadline=None)
def test_sums_stay_short_and_never_fall_below_the_exact_sum(denominators):
    epsilons = [Fraction(1, denominator) for denominator in denominators]
    totals = after(*[pure(epsilon) for epsilon in epsilons])
    assert totals.epsilon.denominator <= GRID
    assert sum(epsilons) <= totals.epsilon <= sum(epsilons) + Fraction(len(epsilons), GRID)
    assert sum(epsilon**2 / 2 for epsilon in epsilons) <= totals.rho


@pytest.mark.parametrize("bad", [0.5, 1])
def test_no_float_enters_a_total_or_a_budget(bad):
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        Totals(epsilon=bad, rho=Fraction(0), draws=0)
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        Totals(epsilon=None, rho=bad, draws=0)
    with pytest.raises(LocalProtocolError, match="whole number"):
        Totals(epsilon=None, rho=Fraction(0), draws=0.0)
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        Budget(epsilon=bad, delta=Fraction(1, 10))
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        Budget(epsilon=Fraction(1), delta=bad)


def test_impossible_budgets_and_totals_are_refused():
    for delta in (Fraction(0), Fraction(1)):
        with pytest.raises(LocalProtocolError, match="delta must be"):
            Budget(epsilon=Fraction(1), delta=delta)
    with pytest.raises(LocalProtocolError, match="above 0"):
        Budget(epsilon=Fraction(0), delta=Fraction(1, 10))
    with pytest.raises(LocalProtocolError, match="total rho"):
        Totals(rho=Fraction(-1))
    with pytest.raises(LocalProtocolError, match="total epsilon"):
        Totals(epsilon=Fraction(-1))
    with pytest.raises(LocalProtocolError, match="total draws"):
        Totals(draws=-1)
