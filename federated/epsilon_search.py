"""The smallest epsilon that meets a goal for the answer's accuracy: planning backwards. Spends nothing.

The goal is about noise, or about public figures (`federated.expected_figures`); it never looks at data. Each mechanism
alone only gets better as epsilon rises, so each is searched by halving. The planner's own choice between the two
need not: it goes by the whole question's error, and where it changes from one to the other a single table can become
worse. So the answer is checked with the plan that would really be made.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from federated.errors import FederatedError, PolicyRefusal, QueryError
from federated.plan import Plan
from federated.planner import Planner, Room
from federated.privacy import Mechanism
from federated.query import Query
from federated.rationals import decimal_up, rational_text
from federated.statistics import TOTALS
from federated.usable_cells import cell_margins, total_margin

__all__ = ["Found", "Goal", "MarginGoal", "UsableGoal", "least_epsilon"]

STEPS_PER_UNIT: Final = 1000
"""Epsilons are tried in thousandths: short to write, and far finer than any margin can be told apart."""


class Goal(Protocol):
    """What the answer should reach."""

    @property
    def words(self) -> str:
        """The goal in words."""

    def met(self, plan: Plan) -> bool:
        """Whether a plan reaches it."""

    def reached(self, plan: Plan) -> str:
        """What a plan reaches, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginGoal:
    """Every total of the tables within a margin at 95%, when every council asked contributes.

    Attributes:
        margin: Largest half width allowed, in the unit of the totals.
        table: The one table meant; None for all whose figures are totals.
    """

    margin: Fraction
    table: str | None = None

    @property
    def words(self) -> str:
        """The goal in words."""
        return f"every total of {_tables(self.table)} within ± {decimal_up(self.margin)}"

    def met(self, plan: Plan) -> bool:
        """Whether the widest margin is at most the one asked for."""
        return self._widest(plan) <= self.margin

    def reached(self, plan: Plan) -> str:
        """The widest margin."""
        return f"± {self._widest(plan):.1f}"

    def _widest(self, plan: Plan) -> float:
        everyone = len(plan.eligible)
        margins = [
            total_margin(plan.released_noise(index, joined=everyone, contributors=everyone))
            for index in _places(plan.question, self.table)
            if plan.tables[index].table.statistic in TOTALS
        ]
        if not margins:
            raise QueryError(
                f"The figures of {_tables(self.table)} are not totals, so no one margin holds for them.",
                remedy="Ask with --usable-cells and --expect instead.",
            )
        return max(margins)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UsableGoal:
    """A share of the cells of each table usable, judged on expected figures.

    Attributes:
        least: Least part of the cells, from 0 to 1.
        within: Largest margin of a usable cell, as a share of its figure.
        totals: Vector expected of each table, in the question's order.
        table: The one table meant; None for all.
    """

    least: Fraction
    within: Fraction
    totals: tuple[NDArray[np.float64], ...]
    table: str | None = None

    @property
    def words(self) -> str:
        """The goal in words."""
        return f"{float(self.least):.0%} of the cells of {_tables(self.table)} within ± {float(self.within):.0%}"

    def met(self, plan: Plan) -> bool:
        """Whether every table has that share of usable cells."""
        return self._least(plan) >= self.least

    def reached(self, plan: Plan) -> str:
        """The smallest share."""
        return f"{float(self._least(plan)):.1%} of the cells"

    def _least(self, plan: Plan) -> Fraction:
        return min(
            cell_margins(plan, index, self.totals[index]).usable(self.within)
            for index in _places(plan.question, self.table)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer.

    Attributes:
        goal: The goal in words.
        reached: What the plan reaches, in words.
        plan: The plan at the smallest epsilon; its question is the one to ask.
        room: How its charge stands to what is left of the period.
    """

    goal: str
    reached: str
    plan: Plan
    room: Room

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer for a person."""
        epsilon = rational_text(self.epsilon)
        law = self.plan.mechanism.value.replace("_", " ")
        return (
            f'For {self.goal}, write: epsilon: "{_decimal(self.epsilon)}"',
            f"It reaches {self.reached}, with {law} noise (exactly ε = {epsilon}).",
        )

    @property
    def epsilon(self) -> Fraction:
        """The epsilon to write into the question."""
        return self.plan.question.epsilon

    def as_json(self) -> dict[str, object]:
        """The answer for a program; exact rationals as text."""
        return {
            "goal": self.goal,
            "reached": self.reached,
            "epsilon": _decimal(self.epsilon),
            "room": self.room.as_json(),
        }


def least_epsilon(question: Query, goal: Goal, planner: Planner) -> Found:
    """The smallest epsilon, in thousandths, whose plan meets a goal.

    Args:
        question: The question; its own epsilon does not matter.
        goal: What to reach.
        planner: What it is planned against; its budget is the ceiling.

    Raises:
        QueryError: No epsilon that the agreement, the budget and the exact sampler allow reaches the goal; says what
            is the best that can be had.
    """
    search = _Search(question, goal, planner)
    most = search.most()
    if not search.met(most):
        raise _out_of_reach(goal, search.plan(most))
    firsts = [
        _first(partial(search.met, mechanism=mechanism), 1, most)
        for mechanism in Mechanism
        if search.met(most, mechanism)
    ]
    low = min(firsts, default=most)
    # Below `low` neither mechanism meets the goal; at `most` the planner's choice does.
    step = low if search.met(low) else _first(search.met, low, most)
    plan = search.plan(step)
    return Found(goal=goal.words, reached=goal.reached(plan), plan=plan, room=planner.room(plan))


class _Search:
    """Plans of one question by epsilon, in steps."""

    def __init__(self, question: Query, goal: Goal, planner: Planner) -> None:
        self._question = question
        self._goal = goal
        self._planner = planner

    def _at(self, step: int) -> Query:
        return replace(self._question, epsilon=Fraction(step, STEPS_PER_UNIT))

    def plan(self, step: int, mechanism: Mechanism | None = None) -> Plan:
        question = self._at(step)
        return self._planner.plan(question) if mechanism is None else self._planner.plan_with(question, mechanism)

    def met(self, step: int, mechanism: Mechanism | None = None) -> bool:
        try:
            plan = self.plan(step, mechanism)
        except QueryError:
            return False  # the noise does not fit the exact sampler, or the cost is too small to share
        return self._goal.met(plan)

    def most(self) -> int:
        """The largest step that may be asked: by the agreement, by what is left, and by the sampler."""
        ceiling = int(self._planner.agreement.max_epsilon * STEPS_PER_UNIT)
        refusal: FederatedError | None = None
        for step in (ceiling, *(_halves(ceiling))):
            try:
                self._planner.check_affordable(self.plan(step))
            except (QueryError, PolicyRefusal) as error:
                refusal = refusal or error
            else:
                return _last(self._affordable, step, min(ceiling, 2 * step + 1))
        raise refusal or QueryError("The agreement allows less than a thousandth of epsilon for one question.")

    def _affordable(self, step: int) -> bool:
        try:
            self._planner.check_affordable(self.plan(step))
        except (QueryError, PolicyRefusal):
            return False
        return True


def _halves(start: int) -> list[int]:
    return [start >> shift for shift in range(1, start.bit_length())]


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest step at which something holds that holds at `high`, and from some step on."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high


def _last(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest step at which something holds that holds at `low`, and up to some step."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _places(question: Query, table: str | None) -> list[int]:
    places = [index for index, item in enumerate(question.tables) if table in {None, item.name}]
    if not places:
        known = ", ".join(item.name for item in question.tables)
        raise QueryError(f"The question has no table '{table}'.", remedy=f"Its tables are: {known}.")
    return places


def _out_of_reach(goal: Goal, best: Plan) -> QueryError:
    return QueryError(
        f"No epsilon that is allowed and still affordable reaches {goal.words}. The most, "
        f"{_decimal(best.question.epsilon)}, reaches {goal.reached(best)}.",
        remedy="Use fewer breakdowns or tables, a larger group, a longer period, or a wider goal.",
    )


def _tables(name: str | None) -> str:
    return "each table" if name is None else f"the table '{name}'"


def _decimal(epsilon: Fraction) -> str:
    """Thousandths are exact decimals."""
    return decimal_up(epsilon, 3)
