"""What a council's own extract looks like: what is missing, not understood, repeated, or cannot be so.

The rows are read as for a question, by the same code, into the same locked-down memory, and forgotten at the end. What
is found is counted and never quoted. It costs no budget, because nothing of it leaves, and it is kept nowhere. What the
counts mean is judged in `council_node.checks.judgement`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from typing import Final, Self

from duckdb import Expression, col, count_all, fn, lit

from council_node.checks.rules import Rule, rules, violation
from council_node.counting import Holding, Reading, in_parts
from council_node.sources import Extract, LoadReport
from council_node.sources.extract import CASE_REFERENCE, HOUSEHOLD, Part, without_its_words
from federated.errors import FileProblem
from federated.schema import NOT_KNOWN, Column, ColumnType, Dataset

__all__ = ["DAY", "OUTCOME", "Seen", "look_through"]

DAY: Final = "assessment_date"
OUTCOME: Final = "assessment_outcome"
CASES: Final = "case"

Tell = Callable[[str], None]
"""Takes progress, one line at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Counts of one data set, of all of it or of some of its households.

    Attributes:
        report: What reading it showed.
        rows: Rows that are counted, without those that objected.
        unknown: For each column, rows without a value that can be used: blank, not known or not understood.
        broken: For each rule, rows that break it.
        twice: Rows that say the same as another one.
        conflicts: Rows with the case reference of another row that say something else.
        most_of_one: Rows of the household that has most of them.
        keyed_again: Cases that are a household's second of one day of application.
        quarters: Households by (quarter, place of the outcome in its list); a quarter is four times its year, plus 0
            to 3.
    """

    report: LoadReport
    rows: int
    unknown: Mapping[str, int]
    broken: Mapping[str, int]
    twice: int = 0
    conflicts: int = 0
    most_of_one: int = 0
    keyed_again: int = 0
    quarters: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def plus(self, other: Self) -> Self:
        """The counts of both, where no household is in both."""
        return type(self)(
            report=self.report.plus(other.report),
            rows=self.rows + other.rows,
            unknown=_added(self.unknown, other.unknown),
            broken=_added(self.broken, other.broken),
            twice=self.twice + other.twice,
            conflicts=self.conflicts + other.conflicts,
            most_of_one=max(self.most_of_one, other.most_of_one),
            keyed_again=self.keyed_again + other.keyed_again,
            quarters=Counter(self.quarters) + Counter(other.quarters),
        )


def _added(some: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: count + more[name] for name, count in some.items()}


def look_through(held: Holding, reading: Reading, *, today: date, tell: Tell) -> Seen:
    """Count everything in a data set, part by part where it does not fit into memory at once.

    Args:
        held: The data set as this council holds it.
        reading: The key of this one reading, and what it may use.
        today: For dates in the future.
        tell: Takes progress.

    Raises:
        FileProblem: It cannot be read, or maps nothing that can be asked about.
        ExtractTooLarge: It does not fit into memory, however small the parts.
        InternalError: The database failed for another reason that is not in the rows.
    """
    columns = _readable(held)
    held.check_coverage(frozenset(columns))
    every = in_parts(lambda part: _part(held, reading, columns, part, today=today, tell=tell), reading)
    return reduce(Seen.plus, every)


def _readable(held: Holding) -> tuple[str, ...]:
    mapped = [held.dataset.column(name) for name in held.mapping.columns]
    found = tuple(column.name for column in mapped if column.type is not ColumnType.KEY)
    if not found:
        raise FileProblem("The mapping maps no column that can be asked about.", remedy="Map some.")
    return found


def _part(held: Holding, reading: Reading, columns: tuple[str, ...], part: Part, *, today: date, tell: Tell) -> Seen:
    tell(f"Reading '{held.dataset.name}'" + (f", part {part.number + 1} of {part.of}" if part.of > 1 else ""))
    stopped = without_its_words(
        "The extract was read, but could not be looked through: the local database stopped.",
        remedy=f"Check that the node may use {reading.limits.memory_mib} MiB of memory, and report it if it may.",
    )
    with held.load(columns, part, reading) as extract, stopped:
        return _seen(extract, today)


def _seen(extract: Extract, today: date) -> Seen:
    dataset = extract.dataset
    asked = [rule for rule in rules() if rule.dataset == dataset.name and rule.columns <= extract.columns]
    marks = {_blank(name): _unknown(dataset.column(name)) for name in sorted(extract.columns)}
    marks |= {_break(rule): violation(rule, dataset, today) for rule in asked}
    rows, counts = _counted(extract, marks)
    twice, conflicts = _repeated(extract, rows)
    return Seen(
        report=extract.report,
        rows=rows,
        unknown={name: counts[_blank(name)] for name in sorted(extract.columns)},
        broken={rule.name: counts[_break(rule)] for rule in asked},
        twice=twice,
        conflicts=conflicts,
        most_of_one=_most_of_one(extract),
        keyed_again=_keyed_again(extract),
        quarters=_quarters(extract, dataset),
    )


def _blank(name: str) -> str:
    return f"?{name}"


def _break(rule: Rule) -> str:
    return f"!{rule.name}"


def _unknown(column: Column) -> Expression:
    if column.type is ColumnType.CATEGORY:
        return col(column.name) == lit(column.code_list.index(NOT_KNOWN))
    return col(column.name).is_null()


def _counted(extract: Extract, marks: Mapping[str, Expression]) -> tuple[int, dict[str, int]]:
    """Rows in all, and rows for which each mark is true."""
    sums = [count_all().where(mark).alias(name) for name, mark in marks.items()]
    found = extract.rows().group_by((), count_all().alias("!rows"), *sums).run(extract.connection).fetchall()
    total, *counts = found[0]
    return int(total), dict(zip(marks, counts, strict=True))


def _repeated(extract: Extract, rows: int) -> tuple[int, int]:
    """Rows written twice, and rows that contradict another of their case: a case has one row in the case table."""
    if not extract.has_case_reference or extract.dataset.name != CASES:
        return 0, 0
    counts = extract.rows().group_by((), col(CASE_REFERENCE).n_unique().alias("cases"))
    different = extract.rows().distinct().group_by((), count_all().alias("rows"))
    [[cases]] = counts.run(extract.connection).fetchall()
    [[kinds]] = different.run(extract.connection).fetchall()
    return rows - int(kinds), max(0, int(kinds) - int(cases))


def _most_of_one(extract: Extract) -> int:
    """Rows of the largest household: a placeholder in the place of references makes one household of many."""
    rows = extract.rows().group_by((col(HOUSEHOLD),), count_all().alias("rows"))
    [[most]] = rows.group_by((), fn("max", col("rows")).alias("most")).run(extract.connection).fetchall()
    return int(most or 0)


def _keyed_again(extract: Extract) -> int:
    """One household, one day of application, several references: often a case keyed again in a new system."""
    day = "application_date"
    if not extract.has_case_reference or extract.dataset.name != CASES or day not in extract.columns:
        return 0
    keys = (col(HOUSEHOLD), col(day))
    cases = extract.rows().where(col(day).is_not_null()).group_by(keys, col(CASE_REFERENCE).n_unique().alias("cases"))
    extra = cases.where(col("cases") > lit(1)).group_by((), fn("sum", col("cases") - lit(1)).alias("extra"))
    [[count]] = extra.run(extract.connection).fetchall()
    return int(count or 0)


def _quarters(extract: Extract, dataset: Dataset) -> dict[tuple[int, int], int]:
    if dataset.name != CASES or not {DAY, OUTCOME} <= extract.columns:
        return {}
    quarter = fn("year", col(DAY)) * lit(4) + fn("quarter", col(DAY)) - lit(1)
    counted = col(HOUSEHOLD).n_unique().alias("!own")
    rows = extract.rows().where(col(DAY).is_not_null()).group_by((quarter.alias("!quarter"), col(OUTCOME)), counted)
    return {(int(when), int(place)): int(own) for when, place, own in rows.run(extract.connection).fetchall()}
