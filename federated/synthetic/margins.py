"""Complete counts for one council: the published figure where there is one, the region's pattern where not."""

from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.schema import load_schema
from federated.synthetic.published import PublishedColumn, PublishedPart, part_marginal, published_columns
from protocols.identifiers import CouncilId

Counts: TypeAlias = NDArray[np.int64]


@cache
def regional(column: str, part: int, region: str) -> NDArray[np.float64]:
    """Mean published figure of a region's councils for each code of a column, missing figures left out.

    Args:
        column: A column of `published_columns`.
        part: Which of its parts.
        region: GSS code of the region.

    Shapes:
        One number for each code, in the order of `codes_of`.
    """
    source = published_columns()[column]
    councils = [council.id for council in load_schema().councils.values() if council.region == region]
    marginals = [part_marginal(source, source.parts[part], council) for council in councils]
    return np.array([_mean([marginal[code] for marginal in marginals]) for code in codes_of(source)])


def _mean(figures: Sequence[int | None]) -> float:
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known else 0.0


def codes_of(column: PublishedColumn) -> tuple[str, ...]:
    """Codes with a figure: those with a measure, then the rest where there is one."""
    return (*column.codes, *(() if column.rest is None else (column.rest,)))


def outcome_counts(council: CouncilId, region: str) -> tuple[Counts, bool]:
    """Households by ``assessment_outcome``, and whether they are the region's typical figures.

    Returns:
        Counts in the order of `codes_of`; and True where the council's return is missing, so that the counts are
        the means of its region, rounded.
    """
    source = published_columns()["assessment_outcome"]
    marginal = part_marginal(source, source.parts[0], council)
    known = [figure for figure in marginal.values() if figure is not None]
    if len(known) == len(marginal):
        return np.array(known, dtype=np.int64), False
    return np.rint(regional("assessment_outcome", 0, region)).astype(np.int64), True


def completed(
    *,
    column: PublishedColumn,
    part: PublishedPart,
    council: CouncilId,
    region: str,
    households: int,
    rng: np.random.Generator,
) -> tuple[Counts, bool]:
    """Households of one part by code, adding up to `households`.

    Args:
        column: The column.
        part: One of its parts.
        council: The council.
        region: Its region.
        households: Households in the part.
        rng: Draws the figures that are missing, by the region's proportions among the missing codes.

    Returns:
        Counts in the order of `codes_of`, and whether any was drawn.
    """
    marginal = part_marginal(column, part, council)
    codes = codes_of(column)
    counts = np.array([marginal[code] or 0 for code in codes], dtype=np.int64)
    missing = np.array([marginal[code] is None for code in codes])
    if not missing.any():
        return counts, False
    weights = np.where(missing, regional(column.column, column.parts.index(part), region), 0.0)
    counts += rng.multinomial(households - int(counts.sum()), weights / weights.sum())
    return counts, True
