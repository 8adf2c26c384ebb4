"""Whether two releases may be compared: the same question but for its period, and the same councils.

A difference between two questions, or between two sets of councils, would be printed as a change over time. So both are
refused; other councils can be allowed, and then every output says so.
"""

from collections.abc import Mapping
from datetime import date

from federated.analysis.source import NoisyTable
from federated.errors import QueryError
from federated.geography import CodeHistory, load_code_history
from federated.query import DatePart
from federated.release import AxisRecord
from federated.statistics.tables import axis_name
from protocols.encoding import Json

__all__ = ["compared_axes", "require_comparable"]

NOT_COMPARED = ("period", "epsilon", "group", "tables")
"""Fields of a question that may differ: the period is what is compared, epsilon is in the intervals, the councils of
the group and the table are looked at themselves."""
MOST_DAYS_APART = 3
"""Two quarters differ by up to two days in length, two months by up to three."""
YEAR_DIGITS = 4
MOST_NAMED = 5


def require_comparable(
    before: NoisyTable,
    after: NoisyTable,
    *,
    allow_different_councils: bool = False,
    history: CodeHistory | None = None,
) -> tuple[str, ...]:
    """Refuse what cannot be compared.

    Args:
        before: Table of the earlier release.
        after: The same table of the later one.
        allow_different_councils: Compare although not the same councils contributed.
        history: Another history of codes than the installed one.

    Returns:
        What every output must say.

    Raises:
        QueryError: One release twice, another question, periods of different length, or other councils.
    """
    if before.release.sid == after.release.sid or before.release.digest == after.release.digest:
        raise QueryError(
            "The two releases are one and the same, so their noise is too.",
            remedy="Give an earlier and a later release.",
        )
    _require_same_question(before, after)
    compared_axes(before, after)
    notes = _period_notes(before, after)
    known = load_code_history() if history is None else history
    return (*notes, *_council_notes(before, after, known, allowed=allow_different_councils))


def compared_axes(before: NoisyTable, after: NoisyTable) -> tuple[AxisRecord, ...]:
    """The axes of a comparison; bins of dates stand beside those of the same place in the other year.

    Raises:
        QueryError: The categories are not the same.
    """
    asked = next(table for table in after.question.tables if table.name == after.table.name)
    dated = {axis_name(dimension) for dimension in asked.by if dimension.part in set(DatePart)}
    pairs = zip(before.table.axes, after.table.axes, strict=True)
    return tuple(_axis(one, other, dated=other.name in dated) for one, other in pairs)


def _axis(before: AxisRecord, after: AxisRecord, *, dated: bool) -> AxisRecord:
    if before == after:
        return after
    alike = dated and [code[YEAR_DIGITS:] for code in before.codes] == [code[YEAR_DIGITS:] for code in after.codes]
    if not alike:
        raise QueryError(
            f"The categories of '{after.name}' are not the same in the two releases.",
            remedy="Compare releases whose periods have the same months, and whose schema has the same codes.",
        )
    return AxisRecord(
        name=after.name,
        codes=tuple(_pair(*codes, "..") for codes in zip(before.codes, after.codes, strict=True)),
        labels=tuple(_pair(*labels, " to ") for labels in zip(before.labels, after.labels, strict=True)),
    )


def _pair(before: str, after: str, between: str) -> str:
    return after if before == after else f"{before}{between}{after}"


def _require_same_question(before: NoisyTable, after: NoisyTable) -> None:
    if _definition(before) != _definition(after):
        raise QueryError(
            "The two releases answer different questions: more than the period differs.",
            remedy="Compare the same table, with the same conditions and bounds, asked for another period.",
        )


def _definition(source: NoisyTable) -> Mapping[str, Json]:
    question = {name: part for name, part in source.question.canonical().items() if name not in NOT_COMPARED}
    table = next(item for item in source.question.tables if item.name == source.table.name).canonical()
    return question | {"date": source.question.period.column, "table": _unnamed(table)}


def _unnamed(table: Json) -> Json:
    return {name: part for name, part in table.items() if name != "name"} if isinstance(table, dict) else table


def _period_notes(before: NoisyTable, after: NoisyTable) -> tuple[str, ...]:
    one, other = before.question.period, after.question.period
    apart = _days(other.start, other.end) - _days(one.start, one.end)
    if abs(apart) > MOST_DAYS_APART:
        raise QueryError(
            f"The two periods differ in length by {abs(apart)} days, so more cases in one of them would mean nothing.",
            remedy="Compare periods of the same length.",
        )
    notes = [f"From {one.start} to {one.end}, against {other.start} to {other.end}."]
    if apart:
        notes.append(f"The later period is {abs(apart)} day(s) {'longer' if apart > 0 else 'shorter'}.")
    if one.start <= other.end and other.start <= one.end:
        notes.append("The two periods share days: households of those days are in both figures.")
    return tuple(notes)


def _days(first: date, last: date) -> int:
    return (last - first).days + 1


def _council_notes(before: NoisyTable, after: NoisyTable, history: CodeHistory, *, allowed: bool) -> tuple[str, ...]:
    only_before = _without(before, after, history)
    only_after = _without(after, before, history)
    if not only_before and not only_after:
        return (f"The same {len(after.contributed)} councils are in both figures.",)
    said = f"{_named(only_before)} only in the earlier figures, {_named(only_after)} only in the later"
    if not allowed:
        raise QueryError(
            f"Not the same councils are in the two releases: {said}.",
            remedy="Compare others, or say --allow-different-councils; the output then says so.",
        )
    return (f"NOT THE SAME COUNCILS: {said}. Part of any change is theirs.",)


def _without(source: NoisyTable, other: NoisyTable, history: CodeHistory) -> list[str]:
    """Councils that are in one and not in the other; a council under a new code is the same council."""
    return [
        code
        for code in source.contributed
        if code not in other.contributed and not any(history.same_authority(code, one) for one in other.contributed)
    ]


def _named(codes: list[str]) -> str:
    if not codes:
        return "none"
    return ", ".join(codes[:MOST_NAMED]) + (f" and {len(codes) - MOST_NAMED} more" if len(codes) > MOST_NAMED else "")
