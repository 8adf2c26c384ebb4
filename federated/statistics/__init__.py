"""The statistics that can be asked for, by code. Adding one means a module here, a spec and a page: nothing else."""

from collections.abc import Mapping
from types import MappingProxyType

from federated.errors import QueryError
from federated.statistics import bounded_sum, co_occurrence, distribution, households, pathway, rows, scores, survival
from federated.statistics import mean as household_mean
from federated.statistics.base import (
    Axis,
    Banding,
    CellEstimate,
    Contribution,
    Figures,
    Layout,
    Sensitivity,
    Statistic,
    Term,
)

__all__ = [
    "STATISTICS",
    "Axis",
    "Banding",
    "CellEstimate",
    "Contribution",
    "Figures",
    "Layout",
    "Sensitivity",
    "Statistic",
    "Term",
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
        "survival": survival,
        "pathway": pathway,
        "co_occurrence": co_occurrence,
    }
)


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
