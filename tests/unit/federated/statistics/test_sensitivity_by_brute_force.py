"""Every small household, against every statistic: what it can change is exactly what the statistic claims."""

import pytest

from federated.privacy import Mechanism
from federated.statistics import STATISTICS, statistic
from tests.spec.council import REGIONS, case_dataset, layout_of, question
from tests.spec.reference_evaluator import reference_vector
from tests.spec.statistics import specifications

EACH = [
    pytest.param(universe, id=f"{item.code}-{place}")
    for item in specifications()
    for place, universe in enumerate(item.universes)
]


IN_STEPS = 0.93
"""Least part of a claim in steps that some household reaches."""


def some_draw(salt):
    """Any choice that looks at one household's items only; two of them, so that no lucky order hides a fault."""
    return lambda household, identity: hash((salt, household, identity))


def largest_changes(universe):
    """In l1 of what is sent under Laplace noise, and in squared l2 of what is sent under Gaussian noise."""
    table = universe.table
    asked = question(table)
    layout = layout_of(table, asked)
    others = [{"household": "other", **row} for row in universe.kinds[:3]]

    def vector(rows, draw, mechanism):
        return reference_vector(
            rows,
            asked,
            table,
            layout,
            case_dataset(),
            region=REGIONS[0][0],
            draw=draw,
            mechanism=mechanism,
            coefficients=universe.coefficients,
        )

    largest = []
    for mechanism, power in ((Mechanism.DISCRETE_LAPLACE, 1), (Mechanism.DISCRETE_GAUSSIAN, 2)):
        sizes = [0]
        for salt in (1, 2):
            draw = some_draw(salt)
            without = vector(others, draw, mechanism)
            for own in universe.households():
                change = zip(vector([*others, *own], draw, mechanism), without, strict=True)
                sizes.append(sum(abs(a - b) ** power for a, b in change))
        largest.append(max(sizes))
    return tuple(largest)


@pytest.mark.drawn(30)
@pytest.mark.parametrize("universe", EACH)
def test_largest_change_is_the_claim_and_no_less(universe):
    # Equality is what makes a bound that is off by one fail, whichever way; a claim that is only a bound says so.
    claimed = statistic(universe.table.statistic).sensitivity(universe.table)
    for found, bound, tight in zip(
        largest_changes(universe), (claimed.l1, claimed.l2_squared), universe.tight, strict=True
    ):
        assert found == bound if tight else found <= bound


@pytest.mark.drawn(5)
@pytest.mark.parametrize("code", STATISTICS)
def test_every_statistic_is_covered_here_and_an_understated_bound_is_seen(code):
    universes = [item.universes for item in specifications() if item.code == code]
    assert universes, f"tests/spec has no specification of '{code}'"
    for norm in (0, 1):
        reached = [universe for universe in universes[0] if universe.tight[norm]]
        if statistic(code).contribution(universes[0][0].table).step > 1:
            # In steps the claim adds what rounding can: a few steps of the many that a household changes.
            claims = [statistic(code).sensitivity(universe.table) for universe in universes[0]]
            found = [largest_changes(universe)[norm] for universe in universes[0]]
            bounds = [(claimed.l1, claimed.l2_squared)[norm] for claimed in claims]
            assert max(one / bound for one, bound in zip(found, bounds, strict=True)) > IN_STEPS
            continue
        assert reached, f"no universe of '{code}' reaches the claim"
        claimed = statistic(code).sensitivity(reached[0].table)
        assert largest_changes(reached[0])[norm] > (claimed.l1, claimed.l2_squared)[norm] - 1


def test_every_statistic_is_known_by_its_code():
    assert all(statistic(code).code == code for code in STATISTICS)
    assert all(statistic(code).title for code in STATISTICS)
