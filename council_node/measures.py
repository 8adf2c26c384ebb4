"""A question's measures over canonical rows, as DuckDB expressions."""

from collections.abc import Iterator
from typing import assert_never

from duckdb import Expression, coalesce, col, fn, lit, when

from council_node.conditions import matches
from federated.query import Days, Measure, Points, Value
from federated.schema import Dataset

__all__ = ["edges_reached", "measure"]


def measure(asked: Measure, dataset: Dataset) -> Expression:
    """The whole number that a row counts for; null where it is unknown.

    Args:
        asked: The measure, checked against the schema.
        dataset: Where its columns are defined.

    Raises:
        QueryError: A column or code of a condition does not exist or cannot be compared so.
    """
    match asked:
        case Value(column=column):
            return col(column)
        case Days(start=start, end=end, until=until):
            last = col(end)
            if until is not None:
                last = fn("least", coalesce(last, lit(until)), lit(until))
            return fn("date_diff", lit("day"), col(start), last)
        case Points(base=base, terms=terms):
            total = lit(base).cast("BIGINT")
            for condition, points in terms:
                # Only what is true adds points: `when` takes an unknown condition for one that does not hold.
                total = total + when(matches(condition, dataset)).then(lit(points)).otherwise(lit(0))
            return total
        case _:
            assert_never(asked)


def edges_reached(value: Expression, edges: tuple[int, ...]) -> Expression:
    """How many of the rising edges a number has reached: the place of its band."""
    reached = lit(0).cast("BIGINT")
    for first, step, count in _runs(edges):
        steps = fn("greatest", value - lit(first) + lit(step), lit(0)) // lit(step)
        reached = reached + fn("least", steps, lit(count))
    return reached


def _runs(edges: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """The edges as few stretches of even steps: (first edge, step, number of edges)."""
    start = 0
    while start < len(edges):
        step = edges[start + 1] - edges[start] if start + 1 < len(edges) else 1
        end = start + 1
        while end < len(edges) and edges[end] - edges[end - 1] == step:
            end += 1
        yield edges[start], step, end - start
        start = end
