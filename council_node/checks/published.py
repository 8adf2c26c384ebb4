"""A council's own count beside the figure published for it: the plainest sign that a mapping is right.

The published figures are open data of one quarter. They are provisional and made from another export of the same
records, so a difference within the band is no fault.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from council_node.checks.findings import Area, Finding, Verdict
from federated.errors import QueryError
from federated.schema import Dataset
from federated.synthetic import PUBLISHED_QUARTER, SOURCE, published_marginal
from protocols.identifiers import CouncilId

__all__ = ["QuarterCount", "beside_published", "quarter_counts"]

OUTCOME: Final = "assessment_outcome"
BAND_HOUSEHOLDS: Final = 10
BAND_PER_CENT: Final = 5
QUARTERS_SHOWN: Final = 6
FIRST: Final = PUBLISHED_QUARTER.start


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterCount:
    """Households assessed in one quarter, with one outcome; the council's own exact count, for its own eyes.

    Attributes:
        quarter: Such as ``2025 Q1``.
        outcome: Code of the outcome.
        label: The outcome as printed.
        own: Households counted here.
    """

    quarter: str
    outcome: str
    label: str
    own: int


def quarter_counts(counts: Mapping[tuple[int, int], int], dataset: Dataset) -> tuple[QuarterCount, ...]:
    """Counts by quarter and outcome with their names, latest quarter last.

    Args:
        counts: As `council_node.checks.quality.Seen` has them.
        dataset: For the outcomes.
    """
    return tuple(
        QuarterCount(
            quarter=f"{number // 4} Q{number % 4 + 1}",
            outcome=dataset.column(OUTCOME).codes[place].code,
            label=dataset.column(OUTCOME).codes[place].label,
            own=own,
        )
        for (number, place), own in sorted(counts.items())
    )


def band(published: int) -> int:
    """How far a council's own count may lie from its published figure before it is worth a look."""
    return max(BAND_HOUSEHOLDS, published * BAND_PER_CENT // 100)


def beside_published(council: CouncilId, counts: Iterable[QuarterCount]) -> Iterator[Finding]:
    """Each published figure of the council beside its own count of the same quarter."""
    named = f"{FIRST.year} Q{(FIRST.month + 2) // 3}"
    own = {item.outcome: item for item in counts if item.quarter == named}
    if not own:
        return
    try:
        figures = published_marginal(OUTCOME, council)
    except QueryError:
        return  # a council that has been made since has no published figure
    for code, figure in figures.items():
        if figure is None or code not in own:
            continue
        yield _compared(named, own[code], figure)


def _compared(quarter: str, item: QuarterCount, figure: int) -> Finding:
    within = abs(item.own - figure) <= band(figure)
    said = f"{quarter}, {item.label}: {item.own:,} here, {figure:,} published (band ± {band(figure):,})."
    remedy = "Check the wordings of the outcome, the dates, and whether the export holds the whole quarter."
    return Finding(
        area=Area.PUBLISHED,
        check="published",
        verdict=Verdict.GOOD if within else Verdict.LOOK,
        said=said,
        where=SOURCE,
        remedy="" if within else remedy,
    )
