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
from itertools import pairwise

from federated.errors import QueryError
from federated.query.conditions import Condition, Named, condition_columns, condition_json
from federated.query.measures import LARGEST_BOUND, Measured
from federated.rationals import rational, rational_text
from protocols.encoding import Json, canonical_json, digest
from protocols.identifiers import Digest

MAX_DIMENSIONS = 3
MAX_TABLES = 100
MAX_CELLS_TOUCHED = 64
MAX_MEASURES = 32
MAX_EDGES = 1024
MAX_CONDITIONS = 64
MAX_ROUNDS = 8


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
class Table:
    """One table of a question.

    Attributes:
        name: Lower-case label, unique within the question.
        statistic: Code of the statistic, a key of `federated.statistics.STATISTICS`.
        by: Up to three breakdowns; the cells are all combinations of their closed lists.
        level: Geography.
        max_cells: Contribution bound: cells (or rows, where the statistic is over rows) one household may touch.
        measures: Whole numbers read off the rows, each within public bounds; none for counts.
        edges: Public cut points that turn the first measure into bands; none where the statistic has no bands.
        conditions: Named groups of rows, where the statistic tells such groups apart.
        probabilities: Which quantiles are asked for, each in (0, 1).
        rounds: How many rounds of aggregation the answer takes; each is charged.
    """

    name: str
    statistic: str
    by: tuple[Dimension, ...] = ()
    level: Level = Level.ALL
    max_cells: int = 1
    measures: tuple[Measured, ...] = ()
    edges: tuple[int, ...] = ()
    conditions: tuple[Named, ...] = ()
    probabilities: tuple[Fraction, ...] = ()
    rounds: int = 1

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
        if not 1 <= self.rounds <= MAX_ROUNDS:
            raise QueryError(f"Table '{self.name}' asks for {self.rounds} rounds; a question takes 1 to {MAX_ROUNDS}.")
        self._check_lists()

    def _check_lists(self) -> None:
        most = {"measures": MAX_MEASURES, "edges": MAX_EDGES, "conditions": MAX_CONDITIONS, "probabilities": MAX_EDGES}
        for name, limit in most.items():
            given = len(getattr(self, name))
            if given > limit:
                raise QueryError(f"Table '{self.name}' has {given} {name}; at most {limit} are allowed.")
        # What a node measures lies within the largest bound; an edge far beyond could overflow its arithmetic, and only
        # where a row is measured at all: a bit of the data without noise.
        if any(abs(edge) > LARGEST_BOUND + 1 for edge in self.edges):
            raise QueryError(f"Table '{self.name}' has an edge beyond {LARGEST_BOUND + 1:,} of zero.")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise QueryError(f"Table '{self.name}' has edges that do not rise.", remedy="Write each once, in order.")
        names = [item.name for item in self.conditions]
        if len(set(names)) != len(names):
            raise QueryError(f"Table '{self.name}' has two conditions of one name.", remedy="Give each its own name.")
        if any(not 0 < item < 1 for item in self.probabilities) or any(
            low >= high for low, high in pairwise(self.probabilities)
        ):
            raise QueryError(
                f"Table '{self.name}' has probabilities that do not rise between 0 and 1.",
                remedy='Write for example probabilities: ["1/2", "9/10"].',
            )

    def columns(self) -> frozenset[str]:
        """Every column the table reads, the household key and the question's own condition aside."""
        read = {dimension.column for dimension in self.by}
        return frozenset(read).union(
            *(measured.columns() for measured in self.measures),
            *(condition_columns(item.where) for item in self.conditions),
        )

    def canonical(self) -> Json:
        """The table as canonical JSON, without the lists that are empty."""
        plain: dict[str, Json] = {
            "name": self.name,
            "statistic": self.statistic,
            "by": [dimension.canonical() for dimension in self.by],
            "level": self.level.value,
            "max_cells": self.max_cells,
        }
        lists: dict[str, Json] = {
            "measures": [item.canonical() for item in self.measures],
            "edges": list(self.edges),
            "conditions": [item.canonical() for item in self.conditions],
            "probabilities": [rational_text(item) for item in self.probabilities],
        }
        several: dict[str, Json] = {"rounds": self.rounds} if self.rounds > 1 else {}
        return {**plain, **several, **{name: items for name, items in lists.items() if items}}


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
        if self.rounds > 1 and len(self.tables) > 1:
            # What a round is counted at, and what it costs, would otherwise belong to some of its tables only.
            raise QueryError(
                "A table that takes several rounds is the only one of its question.",
                remedy="Ask the other tables in a question of their own.",
            )

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

    @property
    def rounds(self) -> int:
        """Rounds of aggregation that the answer takes."""
        return max(table.rounds for table in self.tables)

    def columns(self) -> frozenset[str]:
        """Every column the question reads, the household key aside."""
        own = {self.period.column} | condition_columns(self.where)
        return frozenset(own).union(*(table.columns() for table in self.tables))


def parse_epsilon(text: str) -> Fraction:
    """An epsilon as written by a person: ``1``, ``0.5`` or ``1/2``."""
    return rational(text, name="epsilon")
