"""The analyst's choice between the two noise mechanisms: whichever makes the smaller error for the same question.

Nodes do not repeat the choice; they derive the plan again with the mechanism it names (`federated.plan`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from federated.agreement import Agreement
from federated.errors import PolicyRefusal, QueryError
from federated.plan import Plan, Terms, derive_plan
from federated.privacy import Budget, Mechanism, Remaining, Totals, check_budget, remaining
from federated.query import Query
from federated.rationals import decimal_up, rational_text
from federated.roster import Roster
from federated.schema import Schema
from federated.statistics import statistic
from federated.statistics.running_totals import spread
from protocols.identifiers import CouncilId, Digest

__all__ = ["Planner", "Room", "choose_mechanism", "terms_for", "worst_totals"]

BACKWARDS: Final = timedelta(minutes=5)
"""A plan is valid from a little before now: not every council's clock is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A plan's charge beside what is left of the period, at the council of its group that has the least.

    Attributes:
        left: What could still be charged.
        used: The part of it that the plan takes, on the side of the filter that has more room; above 1 it does not fit.
        refusal: Why the agreement or the budget does not cover the plan; empty where they do.
    """

    left: Remaining
    used: Fraction
    refusal: str

    @property
    def words(self) -> str:
        """That, in a sentence."""
        if self.refusal:
            return f"It would be refused: {self.refusal}"
        return f"It takes {decimal_up(100 * self.used, 1)}% of what is left of the year at the council with the least."

    def as_json(self) -> dict[str, object]:
        """That, for a program; exact rationals as text."""
        return {
            "left_epsilon": rational_text(self.left.epsilon),
            "left_rho": rational_text(self.left.rho),
            "used": float(self.used),
            "refusal": self.refusal,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Everything a plan follows from besides its question, so that many questions can be tried; spends nothing.

    Attributes:
        agreement: The agreement asked under.
        roster: Councils and their keys.
        schema: The data dictionary.
        terms: Dates, attempts and nonce of the plans made.
        committed: What each council says it has spent and reserved this period; a council that says nothing is absent.
    """

    agreement: Agreement
    roster: Roster
    schema: Schema
    terms: Terms
    committed: Mapping[CouncilId, Totals]

    @property
    def budget(self) -> Budget:
        """What the agreement allows in a period."""
        return Budget(epsilon=self.agreement.budget_epsilon, delta=self.agreement.budget_delta)

    def worst(self, group: str) -> Totals:
        """The worst ledger state among the councils of a group."""
        councils = self.agreement.group(group).councils
        return worst_totals([self.committed[council] for council in councils if council in self.committed])

    def plan(self, question: Query) -> Plan:
        """The plan of a question, with the mechanism that makes the smaller error."""
        return choose_mechanism(
            question,
            agreement=self.agreement,
            roster=self.roster,
            schema=self.schema,
            terms=self.terms,
            worst=self.worst(question.group),
        )

    def plan_with(self, question: Query, mechanism: Mechanism) -> Plan:
        """The plan of a question with one of the mechanisms."""
        return derive_plan(
            question,
            agreement=self.agreement,
            roster=self.roster,
            schema=self.schema,
            mechanism=mechanism,
            terms=self.terms,
        )

    def check_affordable(self, plan: Plan) -> None:
        """Refuse a plan that the agreement, or what the councils of its group have left of the period, does not cover.

        A council may hold itself to less than the agreement allows; that shows only when it is asked.

        Raises:
            PolicyRefusal: `max_epsilon_per_query`, or `budget` (`BudgetExceeded`).
        """
        self.agreement.check_epsilon(plan.question.epsilon)
        check_budget(self.worst(plan.group.name), plan.charge, self.budget)

    def room(self, plan: Plan) -> Room:
        """How a plan's charge stands to what is left."""
        left = remaining(self.worst(plan.group.name), self.budget)
        charge = plan.charge
        parts = [charge.rho / left.rho] if left.rho else []
        if charge.epsilon is not None and left.epsilon:
            parts.append(charge.epsilon / left.epsilon)
        try:
            self.check_affordable(plan)
        except PolicyRefusal as error:
            return Room(left=left, used=min(parts, default=Fraction(1)), refusal=str(error))
        return Room(left=left, used=min(parts, default=Fraction(1)), refusal="")


def terms_for(agreement: Agreement, manifest: Digest, *, now: datetime, nonce: bytes) -> Terms:
    """The dates and attempts of a plan that is made now under an agreement.

    Args:
        agreement: The agreement.
        manifest: Digest of the manifest's bytes.
        now: The time, UTC.
        nonce: 32 fresh random bytes; zeros for a plan that nobody will sign.
    """
    start = now.replace(microsecond=0)
    return Terms(
        manifest_digest=manifest,
        not_before=start - BACKWARDS,
        collect_by=start + timedelta(days=agreement.decision_days),
        return_by=start + timedelta(days=agreement.decision_days + 1),
        not_after=start + timedelta(days=agreement.decision_days + 2),
        attempts=agreement.attempts,
        nonce=nonce,
    )


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
    compared at equal rho it always loses, and only the Gaussian plan is considered. So it is for several rounds.
    """
    candidates = []
    problems = []
    for mechanism in Mechanism:
        if mechanism is Mechanism.DISCRETE_LAPLACE and (worst.epsilon is None or question.rounds > 1):
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
    """Sum over all cells of the standard deviation with every council in, each in the table's own unit."""
    return sum(planned.layout.cells * _sd_of_a_figure(plan, index) for index, planned in enumerate(plan.tables))


def _sd_of_a_figure(plan: Plan, index: int) -> float:
    n, planned = len(plan.eligible), plan.tables[index]
    rule = statistic(planned.table.statistic).contribution(planned.table)
    times = spread(rule, plan.mechanism)
    one = planned.unit >> rule.under(plan.mechanism).prefix_bits
    return times * plan.released_noise(index, joined=n, contributors=n).sd / one
