"""Tables of one release made to add up: weighted least squares over all sums that must agree. Costs no budget.

Released tables carry noise of their own, so two breakdowns of the same households give two totals. The adjusted
estimates are those nearest to the released ones, each weighed by the inverse of its noise's variance, whose sums agree.
With y the released totals, V their variances and C x = 0 the agreements:

    x = y - V C' (C V C')^-1 C y,    cov(x) = V - V C' (C V C')^-1 C V.

This is the best linear unbiased estimate under the agreements: no cell's standard error grows, and every sum stays
unbiased. It uses the noise's variance alone, so estimates and standard errors are exact for both mechanisms.
Intervals are approximate: the law of a combination of many noises lies between the cell's own and the normal curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse, stats

from federated.analysis.agreeing import Placed, agreements, placed_tables, regions_are_complete
from federated.errors import FederatedError, FileProblem, QueryError
from federated.privacy import Mechanism, ReleasedNoise, released_noise
from federated.release import Release
from federated.schema import Schema
from federated.statistics.offsets import NORMAL_POINT, TARGET_COVERAGE, longer_tail
from protocols.errors import LocalProtocolError

__all__ = ["Consistent", "ConsistentTable", "make_consistent", "without_negatives"]

MOST_AGREEMENTS: Final = 4000
"""Above it their matrix takes more than about ten seconds and half a gigabyte."""
SUSPICIOUS: Final = 1e-4
"""Tables that disagree by more than noise would once in 10,000 releases are not made to agree without a warning."""

_BLOCK: Final = 2048

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConsistentTable:
    """One table after adjusting.

    Attributes:
        placed: The table as released, with its place.
        estimates: Adjusted, unclipped, in units of the question.
        standard_errors: Of the noise left in them.
        released_errors: Of the noise in the released ones, for comparison.
        low: Lower ends of the intervals.
        high: Upper ends.

    Shapes:
        All `(cells,)`, row-major.
    """

    placed: Placed
    estimates: Floats
    standard_errors: Floats
    released_errors: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Consistent:
    """All tables of totals of a release, adjusted together.

    Attributes:
        tables: The tables, in the release's order.
        complete: Whether regions were made to add up to all councils.
        agreements: Independent sums that were made to agree.
        disagreement: How far they disagreed before: about chi-squared on `agreements` degrees of freedom.
        p_value: Chance of as much from noise alone, by that law; Laplace noise makes it somewhat too small.
        estimates: Of all cells, table after table.
    """

    tables: tuple[ConsistentTable, ...]
    complete: bool
    agreements: int
    disagreement: float
    p_value: float
    estimates: Floats
    _variances: Floats = field(repr=False)
    _constraints: sparse.csr_matrix = field(repr=False)
    _inverse: Floats = field(repr=False)

    @property
    def suspicious(self) -> bool:
        """Whether the tables disagreed by more than noise explains."""
        return self.p_value < SUSPICIOUS

    def table(self, name: str) -> ConsistentTable:
        """The table of that name.

        Raises:
            KeyError: There is none of totals.
        """
        for table in self.tables:
            if table.placed.record.name == name:
                return table
        raise KeyError(name)

    def standard_error_of(self, weights: Floats) -> float:
        """The exact standard error of a weighted sum of adjusted cells, with all their covariances.

        Shapes:
            `weights` is `(all cells,)`, table after table.
        """
        spread = self._variances * weights
        seen = self._constraints @ spread
        return float(np.sqrt(max(0.0, weights @ spread - seen @ self._inverse @ seen)))


def make_consistent(release: Release, schema: Schema, *, same_margins: bool = False) -> Consistent:
    """Make the tables of a release agree.

    Args:
        release: The release.
        schema: For the councils' regions.
        same_margins: Make the margins of cross-tables agree as well. Right only where no household has two records
            of the question in the period; the disagreement found speaks up where many have.

    Raises:
        QueryError: No two tables of the release have a sum in common, or too many have.
        FileProblem: The release does not agree with its own plan.
    """
    tables = placed_tables(release)
    complete = regions_are_complete(release, tables, schema)
    constraints = agreements(tables, complete=complete, same_margins=same_margins)
    if not constraints.shape[0]:
        raise QueryError(
            "No two tables of this release are of the same households, so there is nothing to make agree.",
            remedy="docs/analyses/consistent.md says which tables agree.",
        )
    if constraints.shape[0] > MOST_AGREEMENTS:
        raise QueryError(
            f"{constraints.shape[0]:,} sums of this release must agree; at most {MOST_AGREEMENTS:,} can be worked out.",
            remedy="Leave --same-margins out.",
        )
    laws = [_law(release, table) for table in tables]
    sizes = [len(table.record.cells) for table in tables]
    released = np.concatenate([np.array(table.record.totals) / table.record.scale for table in tables])
    variances = np.repeat([law.sd**2 for law in laws], sizes)
    constraints, inverse = _independent(constraints, variances)
    gap = constraints @ released
    estimates = released - variances * (constraints.T @ (inverse @ gap))
    left = variances - variances**2 * _diagonal(constraints, inverse)
    errors = np.sqrt(np.clip(left, 0.0, variances))
    exact = np.repeat([float(law.half_width(TARGET_COVERAGE)[0]) for law in laws], sizes)
    kurtosis = max(law.excess_kurtosis for law in laws)
    reach = np.where(_untouched(constraints), exact, _half_widths(errors, np.sqrt(variances), kurtosis))
    disagreement = float(gap @ inverse @ gap)
    return Consistent(
        tables=tuple(
            ConsistentTable(
                placed=table,
                estimates=estimates[table.cells],
                standard_errors=errors[table.cells],
                released_errors=np.sqrt(variances[table.cells]),
                low=(estimates - reach)[table.cells],
                high=(estimates + reach)[table.cells],
            )
            for table in tables
        ),
        complete=complete,
        agreements=constraints.shape[0],
        disagreement=disagreement,
        p_value=float(stats.chi2.sf(disagreement, constraints.shape[0])),
        estimates=estimates,
        _variances=variances,
        _constraints=constraints,
        _inverse=inverse,
    )


def without_negatives(estimates: Floats, groups: Sequence[NDArray[np.intp]]) -> Floats:
    """Figures for printing: none below zero, and each group's sum kept.

    A group's negative figures become zero, and the others give up the same amount each until the sum is what it was
    (the nearest such figures). Cutting at zero alone would add what the negative ones lacked to every sum. A group
    whose sum is below zero becomes all zero. Single cells are no longer unbiased, so analyses use the unclipped ones.

    Args:
        estimates: Unclipped.
        groups: Cells whose sum is kept, each cell in at most one group.

    Shapes:
        `estimates` and the result are `(cells,)`.
    """
    printed = np.maximum(estimates, 0.0)
    for group in groups:
        printed[group] = _onto_simplex(estimates[group])
    return printed


def _onto_simplex(figures: Floats) -> Floats:
    """The nearest figures at or above zero with the same sum."""
    total = float(figures.sum())
    if total <= 0:
        return np.zeros_like(figures)
    falling = np.sort(figures)[::-1]
    excess = (np.cumsum(falling) - total) / np.arange(1, len(figures) + 1)
    kept = int(np.flatnonzero(falling > excess)[-1])
    shown: Floats = np.maximum(figures - excess[kept], 0.0)
    return shown


def _law(release: Release, table: Placed) -> ReleasedNoise:
    """The noise of a released table, from the plan in the release, held against what the table says of itself."""
    try:
        law = released_noise(
            Mechanism(release.plan["mechanism"]),
            Fraction(release.plan["tables"][table.index]["parameter"]),
            scale=table.record.scale,
            honest=release.honest,
            contributors=release.contributed,
        )
    except (KeyError, IndexError, TypeError, ValueError, FederatedError, LocalProtocolError) as error:
        raise _not_its_plan(table) from error
    if abs(law.sd - table.record.planned_sd) > 1e-9 * law.sd:
        raise _not_its_plan(table)
    return law


def _not_its_plan(table: Placed) -> FileProblem:
    return FileProblem(
        f"The table '{table.record.name}' does not agree with the plan in its own release.",
        remedy="Fetch the release again with `federated show`, and check it with `federated verify`.",
    )


def _independent(constraints: sparse.csr_matrix, variances: Floats) -> tuple[sparse.csr_matrix, Floats]:
    """Agreements that do not follow from the others, and the inverse of C V C' over them.

    A pivoted Cholesky factorisation finds them: agreements that follow from others have nothing left when their turn
    comes. Each is scaled to a variance of 1 first, so that tables with very different noise are judged alike.
    """
    scaled = sparse.diags(1 / np.sqrt(constraints.power(2) @ variances)) @ constraints
    gram = (scaled @ sparse.diags(variances) @ scaled.T).toarray()
    _, pivots, rank, _ = linalg.lapack.dpstrf(gram, tol=1e-9)
    kept = np.sort(pivots[:rank] - 1)
    inverse = linalg.cho_solve(linalg.cho_factor(gram[np.ix_(kept, kept)]), np.eye(rank))
    return sparse.csr_matrix(scaled[kept]), inverse


def _diagonal(constraints: sparse.csr_matrix, inverse: Floats) -> Floats:
    """The diagonal of C' W C, in blocks of cells."""
    columns = sparse.csc_matrix(constraints)
    parts = []
    for start in range(0, columns.shape[1], _BLOCK):
        block = columns[:, start : start + _BLOCK]
        parts.append(np.asarray(block.multiply(inverse @ block).sum(axis=0)).reshape(-1))
    return np.concatenate(parts)


def _untouched(constraints: sparse.csr_matrix) -> NDArray[np.bool_]:
    seen = np.diff(sparse.csc_matrix(constraints).indptr)
    return np.asarray(seen == 0, dtype=np.bool_)


def _half_widths(errors: Floats, released: Floats, kurtosis: float) -> Floats:
    """Half widths of 95% intervals of adjusted cells, by four moments.

    The share w of the variance left that is the cell's own noise is var / v; the rest may be spread over many cells or
    stand in one, so the kurtosis is at most w^2 + (1 - w)^2 of the largest of any noise. The quantile is that of a
    Cornish-Fisher expansion: 1.96 for Gaussian noise, 2.17 where Laplace noise stands alone, whose own value is 2.12.
    """
    own = (errors / released) ** 2
    left = kurtosis * (own**2 + (1 - own) ** 2)
    return errors * (NORMAL_POINT + longer_tail(left))
