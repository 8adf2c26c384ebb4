"""What a question's answer would be without noise, counted by hand over synthetic records.

An independent reading of the question, in plain Python dictionaries: it shares no code with the council node, so
that the two can be held against each other. It knows no contribution bound, so it is the truth of a release only
where no household has more cells (or rows) than the bound; synthetic households have one row in the asked period.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Final, TypeAlias

from federated.errors import InternalError
from federated.query import (
    And,
    Between,
    Condition,
    DatePart,
    Dimension,
    Equals,
    In,
    Level,
    Not,
    Or,
    Period,
    Table,
    Unknown,
    Value,
)
from federated.schema import NOT_KNOWN, ColumnType, Dataset, load_schema
from federated.synthetic.cases import Cases

Record: TypeAlias = Mapping[str, str]
Cell: TypeAlias = tuple[str, ...]

_QUARTERS: Final = {f"{month:02d}": f"Q{(month + 2) // 3}" for month in range(1, 13)}


def true_table(
    recorded: Iterable[Cases], table: Table, period: Period, where: Condition | None = None
) -> dict[Cell, Fraction]:
    """The exact table over the records of several councils, counted as a node should.

    Households that object are dropped with all their rows, a row that stands in a file twice counts once, and rows
    without a readable date in the period's column count nowhere.

    Args:
        recorded: What `federated.synthetic.extract.write_extract` returned for each council.
        table: The table asked for: ``households``, ``rows``, ``sum`` or ``mean``.
        period: The data period asked for.
        where: The rows asked for.

    Returns:
        Value by cell, in the order of the table's axes with the region first; cells without a household are left
        out, and so are means over no one.
    """
    totals: dict[Cell, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    rows: dict[Cell, int] = defaultdict(int)
    for cases in recorded:
        for record in counted_records(cases, period, where):
            value = _value(record, table)
            if value is None:
                continue
            cell = cell_of(record, table, period, load_schema().councils[cases.council].region)
            totals[cell][f"{cases.council}/{record['household_key']}"] += value
            rows[cell] += 1
    return {cell: _answer(table, by_household, rows[cell]) for cell, by_household in totals.items()}


def counted_records(cases: Cases, period: Period, where: Condition | None = None) -> Iterator[Record]:
    """The records of one council that a question counts, derived columns included, each once."""
    records = [with_derived(record) for record in cases.rows()]
    objecting = {record["household_key"] for record in records if record["opted_out"] == "yes"}
    seen: set[tuple[str, ...]] = set()
    for record in records:
        same = tuple(record.values())
        day = record[period.column]
        # An unknown day is the empty text, which sorts before every period.
        in_period = period.start.isoformat() <= day <= period.end.isoformat()
        if same in seen or record["household_key"] in objecting or not in_period:
            continue
        seen.add(same)
        if where is None or meets(record, where):
            yield record


def with_derived(record: Record) -> dict[str, str]:
    """A record with the columns that are derived from its own."""
    derived = {
        column.name: column.derivation[record[base]]
        for column in _dataset().derived_columns()
        if (base := column.derived_from) is not None and base in record
    }
    return {**record, **derived}


def meets(  # noqa: PLR0911 - one for each kind
    record: Record, condition: Condition, dataset: Dataset | None = None
) -> bool | None:
    """Whether a record meets a condition; `None` where a date or number it needs is unknown.

    Args:
        record: The record, by column.
        condition: The condition.
        dataset: Its table; that of cases when none.
    """
    match condition:
        case Equals(column=column, value=value):
            return _compared(record, column, value, value, dataset)
        case In(column=column, values=values):
            return record[column] in values
        case Between(column=column, low=low, high=high):
            return _compared(record, column, low, high, dataset)
        case Unknown(column=column):
            return record[column] == ""
        case And(conditions=conditions):
            return _all_of([meets(record, item, dataset) for item in conditions])
        case Or(conditions=conditions):
            return _opposite(_all_of([_opposite(meets(record, item, dataset)) for item in conditions]))
        case Not(condition=inner):
            return _opposite(meets(record, inner, dataset))


def _compared(record: Record, column: str, low: str, high: str, dataset: Dataset | None) -> bool | None:
    text = record[column]
    if text == "":
        return None
    if (dataset or _dataset()).column(column).type is ColumnType.INTEGER:
        return int(low) <= int(text) <= int(high)
    return low <= text <= high


def _all_of(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _opposite(answer: bool | None) -> bool | None:  # noqa: FBT001 - the third value is what this is about
    return None if answer is None else not answer


def _value(record: Record, table: Table) -> int | None:
    if not table.measures:
        return 0
    text = record[_column(table)]
    return None if text == "" else int(text)


def _column(table: Table) -> str:
    (measured,) = table.measures
    if not isinstance(measured.measure, Value):
        raise InternalError("The truth is worked out over plain columns only.")
    return measured.measure.column


def cell_of(record: Record, table: Table, period: Period, region: str) -> Cell:
    """Where a record falls, the region first where the table has regions."""
    place = (region,) if table.level is Level.REGION else ()
    return (*place, *(_category(record[dimension.column], dimension, period) for dimension in table.by))


def _category(text: str, dimension: Dimension, period: Period) -> str:
    if dimension.part is None:
        return text
    code, first, last = (_date_code(day, dimension.part) for day in (text, str(period.start), str(period.end)))
    return code if first <= code <= last else NOT_KNOWN


def _date_code(day: str, part: DatePart) -> str:
    """``2025-03``, ``2025-Q1`` or ``2025``, which sort as the days do; an unknown day has the empty code."""
    match part:
        case DatePart.MONTH:
            return day[:7]
        case DatePart.QUARTER:
            return f"{day[:4]}-{_QUARTERS[day[5:7]]}" if day else ""
        case DatePart.YEAR:
            return day[:4]


def _answer(table: Table, by_household: Mapping[str, int], rows: int) -> Fraction:
    low, high = next(((item.low, item.high) for item in table.measures), (0, 0))
    clipped = sum(min(max(total, low), high) for total in by_household.values())
    match table.statistic:
        case "households":
            return Fraction(len(by_household))
        case "rows":
            return Fraction(rows)
        case "sum":
            return Fraction(clipped)
        case _:
            return Fraction(clipped, len(by_household))


def _dataset() -> Dataset:
    return load_schema().dataset("case")
