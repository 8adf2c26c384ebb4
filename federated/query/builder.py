"""A question built in Python: each step gives a new, longer question, and `query()` the frozen expression.

    from federated.query.builder import ask, column

    question = (
        ask("Households owed a duty, by age", of="case", group="north_east", epsilon="1/2")
        .during("assessment_date", "2025-01-01", "2025-03-31")
        .where(column("assessment_outcome").is_in("relief_owed", "prevention_owed"))
        .table("ages", "households", by=["main_age_band"])
        .table("children", "mean", measures=[column("dependent_children_n").within(0, 6)])
        .query()
    )

It builds the same `Query` as YAML and SQL do, by the same constructors, so it can ask for nothing that they cannot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Literal

from federated.errors import QueryError
from federated.query.conditions import And, Between, Condition, Equals, In, Named, Not, Or, Unknown
from federated.query.measures import Days, Measure, Measured, Points, Value
from federated.query.model import DatePart, Dimension, Level, Period, Query, Table, parse_epsilon
from federated.rationals import rational
from federated.timestamps import parse_day

__all__ = ["Asking", "Column", "Having", "Reading", "ask", "column", "days", "points"]


@dataclass(frozen=True, slots=True)
class Having:
    """Rows that meet a condition; joined with ``&`` and ``|``, turned round with ``~``."""

    condition: Condition

    def __and__(self, other: "Having") -> "Having":
        """Rows that meet both."""
        return Having(And(conditions=(self.condition, other.condition)))

    def __or__(self, other: "Having") -> "Having":
        """Rows that meet at least one."""
        return Having(Or(conditions=(self.condition, other.condition)))

    def __invert__(self) -> "Having":
        """Rows that do not meet it; those where it is not known meet neither."""
        return Having(Not(condition=self.condition))


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole number read off a row, before its bounds."""

    measure: Measure

    def within(self, low: int, high: int) -> Measured:
        """The number within public bounds."""
        return Measured(measure=self.measure, low=low, high=high)


@dataclass(frozen=True, slots=True)
class Column:
    """A column by name: to compare, to read a number from, or to break down by."""

    name: str

    def equals(self, value: str | int | date) -> Having:
        """Rows with this code, whole number or day."""
        return Having(Equals(column=self.name, value=str(value)))

    def is_in(self, *codes: str) -> Having:
        """Rows with one of these codes."""
        return Having(In(column=self.name, values=codes))

    def between(self, low: str | int | date, high: str | int | date) -> Having:
        """Rows from one day or whole number to another, both included."""
        return Having(Between(column=self.name, low=str(low), high=str(high)))

    def is_unknown(self) -> Having:
        """Rows in which the date or whole number is not known."""
        return Having(Unknown(column=self.name))

    def within(self, low: int, high: int) -> Measured:
        """The whole number of the column, within public bounds."""
        return Reading(Value(column=self.name)).within(low, high)

    def by(self, part: Literal["month", "quarter", "year"]) -> Dimension:
        """The dates of the column as a breakdown."""
        return Dimension(column=self.name, part=DatePart(part))


def column(name: str) -> Column:
    """A column of the data set."""
    return Column(name)


def days(start: str, end: str, *, until: str | date | None = None) -> Reading:
    """Days from one date column to another, for everyone at most to a public day."""
    return Reading(Days(start=start, end=end, until=None if until is None else _day(until)))


def points(terms: Iterable[tuple[Having, int]] = (), *, base: int = 0) -> Reading:
    """Public points, added up over the conditions that a row meets."""
    return Reading(Points(base=base, terms=tuple((having.condition, number) for having, number in terms)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question under way; see the module."""

    title: str
    dataset: str
    group: str
    epsilon: Fraction
    unit: str
    period: Period | None = None
    having: Having | None = None
    tables: tuple[Table, ...] = ()

    def during(self, name: str, start: str | date, end: str | date) -> "Asking":
        """The data period: rows whose date column lies between two days, both included."""
        return replace(self, period=Period(column=name, start=_day(start), end=_day(end)))

    def where(self, having: Having) -> "Asking":
        """Only these rows; said twice, rows that meet both."""
        return replace(self, having=having if self.having is None else self.having & having)

    def table(
        self,
        name: str,
        statistic: str,
        *,
        by: Iterable[str | Dimension] = (),
        level: Literal["all", "region"] = "all",
        max_cells: int = 1,
        measures: Iterable[Measured] = (),
        edges: Iterable[int] = (),
        conditions: Mapping[str, Having] | None = None,
        probabilities: Iterable[str | Fraction] = (),
        rounds: int = 1,
    ) -> "Asking":
        """One more table, of any statistic (`docs/statistics`).

        Raises:
            QueryError: No statistic could mean it.
        """
        table = Table(
            name=name,
            statistic=statistic,
            by=tuple(Dimension(column=item) if isinstance(item, str) else item for item in by),
            level=Level(level),
            max_cells=max_cells,
            measures=tuple(measures),
            edges=tuple(edges),
            conditions=tuple(Named(name=key, where=having.condition) for key, having in (conditions or {}).items()),
            probabilities=tuple(
                item if isinstance(item, Fraction) else rational(item, name="probability") for item in probabilities
            ),
            rounds=rounds,
        )
        return replace(self, tables=(*self.tables, table))

    def query(self) -> Query:
        """The question as a frozen expression.

        Raises:
            QueryError: It has no period or no table, or contradicts itself.
        """
        if self.period is None:
            raise QueryError("The question has no period.", remedy="Add .during('assessment_date', from, to).")
        return Query(
            title=self.title,
            dataset=self.dataset,
            unit=self.unit,
            group=self.group,
            period=self.period,
            epsilon=self.epsilon,
            tables=self.tables,
            where=None if self.having is None else self.having.condition,
        )


def ask(
    title: str, *, of: str, group: str, epsilon: str | Fraction, unit: Literal["household", "person"] = "household"
) -> Asking:
    """Begin a question.

    Args:
        title: What is asked, in words.
        of: The data set.
        group: Named group of the agreement.
        epsilon: Privacy cost asked for the whole question, as text (``"0.5"``, ``"1/2"``) or an exact fraction.
        unit: The data set's privacy unit.
    """
    exact = epsilon if isinstance(epsilon, Fraction) else parse_epsilon(epsilon)
    return Asking(title=title, dataset=of, group=group, epsilon=exact, unit=unit)


def _day(day: str | date) -> date:
    return day if isinstance(day, date) else parse_day(day)
