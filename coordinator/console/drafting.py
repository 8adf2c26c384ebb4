"""A question changed step by step: from the fields of a form to the next question, or to what is wrong beside a field.

Pure: no store, no clock. A draft is a whole question from its first moment, so that every step can show what it would
cost. What these forms cannot say is written in the language of questions and pasted.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Final, TypeVar

from federated.agreement import Agreement, AllowedDataset
from federated.errors import FederatedError, QueryError
from federated.query import (
    And,
    Between,
    Condition,
    DatePart,
    Dimension,
    In,
    Level,
    Measured,
    Not,
    Period,
    Query,
    Table,
    Unknown,
    Value,
)
from federated.query.check import check_query
from federated.query.model import MAX_DIMENSIONS, parse_epsilon
from federated.schema import Column, ColumnType, Dataset, Schema
from federated.statistics import statistic

__all__ = [
    "COMMON",
    "Faults",
    "Ground",
    "add_condition",
    "add_table",
    "begin",
    "conditions_of",
    "remove_condition",
    "remove_table",
    "set_epsilon",
    "set_scope",
    "table_form",
]

T = TypeVar("T")

COMMON: Final = ("households", "rows", "sum", "mean", "distribution")
"""Statistics that the form offers; every other is asked for in the language of questions."""
MEASURED: Final = frozenset({"sum", "mean", "distribution"})
TITLE: Final = range(5, 201)
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
LONGEST_NAME: Final = 40
QUARTER_MONTHS: Final = 3
MOST_BANDS: Final = 1000
FIRST_EPSILON: Final = Fraction(1)


class Faults(Exception):
    """What is wrong with a form.

    Attributes:
        errors: A sentence by field.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(", ".join(errors))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a question may be made of: its agreement, and the data set as that agreement allows it.

    Attributes:
        agreement: In force.
        dataset: Of the data dictionary.
        schema: The data dictionary.
    """

    agreement: Agreement
    dataset: Dataset
    schema: Schema

    @property
    def allowed(self) -> AllowedDataset:
        """What the agreement allows of it.

        Raises:
            PolicyRefusal: Nothing.
        """
        self.agreement.check_allowed(
            dataset=self.dataset.name, unit=self.dataset.unit, columns=(), statistics=(), max_cells=1
        )
        return self.agreement.datasets[self.dataset.name]

    def columns(self, *kinds: ColumnType) -> tuple[Column, ...]:
        """The columns that may be read, of these kinds, in the dictionary's order."""
        allowed = set(self.allowed.columns)
        return tuple(c for c in self.dataset.columns.values() if c.name in allowed and c.type in kinds)

    def statistics(self) -> tuple[tuple[str, str], ...]:
        """Codes and titles of the statistics that the form offers and the agreement allows."""
        can = set(self.allowed.statistics) - (set() if self.columns(ColumnType.INTEGER) else MEASURED)
        return tuple((code, statistic(code).title) for code in COMMON if code in can)

    def breakdowns(self) -> tuple[tuple[str, str], ...]:
        """Value and label of each breakdown: a column, or the months, quarters or years of a date."""
        found = [(column.name, column.label) for column in self.columns(ColumnType.CATEGORY)]
        for column in self.columns(ColumnType.DATE):
            found += [(f"{column.name}:{part.value}", f"{column.label}, by {part.value}") for part in DatePart]
        return tuple(found)

    def checked(self, question: Query, field: str) -> Query:
        """The question, once it holds against the data dictionary and the agreement.

        Raises:
            Faults: It does not; beside that field.
        """
        try:
            check_query(question, self.schema)
            self.agreement.check_allowed(
                dataset=question.dataset,
                unit=question.unit,
                columns=question.columns(),
                statistics={table.statistic for table in question.tables},
                max_cells=max(table.max_cells for table in question.tables),
            )
        except FederatedError as error:
            raise Faults({field: error.diagnostics()}) from error
        return question


