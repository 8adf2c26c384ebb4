"""One table, answered many times in three ways, beside the same table without noise."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.noises import WAYS, Noises, Way, noises
from benchmarks.accuracy.sources import Source
from federated.query import Query
from federated.statistics import CellEstimate, RoundFigures, in_rounds, statistic
from federated.statistics.without_noise import NEXT_TO_NONE, fit_without_noise

__all__ = ["Accuracy", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How exact a table is.

    Attributes:
        figures: Figures printed that have a true value.
        said: Share of them, over all repetitions, about which something was said.
        errors: By way, the root mean squared error of every figure about which all ways said something.
        truths: Their true values.
        covered: Share of our intervals that hold the true value.
        declared: The coverage that those intervals declare, on average.
        mechanism: The noise.
    """

    figures: int
    said: float
    errors: Mapping[str, NDArray[np.float64]]
    truths: NDArray[np.float64]
    covered: float
    declared: float
    mechanism: str

    def ratio(self, way: str, beside: str) -> float:
        """Root mean squared error of one way over that of another: the geometric mean over the figures."""
        if not len(self.truths):
            return float("nan")
        return float(np.exp(np.mean(np.log(self.errors[way] / self.errors[beside]))))

    @property
    def relative(self) -> float:
        """Our error as a share of the true value: the median over the figures that are not 0."""
        kept = self.truths != 0
        return float(np.median(self.errors["ours"][kept] / np.abs(self.truths[kept]))) if kept.any() else float("nan")


def measure(source: Source, question: Query, *, councils: int, repetitions: int) -> Accuracy:
    """Answer the question's one table, so often, in every way."""
    (table,) = question.tables
    kind, layout = statistic(table.statistic), source.layout(question)
    kind.check(table, source.extract.dataset)
    used = noises(
        kind.sensitivity(table),
        layout.cells,
        epsilon=Fraction(question.epsilon),
        councils=councils,
        rounds=table.rounds,
    )
    if table.rounds > 1:
        fit = _Fit(source, question, used)
        truth, answer = fit.truth(), fit.answers
    else:
        exact = source.exact(question, used.spec.mechanism).astype(np.float64)
        bare = source.exact(question, NEXT_TO_NONE.mechanism).astype(np.float64)
        truth = _estimates(kind.decode(table, layout, bare, NEXT_TO_NONE))

        def answer(way: Way, times: int) -> list[tuple[CellEstimate, ...]]:
            return [kind.decode(table, layout, exact + noise, used.law(way)) for noise in used.draws(way, times)]

    found: dict[str, NDArray[np.float64]] = {}
    held, declared = [], []
    for way in WAYS:
        answers = answer(way, repetitions)
        found[way] = np.array([_estimates(cells) for cells in answers])
        if way == "ours":
            for cells in answers:
                inside = [cell.low <= true <= cell.high for cell, true in zip(cells, truth, strict=True)]
                held += [h for h, true in zip(inside, truth, strict=True) if not np.isnan(true)]
                declared += [c.coverage for c, true in zip(cells, truth, strict=True) if not np.isnan(true)]
    return _accuracy(found, truth, held, declared, used)


class _Fit:
    """A question of several rounds over a source's records."""

    def __init__(self, source: Source, question: Query, used: Noises) -> None:
        (self._table,) = question.tables
        self._rule, self._layout = in_rounds(self._table.statistic), source.layout(question)
        self._source, self._question, self._used = source, question, used

    def _exact(self, at: tuple[int, ...]) -> NDArray[np.float64]:
        return self._source.exact(self._question, self._used.spec.mechanism, at).astype(np.float64)

    def truth(self) -> NDArray[np.float64]:
        return _estimates(fit_without_noise(self._table, self._layout, self._exact))

    def answers(self, way: Way, times: int) -> list[tuple[CellEstimate, ...]]:
        law, made = self._used.law(way), []
        for _ in range(times):
            at, found = self._rule.start(self._table), []
            for noise in self._used.draws(way, self._table.rounds):
                figures = RoundFigures(coefficients=at, totals=self._exact(at) + noise, noise=law, councils=frozenset())
                found.append(figures)
                at = self._rule.advance(self._table, found[-1])
            made.append(self._rule.conclude(self._table, self._layout, found))
        return made


def _accuracy(
    found: dict[str, NDArray[np.float64]],
    truth: NDArray[np.float64],
    held: list[bool],
    declared: list[float],
    used: Noises,
) -> Accuracy:
    has_truth = ~np.isnan(truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a figure about which nothing was said has no mean
        errors = {way: np.sqrt(np.nanmean((answers - truth) ** 2, axis=0)) for way, answers in found.items()}
    told = has_truth & np.all([~np.isnan(e) & (e > 0) for e in errors.values()], axis=0)
    return Accuracy(
        figures=int(has_truth.sum()),
        said=float(np.mean(~np.isnan(found["ours"][:, has_truth]))) if has_truth.any() else 0.0,
        errors={way: error[told] for way, error in errors.items()},
        truths=truth[told],
        covered=float(np.mean(held)) if held else float("nan"),
        declared=float(np.mean(declared)) if declared else float("nan"),
        mechanism=used.spec.mechanism.value,
    )


def _estimates(cells: tuple[CellEstimate, ...]) -> NDArray[np.float64]:
    return np.array([cell.estimate for cell in cells], dtype=np.float64)
