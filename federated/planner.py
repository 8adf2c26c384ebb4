"""The analyst's choice between the two noise mechanisms: whichever makes the smaller error for the same question.

Nodes do not repeat the choice; they derive the plan again with the mechanism it names (`federated.plan`).
"""

from collections.abc import Sequence
from fractions import Fraction

from federated.agreement import Agreement
from federated.errors import QueryError
from federated.plan import Plan, Terms, derive_plan
from federated.privacy import Mechanism, Totals
from federated.query import Query
from federated.roster import Roster
from federated.schema import Schema
from federated.statistics import statistic
from federated.statistics.running_totals import spread

__all__ = ["choose_mechanism", "worst_totals"]


def worst_totals(totals: Sequence[Totals]) -> Totals:
    """The worst ledger state of a group, component by component, on which the mechanism is chosen."""
    pure = [item.epsilon for item in totals]
    return Totals(
        epsilon=None
        if any(item is None for item in pure)
        else max((i for i in pure if i is not None), default=Fraction(0)),
        rho=max((item.rho for item in totals), default=Fraction(0)),
        draws=max((item.draws for item in totals), default=0),
    )


def choose_mechanism(
    question: Query, *, agreement: Agreement, roster: Roster, schema: Schema, terms: Terms, worst: Totals
) -> Plan:
    """The plan with the smaller expected error of the two mechanisms (`protocol.md` 2.2).

    Once any Gaussian has been charged the pure sum is infinite, so a Laplace question would be charged by its rho;
    compared at equal rho it always loses, and only the Gaussian plan is considered.
    """
    candidates = []
    problems = []
    for mechanism in Mechanism:
        if mechanism is Mechanism.DISCRETE_LAPLACE and worst.epsilon is None:
            continue
        try:
            candidates.append(
                derive_plan(
                    question,
                    agreement=agreement,
                    roster=roster,
                    schema=schema,
                    mechanism=mechanism,
                    terms=terms,
                )
            )
        except QueryError as error:
            problems.append(error)
    if not candidates:
        raise problems[0]
    return min(candidates, key=_expected_error)


def _expected_error(plan: Plan) -> float:
    """Sum over all cells of the standard deviation with every council in, in units of the table's sensitivity."""
    return sum(
        planned.layout.cells * _sd_of_a_figure(plan, index) / planned.sensitivity.l1
        for index, planned in enumerate(plan.tables)
    )


def _sd_of_a_figure(plan: Plan, index: int) -> float:
    n, table = len(plan.eligible), plan.tables[index].table
    times = spread(statistic(table.statistic).contribution(table), plan.mechanism)
    return times * plan.released_noise(index, joined=n, contributors=n).sd
