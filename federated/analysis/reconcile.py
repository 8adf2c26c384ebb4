"""Reconciliation: a release held against published official figures, gap against the noise that is expected.

Where the councils' own records are what was published, the gap is noise alone: it lies within the band of the noise's
exact law as often as the coverage says. A gap outside it says that the two count different things, or that one is
wrong. All cells together are judged by the sum of their squared gaps, against a simulation of the noise.
"""

from math import comb, inf

import numpy as np
from numpy.typing import NDArray

from federated.analysis.derived import DerivedCell, DerivedTable, Finding, codes_along
from federated.analysis.noise_law import NoiseLaw
from federated.analysis.null_law import DRAWS, SEED, generator, in_blocks, noise_draws, p_value
from federated.analysis.official import Official
from federated.analysis.source import TARGET_COVERAGE, NoisyTable
from federated.errors import QueryError

__all__ = ["WARNING", "reconcile"]

WARNING = "WARNING: "
SIGNIFICANT = 0.05
MOST_NAMED = 8


def reconcile(source: NoisyTable, official: Official, *, seed: int = SEED, draws: int = DRAWS) -> DerivedTable:
    """The gap of every cell: the estimate less the published figure.

    Rounding of the published figures widens every interval by as much as it may have moved them.

    Args:
        source: The table.
        official: The published figures.
        seed: Of the simulation for all cells together.
        draws: Simulations.

    Raises:
        QueryError: No cell has a published figure, or one household may be in several of the cells added up.
    """
    places = [place for place, axis in enumerate(source.table.axes) if axis.name not in official.axes]
    if places and source.table.max_cells > 1:
        raise QueryError(
            f"One household may be in several cells of the table '{source.table.name}', so they cannot be added up.",
            remedy="Give published figures for all of its axes.",
        )
    totals, law, axes = source.summed_over(places)
    codes = codes_along(axes)
    judged = [place for place, cell in enumerate(codes) if cell in official.figures]
    if not judged:
        raise QueryError(
            f"{official.source} has no figure for any cell of the table '{source.table.name}'.",
            remedy="Look at the councils whose figures are missing, and at the codes.",
        )
    figures = np.array([official.figures[codes[place]] for place in judged])
    gaps = totals.ravel()[judged] / law.scale - figures
    half_width, coverage = law.half_width(TARGET_COVERAGE)
    reach = half_width + official.rounding
    by_place = dict(zip(judged, gaps.tolist(), strict=True))
    cells = tuple(_cell(cell, by_place.get(place), law.sd, reach, coverage) for place, cell in enumerate(codes))
    return DerivedTable(
        caveat=source.table.caveat,
        name=f"{source.table.name}_reconciled",
        title=f"{source.release.title} – {source.table.name}, against published figures",
        unit="as the table, above or below what was published",
        method=(
            "Each estimate less the published figure; the interval holds 0 as often as its coverage says "
            "where both count the same."
        ),
        axes=axes,
        cells=cells,
        findings=_findings(gaps, law, official, (reach, coverage), (seed, draws)),
        notes=(*_coverage(source, official, len(codes) - len(judged)), *source.coverage_notes()),
        releases=(source.release.digest.hex(),),
    )


def _cell(codes: tuple[str, ...], gap: float | None, sd: float, reach: float, coverage: float) -> DerivedCell:
    """A cell without a published figure says nothing: its gap may be anything."""
    if gap is None:
        return DerivedCell(codes=codes, estimate=None, standard_error=None, low=-inf, high=inf, coverage=1.0)
    return DerivedCell(
        codes=codes, estimate=gap, standard_error=sd, low=gap - reach, high=gap + reach, coverage=coverage
    )


def _findings(
    gaps: NDArray[np.float64],
    law: NoiseLaw,
    official: Official,
    band: tuple[float, float],
    simulation: tuple[int, int],
) -> tuple[Finding, ...]:
    reach, coverage = band
    outside = int((np.abs(gaps) > reach).sum())
    by_chance = _chance_of(outside, len(gaps), 1 - coverage) >= SIGNIFICANT
    least = np.maximum(np.abs(gaps) - official.rounding, 0)
    statistic = float((least**2).sum()) / law.sd**2
    seed, draws = simulation
    rng = generator(seed, draws)
    noise = [
        ((noise_draws(law, (size, len(gaps)), rng) / law.scale) ** 2).sum(axis=1) / law.sd**2
        for size in in_blocks(draws, len(gaps))
    ]
    found = p_value(statistic, np.concatenate(noise))
    alike = found.value >= SIGNIFICANT
    whole, _ = law.of_cells(len(gaps)).half_width(TARGET_COVERAGE)
    whole += official.rounding * len(gaps)
    total = float(gaps.sum())
    return (
        Finding(
            name="cells_outside",
            value=float(outside),
            sentence=(
                f"{'' if alike and by_chance else WARNING}{outside} of {len(gaps)} gaps are outside the noise's band "
                f"(± {reach:,.1f}); noise alone would put about {len(gaps) * (1 - coverage):.2f} there."
            ),
        ),
        Finding(
            name="total_gap",
            value=total,
            sentence=(
                f"{'' if abs(total) <= whole else WARNING}All cells judged together are {total:+,.1f} from the "
                f"published figures; noise alone stays within ± {whole:,.1f} in 95 of 100 releases."
            ),
        ),
        Finding(
            name="statistic",
            value=statistic,
            sentence=(f"Sum of squared gaps in units of the noise: {statistic:,.1f}; about {len(gaps)} is expected."),
        ),
        Finding(
            name="p_value",
            value=found.value,
            sentence=(
                f"{'The gaps are no larger than the noise explains' if alike else WARNING + 'The gaps are too large'}: "
                f"noise alone gives as much in {100 * found.value:.2f} of 100 releases (simulated with a standard "
                f"error of {100 * found.standard_error:.2f})."
            ),
        ),
    )


def _chance_of(outside: int, cells: int, each: float) -> float:
    """Chance of at least so many of the cells, whose noises are independent, each with its own chance."""
    return 1 - sum(comb(cells, few) * each**few * (1 - each) ** (cells - few) for few in range(outside))


def _coverage(source: NoisyTable, official: Official, not_judged: int) -> tuple[str, ...]:
    notes = [f"Published: {official.source}."]
    if official.by_council:
        notes.append("The published figures are added up over the councils in the release, and no others.")
    elif len(source.contributed) < len(source.release.councils):
        absent = len(source.release.councils) - len(source.contributed)
        notes.append(
            f"{absent} of the councils asked are not in the release. If the published figures have them, "
            "their cases are part of the gap."
        )
    if official.missing:
        named = ", ".join(official.missing[:MOST_NAMED])
        more = f" and {len(official.missing) - MOST_NAMED} more" if len(official.missing) > MOST_NAMED else ""
        notes.append(f"Councils without a published figure in some cell: {named}{more}.")
    if not_judged:
        notes.append(f"Cells without a published figure over all these councils, not judged: {not_judged}.")
    if official.rounding:
        notes.append(f"Rounding may have moved a published figure by up to {official.rounding:,}: the bands allow it.")
    if official.attribution:
        notes.append(official.attribution)
    return tuple(notes)
