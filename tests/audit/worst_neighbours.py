"""For each statistic the household that changes most: found among the small households that the specifications list."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from council_node.local_statistic import compute_local_statistic
from federated.demo.papers import GROUP
from federated.iteration import Iteration
from federated.plan import Plan, derive_plan
from federated.privacy import Mechanism
from protocols.secagg import Profile
from tests.spec.council import case_dataset, extract_of, question
from tests.spec.reference_evaluator import reference_vector
from tests.spec.statistics import specifications
from tests.unit.federated import planning

COUNCILS = 4
"""With the careful profile: one may collude, three must answer, and two honest shares carry the whole noise."""
EPSILON = {Mechanism.DISCRETE_LAPLACE: Fraction(1), Mechanism.DISCRETE_GAUSSIAN: Fraction(4)}
"""Gaussian noise of epsilon 1 costs a rho of 0.02 only, which takes very many runs to tell from nothing."""
REGION = "E12000001"
TRIED = 50

AGREEMENT = planning.agreement(COUNCILS, Profile.CAREFUL, max(EPSILON.values()))
ROSTER = planning.roster(COUNCILS)


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """One council's figures with and without a household, as its node computes them, and what is claimed of it.

    Shapes:
        `without` and `inside` are `(plan.cells,)`.
    """

    plan: Plan
    without: NDArray[np.int64]
    inside: NDArray[np.int64]

    @property
    def change(self) -> NDArray[np.int64]:
        return self.inside - self.without

    @property
    def part_of_claim(self) -> float:
        """What the household changes, as a part of what is claimed; below 1 where only numbers that the node holds to
        the column's own bounds would change more."""
        power = 1 if self.plan.mechanism is Mechanism.DISCRETE_LAPLACE else 2
        [claimed] = self.plan.sensitivities
        return float(np.sum(np.abs(self.change) ** power) / claimed)


def worst_neighbours(code: str, mechanism: Mechanism, directory) -> Neighbours:
    """The neighbours whose change is nearest to what is claimed: l1 under Laplace noise, squared l2 under Gaussian."""
    power = 1 if mechanism is Mechanism.DISCRETE_LAPLACE else 2
    universes = [universe for item in specifications() if item.code == code for universe in item.universes]
    tight = [universe for universe in universes if universe.tight[power - 1]]
    # Where a claim is only a bound, the coefficients of a round decide how near a household comes to it.
    found = [_worst_of(universe, mechanism, power, directory) for universe in tight[:1] or universes]
    return max(found, key=lambda item: item.part_of_claim)


def _worst_of(universe, mechanism, power, directory):
    asked = replace(question(universe.table), group=GROUP, epsilon=EPSILON[mechanism])
    plan = derive_plan(
        asked,
        agreement=AGREEMENT,
        roster=ROSTER,
        schema=planning.SCHEMA,
        mechanism=mechanism,
        terms=planning.terms(),
    )
    others = [{"household": "other", **row} for row in universe.kinds[:3]]
    without = node_vector(directory, others, plan, universe)
    found = []
    # Of a claim that no household reaches, every one that changes most is as good.
    tried = TRIED if universe.tight[power - 1] else 1
    for household in islice(most_changing(universe, others, plan, power), tried):
        inside = node_vector(directory, [*others, *household], plan, universe)
        found.append(Neighbours(plan=plan, without=without, inside=inside))
        if found[-1].part_of_claim == 1:
            break
    return max(found, key=lambda item: item.part_of_claim)


def node_vector(directory, rows, plan, universe):
    tables = plan.tables_at(Iteration(number=2, coefficients=universe.coefficients) if plan.rounds > 1 else None)
    with extract_of(directory, rows, plan.question.columns()) as extract:
        return compute_local_statistic(extract, plan.question, tables, region=REGION).vector


def most_changing(universe, others, plan, power):
    """Households that the reference says change most, those that touch the fewest cells first."""
    [planned] = plan.tables

    def vector(rows):
        return np.array(
            reference_vector(
                rows,
                plan.question,
                universe.table,
                planned.layout,
                case_dataset(),
                region=REGION,
                draw=lambda household, identity: hash((household, identity)),
                mechanism=plan.mechanism,
                coefficients=universe.coefficients,
            )
        )

    without = vector(others)
    changes = [(household, vector([*others, *household]) - without) for household in universe.households()]
    sizes = [np.sum(np.abs(change) ** power) for _, change in changes]
    most = [
        (int(np.count_nonzero(change)), household)
        for (household, change), size in zip(changes, sizes, strict=True)
        if size == max(sizes)
    ]
    return (household for _, household in sorted(most, key=lambda item: item[0]))