def begin(title: str, ground: Ground, today: date) -> Query:
    """A first question to change: how many there are, in the last whole quarter, of the first group.

    Raises:
        Faults: The title is too short or too long, or the agreement allows no date of the data set.
    """
    dates = ground.columns(ColumnType.DATE)
    if not dates:
        raise Faults({"dataset": "The agreement allows no date of this data set, so no period can be asked about."})
    code = next((code for code, _ in ground.statistics()), ground.allowed.statistics[0])
    first = date(today.year, (today.month - 1) // QUARTER_MONTHS * QUARTER_MONTHS + 1, 1)
    end = first - timedelta(days=1)
    question = Query(
        title=_title(title),
        dataset=ground.dataset.name,
        unit=ground.dataset.unit,
        group=ground.agreement.groups[0].name,
        period=Period(column=dates[0].name, start=date(end.year, end.month - QUARTER_MONTHS + 1, 1), end=end),
        epsilon=min(FIRST_EPSILON, ground.agreement.max_epsilon),
        tables=(Table(name="all", statistic=code),),
    )
    return ground.checked(question, "dataset")


def set_scope(question: Query, form: Mapping[str, str], ground: Ground) -> Query:
    """Another title, group or period.

    Raises:
        Faults: Beside each field at fault.
    """
    errors: dict[str, str] = {}
    title = _tried(errors, lambda: _title(form.get("title", "")), question.title)
    start = _tried(errors, lambda: _day(form, "from"), question.period.start)
    end = _tried(errors, lambda: _day(form, "to"), question.period.end)
    if form.get("group") not in {group.name for group in ground.agreement.groups}:
        errors["group"] = "Choose which councils to ask."
    if form.get("column") not in {column.name for column in ground.columns(ColumnType.DATE)}:
        errors["column"] = "Choose which date the period is about."
    if not errors and end < start:
        errors["to"] = "The last day must not be before the first."
    if errors:
        raise Faults(errors)
    period = Period(column=form["column"], start=start, end=end)
    return ground.checked(replace(question, title=title, group=form["group"], period=period), "column")


def set_epsilon(question: Query, text: str, ground: Ground) -> Query:
    """Another cost.

    Raises:
        Faults: It is no exact number above 0, or more than the agreement allows.
    """
    try:
        changed = replace(question, epsilon=parse_epsilon(text.strip()))
        ground.agreement.check_epsilon(changed.epsilon)
    except FederatedError as error:
        raise Faults({"epsilon": error.diagnostics()}) from error
    return changed


# Tables


def table_form(table: Table) -> dict[str, str] | None:
    """A table as the form shows it; None where the form cannot say it."""
    form = {
        "name": table.name,
        "statistic": table.statistic,
        "level": table.level.value,
        "max_cells": str(table.max_cells),
    }
    for place, dimension in enumerate(table.by, start=1):
        part = "" if dimension.part is None else f":{dimension.part.value}"
        form[f"by{place}"] = f"{dimension.column}{part}"
    steps = {after - before for before, after in zip(table.edges, table.edges[1:], strict=False)}
    plain = all(isinstance(item.measure, Value) for item in table.measures) and len(table.measures) <= 1
    rest = table.conditions or table.probabilities or table.rounds > 1 or len(steps) > 1 or len(table.edges) == 1
    if table.statistic not in COMMON or not plain or rest:
        return None
    for measured in table.measures:
        column = measured.measure.column if isinstance(measured.measure, Value) else ""
        form |= {"column": column, "low": str(measured.low), "high": str(measured.high)}
    if table.edges:
        form |= {"first": str(table.edges[0]), "last": str(table.edges[-1]), "step": str(steps.pop())}
    return form


def add_table(question: Query, place: int | None, form: Mapping[str, str], ground: Ground) -> Query:
    """The question with one more table, or with another in the place of one.

    Raises:
        Faults: Beside each field at fault.
    """
    made = _read_table(question, place, form, ground)
    tables = list(question.tables)
    if place is None:
        tables.append(made)
    else:
        tables[place] = made
    try:
        changed = replace(question, tables=tuple(tables))
    except QueryError as error:
        raise Faults({"name": error.diagnostics()}) from error
    return ground.checked(changed, "statistic")


def remove_table(question: Query, place: int) -> Query:
    """The question without a table.

    Raises:
        QueryError: It is the only one.
    """
    return replace(question, tables=tuple(item for at, item in enumerate(question.tables) if at != place))


def _read_table(question: Query, place: int | None, form: Mapping[str, str], ground: Ground) -> Table:
    errors: dict[str, str] = {}
    code = form.get("statistic", "")
    if code not in {code for code, _ in ground.statistics()}:
        errors["statistic"] = "Choose what to work out."
    if form.get("level") not in {level.value for level in Level}:
        errors["level"] = "Choose whether to show regions."
    by: tuple[Dimension, ...] = ()
    by = _tried(errors, lambda: _dimensions(form, ground), by)
    max_cells = _tried(errors, lambda: _whole(form, "max_cells"), 1)
    measures: tuple[Measured, ...] = ()
    edges: tuple[int, ...] = ()
    if code in MEASURED:
        measures = _tried(errors, lambda: (_measure(form, ground),), ())
    if code == "distribution":
        edges = _tried(errors, lambda: _edges(form), ())
    if errors:
        raise Faults(errors)
    name = form.get("name", "").strip() or _name(code, by, question, place)
    if not NAME.fullmatch(name):
        raise Faults({"name": "Use up to 40 small letters, digits and underscores, beginning with a letter."})
    try:
        return Table(
            name=name,
            statistic=code,
            by=by,
            level=Level(form["level"]),
            max_cells=max_cells,
            measures=measures,
            edges=edges,
        )
    except QueryError as error:
        raise Faults({"statistic": error.diagnostics()}) from error


def _dimensions(form: Mapping[str, str], ground: Ground) -> tuple[Dimension, ...]:
    chosen = [form.get(f"by{place}", "") for place in range(1, MAX_DIMENSIONS + 1)]
    known = {value for value, _ in ground.breakdowns()}
    wanted = [value for value in chosen if value]
    if not set(wanted) <= known or len(set(wanted)) != len(wanted):
        raise Faults({"by1": "Choose breakdowns from the list, each once."})
    pairs = [value.partition(":")[::2] for value in wanted]
    return tuple(Dimension(column=column, part=DatePart(part) if part else None) for column, part in pairs)


def _measure(form: Mapping[str, str], ground: Ground) -> Measured:
    column = form.get("column", "")
    if column not in {item.name for item in ground.columns(ColumnType.INTEGER)}:
        raise Faults({"column": "Choose the number that is worked with."})
    low, high = _whole(form, "low"), _whole(form, "high")
    try:
        return Measured(measure=Value(column=column), low=low, high=high)
    except QueryError as error:
        raise Faults({"low": error.diagnostics()}) from error


def _edges(form: Mapping[str, str]) -> tuple[int, ...]:
    first, last, step = (_whole(form, name) for name in ("first", "last", "step"))
    if step < 1 or last < first or (last - first) // step >= MOST_BANDS:
        raise Faults({"first": "Bands rise from the first edge to the last, at most 1,000 of them."})
    return tuple(range(first, last + 1, step))


def _name(code: str, by: Sequence[Dimension], question: Query, place: int | None) -> str:
    base = "_by_".join([code, "_".join(item.column for item in by)]) if by else code
    taken = {table.name for at, table in enumerate(question.tables) if at != place}
    for number in range(1, len(taken) + 2):
        suffix = "" if number == 1 else f"_{number}"
        name = f"{base[: LONGEST_NAME - len(suffix)]}{suffix}"
        if name not in taken:
            return name
    return base[:LONGEST_NAME]


# Filters


def conditions_of(question: Query) -> tuple[Condition, ...]:
    """The conditions that must all hold, one by one."""
    match question.where:
        case None:
            return ()
        case And(conditions=conditions):
            return conditions
        case other:
            return (other,)


def add_condition(question: Query, form: Mapping[str, str], ground: Ground) -> Query:
    """The question for those rows only that meet one more condition.

    Raises:
        Faults: Beside the field at fault.
    """
    column = next((item for item in ground.columns(*_FILTERED) if item.name == form.get("column")), None)
    if column is None:
        raise Faults({"column": "Choose what to filter by."})
    made = _condition(column, form)
    return ground.checked(_where(question, (*conditions_of(question), made)), _first_field(column))


def remove_condition(question: Query, place: int) -> Query:
    """The question without one of its conditions."""
    return _where(question, tuple(item for at, item in enumerate(conditions_of(question)) if at != place))


_FILTERED: Final = (ColumnType.CATEGORY, ColumnType.DATE, ColumnType.INTEGER)


def _where(question: Query, conditions: tuple[Condition, ...]) -> Query:
    if not conditions:
        return replace(question, where=None)
    return replace(question, where=conditions[0] if len(conditions) == 1 else And(conditions=conditions))


def _first_field(column: Column) -> str:
    return "code-0" if column.type is ColumnType.CATEGORY else "low"


def _condition(column: Column, form: Mapping[str, str]) -> Condition:
    if column.type is ColumnType.CATEGORY:
        chosen = tuple(code for place, code in enumerate(column.code_list) if form.get(f"code-{place}") == "yes")
        if not chosen:
            raise Faults({"code-0": "Choose at least one."})
        found: Condition = In(column=column.name, values=chosen)
    elif form.get("unknown") == "yes":
        found = Unknown(column=column.name)
    elif column.type is ColumnType.DATE:
        found = Between(column=column.name, low=_day(form, "low").isoformat(), high=_day(form, "high").isoformat())
    else:
        found = Between(column=column.name, low=str(_whole(form, "low")), high=str(_whole(form, "high")))
    return Not(condition=found) if form.get("negated") == "yes" else found


# Fields


def _tried(errors: dict[str, str], read: Callable[[], T], otherwise: T) -> T:
    """What is read; when it cannot be, what is wrong is put with the errors, and the other value stands in."""
    try:
        return read()
    except Faults as found:
        errors |= found.errors
        return otherwise


def _title(text: str) -> str:
    title = " ".join(text.split())
    if len(title) not in TITLE:
        raise Faults({"title": "Say what is asked in 5 to 200 characters."})
    return title


def _day(form: Mapping[str, str], field: str) -> date:
    try:
        return date.fromisoformat(form.get(field, "").strip())
    except ValueError as error:
        raise Faults({field: "Write a day as year-month-day, such as 2025-03-31."}) from error


def _whole(form: Mapping[str, str], field: str) -> int:
    text = form.get(field, "").strip()
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise Faults({field: "Write a whole number."})
    return int(text)
