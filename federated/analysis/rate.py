"""Rates: a released count or sum for each 1,000 of a public denominator, such as households in the area.

The denominator is public and exact, so the interval of a rate is that of the count, divided: it comes from the exact
law of the noise and its coverage is the count's. The denominator is over the councils that contributed, never those
asked: a council that is not in the count may not be below the line either.
"""

import numpy as np

from federated.analysis.derived import DerivedCell, DerivedTable, codes_along
from federated.analysis.public_figures import PublicFigures
from federated.analysis.source import TARGET_COVERAGE, NoisyTable
from federated.errors import FileProblem, QueryError
from federated.release import is_region_table
from federated.schema import Schema

__all__ = ["PER", "rate"]

PER = 1000


def rate(source: NoisyTable, denominators: PublicFigures, schema: Schema, *, per: int = PER) -> DerivedTable:
    """Rates of every cell of a table.

    Args:
        source: A table of counts or sums.
        denominators: Figures by the codes of councils. For a table of regions, figures by the codes of regions will
            do where every council of each region contributed.
        schema: Says which council is in which region.
        per: How many of the denominator a rate is for.

    Raises:
        FileProblem: A denominator is missing, or of another year's codes.
        QueryError: No council of a region contributed.
    """
    half_width, coverage = source.law.half_width(TARGET_COVERAGE)
    below = _denominators(source, denominators, schema)
    factors = np.broadcast_to((per / np.array(below)).reshape(-1, *[1] * (source.steps.ndim - 1)), source.steps.shape)
    cells = tuple(
        DerivedCell(
            codes=codes,
            estimate=total * factor,
            standard_error=source.law.sd * factor,
            low=(total - half_width) * factor,
            high=(total + half_width) * factor,
            coverage=coverage,
        )
        for codes, total, factor in zip(
            codes_along(source.table.axes), source.totals.ravel().tolist(), factors.ravel().tolist(), strict=True
        )
    )
    return DerivedTable(
        caveat=source.table.caveat,
        name=f"{source.table.name}_rate",
        title=f"{source.release.title} – {source.table.name}, rate",
        unit=f"for each {per:,} {denominators.what} ({denominators.source})",
        method=f"Each estimate and its interval, divided by the figure of its area and multiplied by {per:,}.",
        axes=source.table.axes,
        cells=cells,
        notes=(
            *source.coverage_notes(),
            f"The denominator is over the councils that contributed, and no others: {sum(below):,} in all.",
            *([denominators.attribution] if denominators.attribution else []),
        ),
        releases=(source.release.digest.hex(),),
    )


def _denominators(source: NoisyTable, figures: PublicFigures, schema: Schema) -> list[int]:
    """One for each region of a table of regions, otherwise one for the whole."""
    if not is_region_table(source.table):
        return [figures.over(source.contributed)]
    return [_of_region(region, source, figures, schema) for region in source.table.axes[0].codes]


def _of_region(region: str, source: NoisyTable, figures: PublicFigures, schema: Schema) -> int:
    inside = [code for code in source.contributed if schema.council(code).region == region]
    whole = [council.id for council in schema.councils.values() if council.region == region]
    if not inside:
        raise QueryError(
            f"No council of the region {region} is in the release, so there is nothing to make a rate of.",
            remedy="Ask for a table of all councils.",
        )
    if region in figures.by_code and any(code in figures.by_code for code in inside):
        raise FileProblem(
            f"{figures.source} has figures for the region {region} and for councils in it.",
            remedy="Keep one of the two, so that it is clear which is meant.",
        )
    if region not in figures.by_code:
        return figures.over(inside)
    if len(inside) < len(whole):
        raise FileProblem(
            f"{figures.source} has a figure for the whole region {region}, "
            f"but {len(inside)} of its {len(whole)} councils are in the release.",
            remedy="Give the figures of the councils instead.",
        )
    return figures.by_code[region]
