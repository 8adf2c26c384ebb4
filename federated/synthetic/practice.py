"""A question's tables on made-up records: what an answer would look like, before anybody is asked.

The figures are those of `exact_totals`, a second reading of the question in plain Python, and the noise is drawn share
by share as councils draw it. Nothing of a council is read, so nothing is learned and nothing is charged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np

from federated.errors import InternalError, QueryError
from federated.plan import Plan
from federated.privacy import sample_noise_share
from federated.release import TableRecord, make_tables
from federated.statistics import statistic
from federated.statistics.running_totals import sent
from federated.synthetic.cases import synthesise
from federated.synthetic.exact import Recorded, exact_totals
from federated.synthetic.journeys import with_journeys
from federated.synthetic.other_tables import events, placements, support_needs
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["MOST_COUNCILS", "MOST_NUMBERS", "Practice", "practise"]

MOST_COUNCILS: Final = 12
"""Councils whose records are made up; the noise is that of all that are asked."""
MOST_NUMBERS: Final = 20_000
SEED: Final = 1
DATASETS: Final = ("case", "ta_placement", "support_need", "event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """Tables on made-up records.

    Attributes:
        tables: As a release would have them.
        councils: Whose published counts the records have.
    """

    tables: tuple[TableRecord, ...] = field(repr=False)
    councils: tuple[CouncilId, ...]


def practise(plan: Plan, *, go_on: Callable[[], bool], rng: RandomSource) -> Practice:
    """Work a plan out on made-up records.

    Args:
        plan: The plan; its question is held against the schema already.
        go_on: Asked before each council; False stops the work.
        rng: Gives secure random bytes for the noise.

    Raises:
        QueryError: It cannot be shown on made-up records, or there was no more time.
    """
    question = plan.question
    _check(plan)
    asked = tuple(CouncilId(council) for council in sorted(plan.eligible))[:MOST_COUNCILS]
    found = [np.zeros(planned.layout.cells, dtype=np.int64) for planned in plan.tables]
    for council in asked:
        if not go_on():
            raise QueryError("This took too long for a preview.", remedy="Ask for fewer tables or breakdowns.")
        try:
            totals = exact_totals([_records(council, plan)], question, plan.tables)
        except InternalError as error:
            raise QueryError(
                "In the made-up records a household counts in more cells than a table allows, so there is no preview.",
                remedy="Allow more cells for each household, or go on without a preview.",
            ) from error
        found = [mine + more for mine, more in zip(found, totals, strict=True)]
    return Practice(tables=_tables(plan, found, rng, go_on), councils=asked)


def _check(plan: Plan) -> None:
    if plan.question.dataset not in DATASETS:
        raise QueryError(f"There are no made-up records of the data set '{plan.question.dataset}'.")
    if plan.question.rounds > 1:
        raise QueryError("A question of several rounds has no preview: each round follows from the one before.")
    if plan.cells > MOST_NUMBERS:
        raise QueryError(
            f"The question has {plan.cells:,} numbers; a preview shows at most {MOST_NUMBERS:,}.",
            remedy="Ask for fewer breakdowns.",
        )


def _records(council: CouncilId, plan: Plan) -> Recorded:
    question = plan.question
    cases = with_journeys(synthesise(council, SEED, period=question.period), SEED)
    known_until: date = question.period.end
    make = {
        "ta_placement": lambda: placements(cases, SEED, known_until=known_until),
        "support_need": lambda: support_needs(cases, SEED),
        "event": lambda: events(cases, SEED),
    }
    wanted = make.get(question.dataset)
    return Recorded(cases=cases, others={} if wanted is None else {question.dataset: wanted()})


def _tables(
    plan: Plan, exact: Sequence[np.ndarray], rng: RandomSource, go_on: Callable[[], bool]
) -> tuple[TableRecord, ...]:
    """The exact numbers as councils send them, with the noise of all that are asked, as a release prints them."""
    everyone = len(plan.eligible)
    numbers = np.concatenate(
        [_sent(plan, index, part) for index, part in enumerate(exact)] or [np.zeros(0, dtype=np.int64)]
    )
    total = plan.scale * numbers
    honest = plan.rules.thresholds(everyone).h
    for _ in range(everyone):
        if not go_on():
            raise QueryError("This took too long for a preview.", remedy="Ask for fewer tables or breakdowns.")
        total += sample_noise_share(plan.noise, honest=honest, rng=rng)
    return make_tables(plan, total, joined=everyone, contributors=everyone)


def _sent(plan: Plan, index: int, totals: np.ndarray) -> np.ndarray:
    planned = plan.tables[index]
    rule = statistic(planned.table.statistic).contribution(planned.table).under(planned.mechanism)
    weighted = sent(totals, planned.layout.shape[-1] if rule.bands else 1, rule.prefix_bits)
    # To the nearest step, halves upwards, as a council gives it.
    return (2 * weighted + rule.step) // (2 * rule.step) if rule.step > 1 else weighted
