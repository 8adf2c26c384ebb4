"""Releases to analyse: planned as any other, with truths and noise of the test's own making."""

import json
from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np

from federated.plan import derive_plan
from federated.privacy import Mechanism
from federated.query import Period
from federated.rationals import rational_text
from federated.release import (
    AttestationRecord,
    AxisRecord,
    CostRecord,
    CouncilRecord,
    Release,
    level_label,
    make_tables,
)
from tests.unit.federated import planning

COUNCILS = 12
LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
LAWS = {
    "Laplace, 1": (LAPLACE, Fraction(1)),
    "Laplace, 1/4": (LAPLACE, Fraction(1, 4)),
    "Gaussian, 1": (GAUSSIAN, Fraction(1)),
}
"""Three budgets under both mechanisms: noise of a household or two, of several, and on a finer grid."""


def quarter(year, first=1):
    return Period(
        column="assessment_date",
        start=date(year, first, 1),
        end=date(year, first + 2, {3: 31, 6: 30, 9: 30, 12: 31}[first + 2]),
    )


def planned(*tables, mechanism=LAPLACE, epsilon=Fraction(1), count=COUNCILS, roster=None, agreement=None, **changes):
    return derive_plan(
        planning.question(*tables, epsilon=epsilon, **changes),
        agreement=agreement or planning.agreement(count, epsilon=Fraction(8)),
        roster=roster or planning.roster(count),
        schema=planning.SCHEMA,
        mechanism=mechanism,
        terms=planning.terms(),
    )


def noise_of(plan, index, contributed):
    return plan.released_noise(index, joined=len(plan.eligible), contributors=contributed)


def drawn(noise, shape, rng):
    """Draws of a law in whole steps of 1/scale."""
    first, probabilities = noise.pmf()
    return first + np.searchsorted(np.cumsum(probabilities), rng.random(shape) * probabilities.sum())


def totals_of(plan, truths, contributed, rng):
    """Truths of each table, with noise, in steps."""
    parts = []
    for index, table in enumerate(plan.tables):
        truth = np.asarray(truths[table.table.name]).ravel()
        noise = noise_of(plan, index, contributed)
        parts.append(truth * plan.scale + (0 if rng is None else drawn(noise, truth.shape, rng)))
    return np.concatenate(parts).astype(np.int64)


def released(plan, truths, *, seed=1, lost=0, exact=False):
    """A release of a plan over all councils but the last few; `exact` leaves the noise out of the totals."""
    inside = plan.eligible[: len(plan.eligible) - lost]
    totals = totals_of(plan, truths, len(inside), None if exact else np.random.default_rng(seed))
    joined = len(plan.eligible)
    period = plan.question.period
    return Release(
        title=plan.question.title,
        plan=json.loads(plan.encode()),
        query_digest=plan.query_digest.hex(),
        plan_digest=plan.digest.hex(),
        sid="00",
        manifest_digest="00",
        agreement_id=plan.agreement_id,
        agreement_digest="00",
        group=plan.group.name,
        group_label=plan.group.label,
        level_label=level_label(plan, planning.SCHEMA),
        mechanism=plan.mechanism.value,
        cost=CostRecord(epsilon=None, rho=rational_text(plan.charge.rho), delta=rational_text(plan.delta)),
        councils=tuple(
            CouncilRecord(
                council=council,
                name=planning.SCHEMA.council(council).name,
                outcome="contributed" if council in inside else "dropped",
                extract_date="2026-02-20",
            )
            for council in plan.eligible
        ),
        joined=joined,
        contributed=len(inside),
        threshold=plan.rules.thresholds(joined).t,
        honest=plan.rules.thresholds(joined).h,
        data_cut_off="2026-02-20",
        period=f"{period.start.isoformat()}/{period.end.isoformat()}",
        created_at="2026-03-01T09:00:00Z",
        software="test",
        tables=make_tables(plan, totals, joined=joined, contributors=len(inside)),
        attestations=AttestationRecord(view="00", masked_inputs={}, statements=()),
    )


def again(source, truth, times, rng):
    """A table as if released many times, with other truths and fresh noise of its own law: one more axis, at its front.

    Shapes:
        `truth` is that of the table, or has the repetitions in front.
    """
    law = source.law
    shape = (times, *source.steps.shape)
    noise = law.first + np.searchsorted(np.cumsum(law.probabilities), rng.random(shape) * law.probabilities.sum())
    codes = tuple(map(str, range(times)))
    axes = (AxisRecord(name="again", codes=codes, labels=codes), *source.table.axes)
    table = source.table.model_copy(update={"axes": axes})
    return replace(source, table=table, steps=np.asarray(truth) * law.scale + noise)


def errors_off(cells, truth):
    """Observed less declared coverage in binomial standard errors of the declared."""
    held = np.array([cell.low <= value <= cell.high for cell, value in zip(cells, truth, strict=True)])
    declared = np.array([cell.coverage for cell in cells])
    return (held.sum() - declared.sum()) / max(1e-9, np.sqrt((declared * (1 - declared)).sum()))


def narrowed(cell, factor=0.7):
    """A cell whose interval claims too much."""
    middle = (cell.low + cell.high) / 2
    return replace(cell, low=middle - factor * (middle - cell.low), high=middle + factor * (cell.high - middle))
