"""A statistic's specification: a table of rows, a question, what must come out. It is test and manual page in one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np

from federated.privacy import Mechanism, ReleasedNoise, released_noise
from federated.query import Query, parse_query
from federated.statistics import CellEstimate, Layout, statistic
from tests.spec.council import REGIONS, case_dataset, layout_of

COUNCILS = 12
"""Councils in every worked release; h = 10 of them are counted on."""


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

    @property
    def asked(self) -> Query:
        return parse_query(self.question.encode(), source=self.code)

    @property
    def layout(self) -> Layout:
        return layout_of(self.asked.tables[0], self.asked, REGIONS)

    @property
    def noise(self) -> ReleasedNoise:
        """Laplace noise for the whole epsilon of the question, over councils all of which answered."""
        asked = self.asked
        claimed = statistic(self.code).sensitivity(asked.tables[0])
        parameter = Fraction(asked.epsilon) / claimed.l1
        return released_noise(Mechanism.DISCRETE_LAPLACE, parameter, scale=1, honest=10, contributors=COUNCILS)

    def vector(self, numbers: Mapping[tuple[str, ...], tuple[int, ...]]) -> list[int]:
        """Numbers by cell as a vector: block by block, cells in order, 0 where nothing is said."""
        cells = [cell.codes for cell in self.decoded(np.zeros(self.layout.cells))]
        blocks = range(len(self.layout.blocks))
        return [numbers.get(cell, (0,) * len(self.layout.blocks))[block] for block in blocks for cell in cells]

    def decoded(self, totals: Any) -> tuple[CellEstimate, ...]:
        return statistic(self.code).decode(self.asked.tables[0], self.layout, totals, self.noise)

    def answer(self) -> tuple[CellEstimate, ...]:
        """The cells of the worked release that `totals` speaks of."""
        found = self.decoded(np.array(self.vector(self.totals), dtype=float))
        return tuple(cell for cell in found if cell.codes in self.totals)


def row(household: str, day: str, sex: str, children: int | None) -> dict[str, Any]:
    """A row of the worked tables."""
    return {
        "household": household,
        "assessment_date": date.fromisoformat(day),
        "main_sex": sex,
        "dependent_children_n": children,
    }


def label(code: str) -> str:
    return case_dataset().column("main_sex").code(code).label
