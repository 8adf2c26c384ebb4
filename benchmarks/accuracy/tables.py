"""What is asked of each source: at least one table for every statistic."""

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Final

from benchmarks.accuracy.sources import DAY, Source
from federated.query import Query
from federated.query.builder import Asking, ask, column, days, points
from federated.schema import load_schema

__all__ = ["questions"]

# What the columns are called: a category, one with few codes, an outcome, an exposure, and whole numbers.
NAMES: Final = {
    "published": ("main_age_band", "household_type", "assessment_outcome", "main_sex", "dependent_children_n"),
    "fair": ("rating", "kind", "outcome", "exposed", "children"),
    "randhie": ("rating", "kind", "outcome", "exposed", "children"),
}
CODES: Final = {
    "published": ("relief_owed", "female"),
    "fair": ("yes", "yes"),
    "randhie": ("yes", "yes"),
}
# Every known code of the first of them.
GROUPS: Final = {
    "published": load_schema().dataset("case").column("main_age_band").code_list[:-1],
    "fair": ("1", "2", "3", "4", "5"),
    "randhie": ("excellent", "good", "fair", "poor"),
}


def questions(source: Source, epsilon: Fraction) -> Iterator[tuple[str, Query]]:
    """Every table that is tried on a source, with what it is called."""
    base = ask(f"Accuracy on {source.name}", of=source.extract.dataset.name, group="everyone", epsilon=epsilon).during(
        source.period.column, source.period.start, source.period.end
    )
    for name, asking in (*_everywhere(source, base), *_of_people(source, base)):
        yield name, asking.query()


def _everywhere(source: Source, base: Asking) -> Iterator[tuple[str, Asking]]:
    group, kind, outcome, exposed, number = NAMES[source.name]
    has, is_exposed = CODES[source.name]
    small = column(number).within(0, 6)
    yield "households", base.table("t", "households", by=[group, outcome])
    yield "rows", base.table("t", "rows", by=[kind])
    yield "sum", base.table("t", "sum", measures=[small], by=[group])
    yield "mean", base.table("t", "mean", measures=[small], by=[group])
    yield "distribution", base.table("t", "distribution", measures=[small], edges=range(1, 6), by=[outcome])
    score = points([(column(outcome).equals(has), 3), (column(exposed).equals(is_exposed), 2)], base=1)
    yield "scores", base.table("t", "scores", measures=[score.within(0, 6)], edges=[2, 4, 6])
    yield "variance", base.table("t", "variance", measures=[small], by=[group])
    part = {"part": column(outcome).equals(has)}
    yield "share", base.table("t", "share", conditions=part, by=[group])
    yield "missing", base.table("t", "missing", conditions={"first": column(outcome).equals(has)})
    yield "ratio", base.table("t", "ratio", measures=[score.within(0, 6), points(base=1).within(1, 3)], by=[group])
    yield "weighted_mean", base.table("t", "weighted_mean", measures=[score.within(0, 6), small])
    yield "covariance", base.table("t", "covariance", measures=[small, score.within(0, 6)])
    halves = ["1/2", "9/10"]
    yield "quantile", base.table("t", "quantile", measures=[small], edges=range(1, 7), probabilities=halves)
    tried = {"exposed": column(exposed).equals(is_exposed), "outcome": column(outcome).equals(has)}
    yield "matched", base.table("t", "matched", conditions=tried, by=[group])
    mark = points([(column(exposed).equals(is_exposed), 1)]).within(0, 1)
    yield "linear", base.table("t", "linear", measures=[small, mark])
    yield "logistic", base.table("t", "logistic", conditions={"outcome": column(outcome).equals(has)}, by=[exposed])
    several = {"outcome": column(outcome).equals(has)}
    yield "logistic_rounds", base.table("t", "logistic_rounds", conditions=several, measures=[small, mark], rounds=6)
    marks = [mark, points([(column(outcome).equals(has), 1)]).within(0, 1)]
    yield "poisson_rounds", base.table("t", "poisson_rounds", measures=[small, *marks], rounds=6)
    yield "poisson", base.table("t", "poisson", measures=[small], by=[exposed])
    stages = {"all": column(group).is_in(*GROUPS[source.name])} | tried
    yield "pathway", base.table("t", "pathway", conditions=stages)
    yield "co_occurrence", base.table("t", "co_occurrence", by=[exposed], max_cells=2)


def _of_people(source: Source, base: Asking) -> Iterator[tuple[str, Asking]]:
    if source.name == "published":
        return
    stay = days("relief_start", "relief_end", until=DAY + timedelta(days=30)).within(0, 30)
    yield "mean of days", base.table("t", "mean", measures=[stay], by=["rating"])
    ends = {"ended": column("outcome").equals("yes")}
    yield "survival", base.table("t", "survival", measures=[stay], edges=range(5, 31, 5), conditions=ends)
    months = range(1, 31)
    yield "quantile of days", base.table("t", "quantile", measures=[stay], edges=months, probabilities=["1/2", "9/10"])
    by = ["rating", "kind"]
    tried = {"exposed": column("exposed").equals("yes"), "outcome": column("outcome").equals("yes")}
    yield "matched, two breakdowns", base.table("t", "matched", conditions=tried, by=by)
