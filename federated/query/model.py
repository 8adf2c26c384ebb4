"""Step 1 of 8: the question, as a frozen expression. In: YAML or Python. Out: `Query`.

This module is the meaning of a question. It knows no file format and no data: `federated.query.check`
holds it against the schema, `federated.plan` turns it into cells, sensitivity, noise and cost.
The digest of the canonical form is what "the identical question" means everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

from federated.errors import QueryError
from federated.rationals import rational, rational_text
from protocols.encoding import Json, canonical_json, digest
from protocols.identifiers import Digest

MAX_DIMENSIONS = 3
MAX_TABLES = 16
MAX_CELLS_TOUCHED = 64


class Level(StrEnum):
    """Geography a table is broken down to."""

    ALL = "all"
    """One figure for all councils asked (England, when the group is all of England)."""
    REGION = "region"
    """One figure for each region with enough eligible councils."""


class DatePart(StrEnum):
    """How a date becomes categories: the bins are fixed by the period asked about, never by the data."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A breakdown: a closed categorical column, or a date column cut into periods."""

    column: str
    part: DatePart | None = None

    def canonical(self) -> Json:
        """The dimension as canonical JSON."""
        return {"column": self.column} if self.part is None else {"column": self.column, "part": self.part.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Equals:
    """Rows whose column has this code (or this whole number or ISO date, as text)."""

    column: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class In:
    """Rows whose column has one of these codes."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Rows whose date or whole number lies between two values, both included."""

    column: str
    low: str
    high: str


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """Rows that meet every condition."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """Rows that meet at least one condition."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """Rows that do not meet the condition; rows where the column is unknown do not meet it either way."""

    condition: "Condition"


Condition: TypeAlias = Equals | In | Between | And | Or | Not


def condition_json(condition: Condition) -> Json:
    """A condition as canonical JSON; the order of alternatives carries no meaning and is sorted away."""
    match condition:
        case Equals(column=column, value=value):
            return {"column": column, "equals": value}
        case In(column=column, values=values):
            return {"column": column, "in": sorted(set(values))}
        case Between(column=column, low=low, high=high):
            return {"column": column, "between": [low, high]}
        case And(conditions=conditions):
            return {"all": sorted((condition_json(item) for item in conditions), key=canonical_json)}
        case Or(conditions=conditions):
            return {"any": sorted((condition_json(item) for item in conditions), key=canonical_json)}
        case Not(condition=inner):
            return {"not": condition_json(inner)}


def condition_columns(condition: Condition | None) -> frozenset[str]:
    """Every column a condition reads."""
    match condition:
        case None:
            return frozenset()
        case Equals(column=column) | In(column=column) | Between(column=column):
            return frozenset({column})
        case And(conditions=conditions) | Or(conditions=conditions):
            return frozenset().union(*(condition_columns(item) for item in conditions))
        case Not(condition=inner):
            return condition_columns(inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of a question.

    Attributes:
        name: Lower-case label, unique within the question.
        statistic: Code of the statistic, a key of `federated.statistics.STATISTICS`:
            ``households``, ``rows``, ``sum`` or ``mean``.
        by: Up to three breakdowns; the cells are all combinations of their closed lists.
        level: Geography.
        column: The whole-number column that a sum or mean is over; none for counts.
        clip: Inclusive whole-number bounds (low, high) of a household's total in a cell; none for counts.
        max_cells: Contribution bound: cells (for ``rows``: rows) one household may touch.
    """

    name: str
    statistic: str
    by: tuple[Dimension, ...] = ()
    level: Level = Level.ALL
    column: str | None = None
    clip: tuple[int, int] | None = None
    max_cells: int = 1

    def __post_init__(self) -> None:
        """Refuse what no statistic could mean."""
        if len(self.by) > MAX_DIMENSIONS:
            raise QueryError(
                f"Table '{self.name}' is broken down by {len(self.by)} columns; at most {MAX_DIMENSIONS} are allowed.",
                remedy="Ask for several tables instead.",
            )
        if not 1 <= self.max_cells <= MAX_CELLS_TOUCHED:
            raise QueryError(
                f"Table '{self.name}' has max_cells {self.max_cells}; it must be from 1 to {MAX_CELLS_TOUCHED}."
            )

    def canonical(self) -> Json:
        """The table as canonical JSON, without what is left out."""
        return {
            "name": self.name,
            "statistic": self.statistic,
            "by": [dimension.canonical() for dimension in self.by],
            "level": self.level.value,
            "column": self.column,
            "clip": None if self.clip is None else list(self.clip),
            "max_cells": self.max_cells,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The data period: rows whose date column lies from `start` to `end`, both included."""

    column: str
    start: date
    end: date

    def __post_init__(self) -> None:
        """Refuse an empty period."""
        if self.end < self.start:
            raise QueryError(f"The period ends on {self.end} before it starts on {self.start}.")

    def canonical(self) -> Json:
        """The period as canonical JSON."""
        return {"column": self.column, "from": self.start.isoformat(), "to": self.end.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question to a named group of councils; several tables share one aggregation round.

    Attributes:
        title: What is asked, in words. Not part of the identity of the question.
        dataset: Table of the schema, for example ``case``.
        unit: Privacy unit, ``household`` or ``person``; it must be the data set's own.
        group: Named group of the agreement; its councils are the ones asked.
        period: Data period.
        epsilon: Privacy cost asked for the whole question, an exact rational above 0.
        tables: One or more tables.
        where: Rows counted; all rows of the period when none.
    """

    title: str = field(compare=False)
    dataset: str
    unit: str
    group: str
    period: Period
    epsilon: Fraction
    tables: tuple[Table, ...]
    where: Condition | None = None

    def __post_init__(self) -> None:
        """Refuse what no plan could mean."""
        if self.epsilon <= 0:
            raise QueryError(f"epsilon is {rational_text(self.epsilon)}; it must be above 0.")
        if not 1 <= len(self.tables) <= MAX_TABLES:
            raise QueryError(f"A question has 1 to {MAX_TABLES} tables; this one has {len(self.tables)}.")
        names = [table.name for table in self.tables]
        if len(set(names)) != len(names):
            raise QueryError("Two tables of the question have the same name.", remedy="Give each its own name.")

    def canonical(self) -> Mapping[str, Json]:
        """The question alone as canonical JSON; `title` is left out, so rewording is not a new question."""
        return {
            "version": 1,
            "dataset": self.dataset,
            "unit": self.unit,
            "group": self.group,
            "period": self.period.canonical(),
            "epsilon": rational_text(self.epsilon),
            "where": None if self.where is None else condition_json(self.where),
            "tables": [table.canonical() for table in self.tables],
        }

    def digest(self, schema_digest: Digest) -> Digest:
        """`query_digest`: identity of the question (`protocol.md` 1.2), under one schema version."""
        return digest("query/v1", canonical_json(self.canonical()), schema_digest)

    def columns(self) -> frozenset[str]:
        """Every column the question reads, the household key aside."""
        read = {self.period.column} | set(condition_columns(self.where))
        for table in self.tables:
            read |= {dimension.column for dimension in table.by}
            if table.column is not None:
                read.add(table.column)
        return frozenset(read)


def parse_epsilon(text: str) -> Fraction:
    """An epsilon as written by a person: ``1``, ``0.5`` or ``1/2``."""
    return rational(text, name="epsilon")
