"""What a plan means to the person who asks: cost, margins of error, councils needed. Spends nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Final

from federated.cohort import possible_rounds
from federated.crossings import BASE_FACTOR, caveat_of
from federated.geography import changes_in_words
from federated.plan import Plan
from federated.planner import Room
from federated.presentation import USABLE_MARGIN
from federated.privacy import zcdp_epsilon
from federated.rationals import rational_text
from federated.statistics import TOTALS, statistic
from federated.statistics.running_totals import spread
from federated.usable_cells import TableUse, total_margin

__all__ = ["PlanSummary", "TableSummary", "summarise"]

LOSSES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSummary:
    """One table's expected error, in the units of its totals; for quantiles, of a running total less half of all.

    Attributes:
        name: The table.
        statistic: Its code.
        cells: Cells as printed.
        part_of_cost: Which part of the question's cost pays for this table; the parts add up to 1, but for rounding.
        sd_all: Standard deviation of the noise when every council asked contributes.
        sd_fewest: The same with t, the fewest that make a release.
        margin_all: Half width of the interval of a total when every council contributes.
        margin_fewest: The same with t.
        margins_lost: The same for each number of councils lost in `PlanSummary.losses`.
        margin_few_joined: The same when only as many join as are needed, and all of those contribute.
        is_total: Whether the printed figure is such a total, so that the margins above are its own.
    """

    name: str
    statistic: str
    cells: int
    part_of_cost: float
    sd_all: float
    sd_fewest: float
    margin_all: float
    margin_fewest: float
    margins_lost: tuple[float, ...]
    margin_few_joined: float
    is_total: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A plan in plain words and figures.

    Attributes:
        headline: What is asked, in one line.
        lines: Cost and councils, and then `code_changes` and `caveats`.
        code_changes: Councils of the group that merged or got a new code inside the period asked about.
        caveats: What must be said of each table that crosses protected characteristics, and what it takes.
        losses: Numbers of councils lost in the round that the margins are given for, from none to the most allowed.
        tables: Expected errors.
        plan: The plan itself.
        uses: How much of each table could be used, as asked and at other levels; none without expected figures.
        within: The margin of a usable cell that they are judged by.
        room: How the cost stands to what is left of the period, where that is known.
    """

    headline: str
    lines: tuple[str, ...]
    code_changes: tuple[str, ...]
    caveats: tuple[str, ...]
    losses: tuple[int, ...]
    tables: tuple[TableSummary, ...]
    plan: Plan
    uses: tuple[TableUse, ...] = ()
    within: Fraction = USABLE_MARGIN
    room: Room | None = None

    def as_json(self) -> dict[str, object]:
        """The summary for a program; exact rationals as text."""
        charge = self.plan.charge
        return {
            "version": 1,
            "mechanism": self.plan.mechanism.value,
            "cells": self.plan.cells,
            "epsilon": None if charge.epsilon is None else rational_text(charge.epsilon),
            "rho": rational_text(charge.rho),
            "rounds": self.plan.rounds,
            "rho_of_a_round": rational_text(self.plan.round_charge.rho),
            "delta": rational_text(self.plan.delta),
            "councils_asked": len(self.plan.eligible),
            "councils_needed": _needed(self.plan),
            "plan_digest": self.plan.digest.hex(),
            "query_digest": self.plan.query_digest.hex(),
            "code_changes": list(self.code_changes),
            "caveats": list(self.caveats),
            "tables": [
                {
                    "name": row.name,
                    "statistic": row.statistic,
                    "cells": row.cells,
                    "part_of_cost": row.part_of_cost,
                    "sd_all": row.sd_all,
                    "sd_fewest": row.sd_fewest,
                    "margin_all": row.margin_all,
                    "margin_fewest": row.margin_fewest,
                    "margins_lost": dict(zip(map(str, self.losses), row.margins_lost, strict=True)),
                    "margin_few_joined": row.margin_few_joined,
                    "is_total": row.is_total,
                }
                for row in self.tables
            ],
            "within": rational_text(self.within),
            "uses": [_use(use) for use in self.uses],
            "room": None if self.room is None else self.room.as_json(),
        }


def _use(use: TableUse) -> dict[str, object]:
    if use.problem:
        return {"level": use.level, "problem": use.problem}
    return {
        "level": use.level,
        "table": use.table,
        "cells": use.cells,
        "usable": float(use.usable),
        "typical_margin": use.typical if isfinite(use.typical) else None,
        "widest_margin": use.widest if isfinite(use.widest) else None,
        "scaled": use.scaled,
    }


