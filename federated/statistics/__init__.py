"""The statistics that can be asked for, by code. Adding one means a module here, a spec and a page: nothing else."""

from collections.abc import Mapping
from types import MappingProxyType

from federated.errors import QueryError
from federated.statistics import (
    bounded_sum,
    co_occurrence,
    covariance,
    distribution,
    households,
    linear,
    logistic,
    logistic_rounds,
    matched,
    missing,
    pathway,
    poisson,
    poisson_rounds,
    quantile,
    ratio,
    rows,
    scores,
    share,
    survival,
    variance,
    weighted_mean,
)
from federated.statistics import mean as household_mean
from federated.statistics.base import (
    Axis,
    Banding,
    CellEstimate,
    Contribution,
    Curve,
    Figures,
    Layout,
    RoundFigures,
    Sensitivity,
    Statistic,
    StatisticInRounds,
    Term,
    Times,
)

__all__ = [
    "STATISTICS",
    "TOTALS",
    "Axis",
    "Banding",
    "CellEstimate",
    "Contribution",
    "Curve",
    "Figures",
    "Layout",
    "RoundFigures",
    "Sensitivity",
    "Statistic",
    "StatisticInRounds",
    "Term",
    "Times",
    "in_rounds",
    "statistic",
]

STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        "households": households,
        "rows": rows,
        "sum": bounded_sum,
        "mean": household_mean,
        "distribution": distribution,
        "scores": scores,
        "variance": variance,
        "share": share,
        "missing": missing,
        "ratio": ratio,
        "weighted_mean": weighted_mean,
        "covariance": covariance,
        "matched": matched,
        "linear": linear,
        "logistic": logistic,
        "logistic_rounds": logistic_rounds,
        "poisson": poisson,
        "quantile": quantile,
        "survival": survival,
        "pathway": pathway,
        "co_occurrence": co_occurrence,
        "poisson_rounds": poisson_rounds,
    }
)


IN_ROUNDS: Mapping[str, StatisticInRounds] = MappingProxyType(
    {"logistic_rounds": logistic_rounds, "poisson_rounds": poisson_rounds}
)
"""Statistics whose answer takes several rounds."""

TOTALS = frozenset({"households", "rows", "sum", "distribution", "scores"})
"""Statistics whose printed figures are the noisy totals themselves, one for each cell."""


def statistic(code: str) -> Statistic:
    """The statistic of that code.

    Raises:
        QueryError: There is none.
    """
    found = STATISTICS.get(code)
    if found is None:
        raise QueryError(
            f"There is no statistic '{code[:40]}'.", remedy=f"The statistics are: {', '.join(STATISTICS)}."
        )
    return found


def in_rounds(code: str) -> StatisticInRounds:
    """The statistic of that code, whose answer takes several rounds.

    Raises:
        QueryError: There is none.
    """
    found = IN_ROUNDS.get(code)
    if found is None:
        raise QueryError(
            f"The statistic '{code[:40]}' does not take several rounds.", remedy="Leave out 'rounds', or make it 1."
        )
    return found
