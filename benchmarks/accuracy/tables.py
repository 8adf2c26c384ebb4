"""What is asked of each source: at least one table for every statistic."""

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Final

from benchmarks.accuracy.sources import DAY, Source
from federated.query import Query
from federated.query.builder import Asking, ask, column, days, points

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


def _of_people(source: Source, base: Asking) -> Iterator[tuple[str, Asking]]:
    if source.name == "published":
        return
    until = DAY + timedelta(days=30)
    stay = days("relief_start", "relief_end", until=until).within(0, 30)
    yield "mean of days", base.table("t", "mean", measures=[stay], by=["rating"])