def summarise(
    plan: Plan, *, uses: Iterable[TableUse] = (), within: Fraction = USABLE_MARGIN, room: Room | None = None
) -> PlanSummary:
    """Work out what a plan would give: with every council, for losses down to t, and when few join.

    Args:
        plan: The plan.
        uses: What `federated.usable_cells` found for it on expected figures.
        within: The margin of a usable cell that they were judged by.
        room: What `Planner.room` found for it.
    """
    thresholds = plan.rules.thresholds(len(plan.eligible))
    charge = plan.charge
    law = "discrete Laplace" if charge.epsilon is not None else "discrete Gaussian"
    pure = "" if charge.epsilon is None else f"ε = {float(charge.epsilon):.4g} (pure), "
    converted = float(zcdp_epsilon(charge.rho, plan.delta))
    also = "" if charge.epsilon is not None else f" (ε = {converted:.4g} at δ = {float(plan.delta):.2g})"
    cost = f"Cost to one {plan.question.unit}: {pure}ρ = {float(charge.rho):.4g}{also}. Planning spends nothing."
    each = f"Rounds: {plan.rounds}, each charged ρ = {float(plan.round_charge.rho):.4g} before any data is read for it."
    councils = (
        f"Councils: {len(plan.eligible)} asked; {_needed(plan)} must join. If all join, up to {thresholds.may_be_lost} "
        "may be lost and there is still a release."
    )
    period = plan.question.period
    changes = tuple(changes_in_words(plan.eligible, period.start, period.end))
    caveats = tuple(_caveats(plan))
    losses = _spread(thresholds.may_be_lost)
    return PlanSummary(
        headline=f"{plan.question.title}: {plan.cells:,} cells, {law} noise.",
        lines=(
            cost,
            *([] if plan.rounds == 1 else [each]),
            *([] if room is None else [room.words]),
            councils,
            f"Assumed: at most {thresholds.c} of them collude with the coordinator.",
            *(
                []
                if plan.holder is None
                else [f"Opened only together with {plan.holder.name}, the mask holder; while it is away, not at all."]
            ),
            *changes,
            *caveats,
        ),
        code_changes=changes,
        caveats=caveats,
        losses=losses,
        tables=tuple(_table(plan, index, losses) for index in range(len(plan.tables))),
        plan=plan,
        uses=tuple(uses),
        within=within,
        room=room,
    )


def _caveats(plan: Plan) -> Iterable[str]:
    for planned in plan.tables:
        if planned.crosses:
            yield (
                f"{planned.table.name}: {caveat_of(planned.crosses)} A person at each council must approve it, and it "
                f"needs {BASE_FACTOR} times the councils of other tables: {plan.rules.min_cohort}."
            )


def _needed(plan: Plan) -> int:
    """The fewest councils that make a round possible."""
    return possible_rounds(plan.rules)[0].n


def _spread(most: int) -> tuple[int, ...]:
    """From none lost to the most that may be, at most `LOSSES_SHOWN` numbers, evenly spread."""
    steps = min(most, LOSSES_SHOWN - 1)
    return tuple(most * step // steps for step in range(steps + 1)) if steps else (0,)


def _part_of_cost(plan: Plan, index: int) -> float:
    """In epsilon for Laplace noise, in rho for Gaussian, of which tau is hardly any."""
    parameter, bound = plan.noise.blocks[index].parameter, plan.sensitivities[index]
    if plan.charge.epsilon is not None:
        return float(parameter * bound / plan.charge.epsilon)
    return float(bound / (2 * parameter) / plan.round_charge.rho)


def _table(plan: Plan, index: int, losses: tuple[int, ...]) -> TableSummary:
    planned = plan.tables[index]
    everyone, few = len(plan.eligible), _needed(plan)
    laws = [plan.released_noise(index, joined=everyone, contributors=everyone - lost) for lost in losses]
    # Of a running total, where the figures are read off such: the numbers that are sent have another unit.
    times = spread(statistic(planned.table.statistic).contribution(planned.table), plan.mechanism)
    margins = tuple(times * total_margin(law) for law in laws)
    return TableSummary(
        name=planned.table.name,
        statistic=planned.table.statistic,
        cells=planned.layout.printed_cells,
        part_of_cost=_part_of_cost(plan, index),
        sd_all=times * laws[0].sd,
        sd_fewest=times * laws[-1].sd,
        margin_all=margins[0],
        margin_fewest=margins[-1],
        margins_lost=margins,
        margin_few_joined=times * total_margin(plan.released_noise(index, joined=few, contributors=few)),
        is_total=planned.table.statistic in TOTALS,
    )
