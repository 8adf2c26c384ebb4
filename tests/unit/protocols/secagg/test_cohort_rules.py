"""The table of `protocol.md` 1.1, and the refusals around it."""

from fractions import Fraction

import pytest

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.secagg import BelowThreshold, CohortRuleBroken, CohortRules, Profile, Thresholds


def rules(profile, eligible, *, min_cohort=4, min_honest=3):
    return CohortRules(profile=Profile(profile), eligible_count=eligible, min_cohort=min_cohort, min_honest=min_honest)


@pytest.mark.parametrize(
    ("profile", "numbers", "may_be_lost", "inflation"),
    [
        ("standard", (10, 9, 1, 8), 1, "1.118"),
        ("standard", (20, 18, 1, 17), 2, "1.085"),
        ("standard", (33, 30, 1, 29), 3, "1.067"),
        ("standard", (100, 90, 5, 85), 10, "1.085"),
        ("standard", (310, 279, 15, 264), 31, "1.084"),
        ("careful", (10, 7, 3, 4), 3, "1.58"),
        ("careful", (20, 14, 6, 8), 6, "1.58"),
        ("careful", (33, 23, 11, 12), 10, "1.66"),
        ("careful", (100, 67, 33, 34), 33, "1.71"),
        ("careful", (310, 207, 103, 104), 103, "1.73"),
    ],
)
def test_the_published_table(profile, numbers, may_be_lost, inflation):
    n, t, c, h = numbers
    found = rules(profile, n).thresholds(n)
    assert found == Thresholds(n=n, t=t, c=c, h=h)
    assert found.may_be_lost == may_be_lost
    # Inflation is √(n/h), rounded to so many places: compared as squares, in integers.
    half_step = Fraction(1, 2 * 10 ** len(inflation.split(".")[1]))
    low, high = Fraction(inflation) - half_step, Fraction(inflation) + half_step
    assert low**2 <= Fraction(n, h) <= high**2


def test_the_examples_of_smaller_rounds_in_a_cohort_of_310():
    assert rules("standard", 310).thresholds(250) == Thresholds(n=250, t=225, c=15, h=210)
    assert rules("careful", 310).thresholds(250) == Thresholds(n=250, t=177, c=103, h=74)
    assert rules("standard", 310).thresholds(100) == Thresholds(n=100, t=90, c=15, h=75)
    with pytest.raises(CohortRuleBroken) as caught:
        rules("careful", 310).thresholds(100)
    assert caught.value.rule == "quorum"


@pytest.mark.parametrize("n", range(4, 10))
def test_standard_below_ten_may_lose_nobody(n):
    assert rules("standard", n).thresholds(n).may_be_lost == 0


def test_careful_with_five_may_lose_one():
    assert rules("careful", 5).thresholds(5) == Thresholds(n=5, t=4, c=1, h=3)


@pytest.mark.parametrize(
    ("broken", "cohort", "n"),
    [
        ("smallest_round", rules("standard", 10, min_cohort=1, min_honest=1), 3),
        ("eligible", rules("standard", 10), 11),
        ("min_cohort", rules("standard", 20, min_cohort=10), 9),
        ("quorum", rules("careful", 30), 10),
        ("min_honest", rules("careful", 20, min_honest=9), 20),
        ("min_honest", rules("careful", 20), 7),
    ],
)
def test_each_rule_refuses_under_its_own_name(broken, cohort, n):
    with pytest.raises(CohortRuleBroken) as caught:
        cohort.thresholds(n)
    assert caught.value.rule == broken
    assert isinstance(caught.value, BelowThreshold)
    assert isinstance(caught.value, RemoteProtocolError)


@pytest.mark.parametrize("profile", list(Profile))
def test_the_quorum_holds_wherever_a_round_is_allowed(profile):
    allowed = 0
    for eligible in range(4, 351, 3):
        for n in range(4, eligible + 1, 5):
            try:
                found = rules(profile, eligible, min_honest=1).thresholds(n)
            except CohortRuleBroken:
                continue
            allowed += 1
            assert found.t <= n
            assert 2 * found.t > n + found.c
            assert found.h == found.t - found.c >= 1
            assert profile is not Profile.STANDARD or 10 * found.t >= 9 * n
    assert allowed > 500


@pytest.mark.parametrize("wrong", [(10, 11, 1, 10), (10, 5, 1, 4), (10, 7, 4, 3), (10, 9, 1, 9)])
def test_numbers_that_are_no_quorum_cannot_be_written_down(wrong):
    n, t, c, h = wrong
    with pytest.raises(LocalProtocolError):
        Thresholds(n=n, t=t, c=c, h=h)


@pytest.mark.parametrize("wrong", [{"eligible": 0}, {"min_cohort": 0}, {"min_honest": 0}])
def test_rules_that_rule_nothing_are_refused(wrong):
    with pytest.raises(LocalProtocolError):
        rules("standard", **{"eligible": 5} | wrong)
