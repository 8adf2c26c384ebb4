"""What a plan means to the person who asks: cost, margins of error, councils needed. Spends nothing."""

from dataclasses import dataclass

from federated.geography import changes_in_words
from federated.plan import Plan, possible_rounds
from federated.privacy import zcdp_epsilon
from federated.rationals import rational_text
from federated.statistics import statistic
from federated.statistics.offsets import TARGET_COVERAGE
from federated.statistics.running_totals import spread

__all__ = ["PlanSummary", "TableSummary", "summarise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSummary:
    """One table's expected error, in the units of its totals; for quantiles, of a running total less half of all.

    Attributes:
        name: The table.
        statistic: Its code.
        cells: Cells as printed.
        sd_all: Standard deviation of the noise when every council asked contributes.
        sd_fewest: The same with t, the fewest that make a release.
        margin_all: Half width of the interval of a total when every council contributes.
        margin_fewest: The same with t.
    """

    name: str
    statistic: str
    cells: int
    sd_all: float
    sd_fewest: float
    margin_all: float
    margin_fewest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A plan in plain words and figures.

    Attributes:
        headline: What is asked, in one line.
        lines: Cost and councils, and then `code_changes`.
        code_changes: Councils of the group that merged or got a new code inside the period asked about.
        tables: Expected errors.
        plan: The plan itself.
    """

    headline: str
    lines: tuple[str, ...]
    code_changes: tuple[str, ...]
    tables: tuple[TableSummary, ...]
    plan: Plan

    def as_json(self) -> dict[str, object]:
        """The summary for a program; exact rationals as text."""
        charge = self.plan.charge
        return {
            "version": 1,
            "mechanism": self.plan.mechanism.value,
            "cells": self.plan.cells,
            "epsilon": None if charge.epsilon is None else rational_text(charge.epsilon),
            "rho": rational_text(charge.rho),
            "delta": rational_text(self.plan.delta),
            "councils_asked": len(self.plan.eligible),
            "councils_needed": _needed(self.plan),
            "plan_digest": self.plan.digest.hex(),
            "query_digest": self.plan.query_digest.hex(),
            "code_changes": list(self.code_changes),
            "tables": [
                {
                    "name": row.name,
                    "statistic": row.statistic,
                    "cells": row.cells,
                    "sd_all": row.sd_all,
                    "sd_fewest": row.sd_fewest,
                    "margin_all": row.margin_all,
                    "margin_fewest": row.margin_fewest,
                }
                for row in self.tables
            ],
        }


def summarise(plan: Plan) -> PlanSummary:
    """Work out what a plan would give, at |U3| = n and at |U3| = t."""
    thresholds = plan.rules.thresholds(len(plan.eligible))
    charge = plan.charge
    law = "discrete Laplace" if charge.epsilon is not None else "discrete Gaussian"
    pure = "" if charge.epsilon is None else f"ε = {float(charge.epsilon):.4g} (pure), "
    converted = float(zcdp_epsilon(charge.rho, plan.delta))
    also = "" if charge.epsilon is not None else f" (ε = {converted:.4g} at δ = {float(plan.delta):.2g})"
    cost = f"Cost to one {plan.question.unit}: {pure}ρ = {float(charge.rho):.4g}{also}. Planning spends nothing."
    councils = (
        f"Councils: {len(plan.eligible)} asked; {_needed(plan)} must join. If all join, up to {thresholds.may_be_lost} "
        "may be lost and there is still a release."
    )
    period = plan.question.period
    changes = tuple(changes_in_words(plan.eligible, period.start, period.end))
    return PlanSummary(
        headline=f"{plan.question.title}: {plan.cells:,} cells, {law} noise.",
        lines=(cost, councils, f"Assumed: at most {thresholds.c} of them collude with the coordinator.", *changes),
        code_changes=changes,
        tables=tuple(_table(plan, index, thresholds.n, thresholds.t) for index in range(len(plan.tables))),
        plan=plan,
    )


def _needed(plan: Plan) -> int:
    """The fewest councils that make a round possible."""
    return possible_rounds(plan.rules)[0].n


def _table(plan: Plan, index: int, everyone: int, fewest: int) -> TableSummary:
    planned = plan.tables[index]
    all_in = plan.released_noise(index, joined=everyone, contributors=everyone)
    least = plan.released_noise(index, joined=everyone, contributors=fewest)
    times = spread(statistic(planned.table.statistic).contribution(planned.table), plan.mechanism)
    return TableSummary(
        name=planned.table.name,
        statistic=planned.table.statistic,
        cells=planned.layout.printed_cells,
        sd_all=times * all_in.sd,
        sd_fewest=times * least.sd,
        margin_all=times * float(all_in.half_width(TARGET_COVERAGE)[0]),
        margin_fewest=times * float(least.half_width(TARGET_COVERAGE)[0]),
    )
