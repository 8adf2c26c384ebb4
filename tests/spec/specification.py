"""A statistic's specification: a table of rows, a question, what must come out. It is test and manual page in one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from itertools import combinations_with_replacement, product
from typing import Any

import numpy as np

from federated.privacy import Mechanism, ReleasedNoise, gaussian_noise, released_noise, zcdp_rho
from federated.query import Dimension, Query, Table, measured, parse_query
from federated.statistics import CellEstimate, Layout, RoundFigures, in_rounds, statistic
from federated.statistics.offsets import cell_codes
from tests.spec.council import QUARTER, REGIONS, case_dataset, layout_of

SEXES = case_dataset().column("main_sex").code_list[:3]
DELTA = Fraction(1, 1_000_000)
COUNCILS = 12
"""Councils in every worked release; h = 10 of them are counted on."""


@dataclass(frozen=True, kw_only=True)
class Universe:
    """A small world in which every household is tried: what it can change is held against what is claimed.

    Attributes:
        table: The table asked, over `question`'s period.
        kinds: Every row that a household may have (columns by name, without the household).
        most_rows: Rows of the largest household tried; enough to reach the claim.
        tight: Whether some household changes as much as is claimed in l1, and in l2. Where a claim is only a bound,
            the module's docstring says by how much it may be too high.
        coefficients: What a round of several is counted at.
    """

    table: Table
    kinds: tuple[Mapping[str, Any], ...]
    most_rows: int
    tight: tuple[bool, bool] = (True, True)
    coefficients: tuple[int, ...] = ()

    def households(self) -> Iterator[list[dict[str, Any]]]:
        """The rows of each household, all of them of household "A"."""
        for size in range(1, self.most_rows + 1):
            for rows in combinations_with_replacement(self.kinds, size):
                yield [{"household": "A", **row} for row in rows]


@dataclass(frozen=True, kw_only=True)
class Specification:
    """One statistic, worked through.

    Attributes:
        code: The statistic.
        heading: Title of its page.
        what: What it counts, in plain words.
        bound: What one household can change, in plain words and as a formula.
        rows: One council's rows, as the reference evaluator takes them.
        question: The question, as YAML.
        reasons: For each household, why it counts as it does.
        exact: For each cell of this council with anything in it, the numbers kept (one for each block).
        totals: Noisy totals over all councils, for the same cells, in the same order of blocks.
        answers: For each printed cell that is shown: its codes, the estimate, and the ends of the interval.
        universes: Small worlds for the brute-force test of the sensitivity.
        mechanism: Noise of the worked release.
        rounds: Of an answer in several rounds, what each was counted at and its noisy totals; those of the last are
            `totals` too.
        reading: How to read the answer, in plain words.
    """

    code: str
    heading: str
    what: str
    bound: str
    rows: tuple[Mapping[str, Any], ...]
    question: str
    reasons: tuple[tuple[str, str], ...]
    exact: Mapping[tuple[str, ...], tuple[int, ...]]
    totals: Mapping[tuple[str, ...], tuple[int, ...]]
    reading: str
    answers: tuple[tuple[tuple[str, ...], float, float, float], ...]
    universes: tuple[Universe, ...]
    mechanism: Mechanism = Mechanism.DISCRETE_LAPLACE
    rounds: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()

    @property
    def asked(self) -> Query:
        return parse_query(self.question.encode(), source=self.code)

    @property
    def layout(self) -> Layout:
        return layout_of(self.asked.tables[0], self.asked, REGIONS)

    @property
    def noise(self) -> ReleasedNoise:
        """Noise for the whole epsilon of the question, over councils all of which answered."""
        asked = self.asked
        claimed = statistic(self.code).sensitivity(asked.tables[0])
        # One round's noise, where there are several; they share the cost evenly.
        parameter, scale = Fraction(asked.epsilon) / claimed.l1, 1
        if self.mechanism is Mechanism.DISCRETE_GAUSSIAN:
            blocks = [(self.layout.cells, claimed.l2_squared)]
            spec = gaussian_noise(zcdp_rho(asked.epsilon, DELTA) / asked.rounds, blocks, honest=10)
            parameter, scale = spec.blocks[0].parameter, spec.scale
        return released_noise(self.mechanism, parameter, scale=scale, honest=10, contributors=COUNCILS)

    @property
    def coefficients(self) -> tuple[int, ...]:
        """What the worked round is counted at: the first of several, or nothing."""
        table = self.asked.tables[0]
        return in_rounds(self.code).start(table) if table.rounds > 1 else ()

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The cells counted, in order."""
        return cell_codes(self.layout.axes)

    def vector(self, numbers: Mapping[tuple[str, ...], tuple[int, ...]]) -> list[int]:
        """Numbers by cell as a vector: block by block, cells in order, 0 where nothing is said."""
        blocks = range(len(self.layout.blocks))
        return [numbers.get(cell, (0,) * len(self.layout.blocks))[block] for block in blocks for cell in self.cells]

    def decoded(self, totals: Any) -> tuple[CellEstimate, ...]:
        table, noise = self.asked.tables[0], self.noise
        if not self.rounds:
            return statistic(self.code).decode(table, self.layout, totals, noise)
        found = [
            RoundFigures(coefficients=at, totals=np.array(each, dtype=float), noise=noise, councils=frozenset())
            for at, each in self.rounds
        ]
        return in_rounds(self.code).conclude(table, self.layout, (*found[:-1], replace(found[-1], totals=totals)))

    def answer(self) -> tuple[CellEstimate, ...]:
        """The cells of the worked release that `answers` speaks of."""
        shown = {codes for codes, *_ in self.answers}
        found = self.decoded(np.array(self.vector(self.totals), dtype=float))
        return tuple(cell for cell in found if cell.codes in shown)


def row(household: str, day: str, sex: str, children: int | None) -> dict[str, Any]:
    """A row of the worked tables."""
    return {
        "household": household,
        "assessment_date": date.fromisoformat(day),
        "main_sex": sex,
        "dependent_children_n": children,
    }


def sex_universes(code: str, clips: tuple[tuple[int, int], ...] = ()) -> tuple[Universe, ...]:
    """Households of a table by sex, with bounds of 1 to 3 cells; with `clips`, numbers below, at and above them."""
    values = (-9, 0, 1, 9) if clips else (0,)
    kinds = tuple(row_of(main_sex=sex, dependent_children_n=value) for sex, value in product(SEXES, values))
    measures = tuple((measured("dependent_children_n", *clip),) for clip in clips) or ((),)
    return tuple(
        Universe(
            table=Table(
                name="t", statistic=code, by=(Dimension(column="main_sex"),), max_cells=bound, measures=measure
            ),
            kinds=kinds,
            # A mean with kappa = 2 needs two rows to reach the claim, counts of rows three.
            most_rows=3 if clips else 4,
        )
        for bound, measure in product((1, 2, 3), measures)
    )


def row_of(**columns: Any) -> dict[str, Any]:
    """A row inside the period, of no household yet."""
    return {"assessment_date": QUARTER.start, **columns}
