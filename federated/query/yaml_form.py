"""A question written as YAML, read into the same `Query` that Python builds.

The form is checked field by field; every error names the field, what was expected and what to do.
`docs/guides/analyst.md` shows the form; `write_query` gives it back.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from federated.errors import QueryError
from federated.query.conditions import And, Between, Condition, Equals, In, Named, Not, Or, Unknown
from federated.query.measures import Days, Measure, Measured, Points, Value
from federated.query.model import MAX_EDGES, DatePart, Dimension, Level, Period, Query, Table, parse_epsilon
from federated.rationals import rational, rational_text
from federated.yaml_document import read_form, write_document
from protocols.encoding import Json

__all__ = ["parse_query", "question_document", "write_query"]

OF_ONE_MEASURE = ("sum", "mean")
"""Statistics that are written by their own name, with what they are over."""

COUNTS = ("households", "rows")

Code = Annotated[str, Field(min_length=1, max_length=100)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _PeriodForm(_Form):
    column: StrictStr
    start: date = Field(alias="from")
    end: date = Field(alias="to")


class _DimensionForm(_Form):
    column: StrictStr
    part: DatePart | None = None


class _ConditionForm(_Form):
    column: StrictStr | None = None
    equals: Code | StrictInt | None = None
    one_of: Annotated[tuple[Code, ...], Field(min_length=1)] | None = Field(default=None, alias="in")
    between: tuple[StrictInt | date, StrictInt | date] | None = None
    unknown: Literal[True] | None = None
    all: tuple["_ConditionForm", ...] | None = None
    any: tuple["_ConditionForm", ...] | None = None
    negated: "_ConditionForm | None" = Field(default=None, alias="not")


class _DaysForm(_Form):
    start: StrictStr = Field(alias="from")
    end: StrictStr = Field(alias="to")
    until: date | None = None


class _PointsForm(_Form):
    where: _ConditionForm
    points: StrictInt


class _MeasureForm(_Form):
    column: StrictStr | None = None
    days: _DaysForm | None = None
    points: tuple[_PointsForm, ...] | None = None
    base: StrictInt = 0
    clip: tuple[StrictInt, StrictInt] | None = None


class _EdgesForm(_Form):
    start: StrictInt = Field(alias="from")
    end: StrictInt = Field(alias="to")
    step: Annotated[StrictInt, Field(ge=1)]


class _NamedForm(_Form):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    where: _ConditionForm


class _TableForm(_Form):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    count: Literal["households", "rows"] | None = None
    sum: StrictStr | _MeasureForm | None = None
    mean: StrictStr | _MeasureForm | None = None
    statistic: StrictStr | None = None
    clip: tuple[StrictInt, StrictInt] | None = None
    measures: tuple[_MeasureForm, ...] = ()
    edges: tuple[StrictInt, ...] | _EdgesForm = ()
    conditions: tuple[_NamedForm, ...] = ()
    probabilities: tuple[StrictStr, ...] = ()
    by: tuple[StrictStr | _DimensionForm, ...] = ()
    level: Level = Level.ALL
    max_cells: StrictInt = 1
    rounds: StrictInt = 1


class _QueryForm(_Form):
    query: Literal[1]
    title: Annotated[str, Field(min_length=5, max_length=200)]
    dataset: StrictStr
    unit: Literal["household", "person"]
    group: StrictStr
    period: _PeriodForm
    epsilon: StrictStr
    where: _ConditionForm | None = None
    tables: tuple[_TableForm, ...]


def parse_query(content: bytes, *, source: str = "question") -> Query:
    """Read a question from YAML.

    Raises:
        FileProblem: The bytes are not a question; names the line and the field.
        QueryError: The question contradicts itself.
    """
    form = read_form(_QueryForm, content, source=source, remedy="See docs/guides/analyst.md.")
    return _query(form)


def _query(form: _QueryForm) -> Query:
    return Query(
        title=form.title,
        dataset=form.dataset,
        unit=form.unit,
        group=form.group,
        period=Period(column=form.period.column, start=form.period.start, end=form.period.end),
        epsilon=parse_epsilon(form.epsilon),
        where=None if form.where is None else _condition(form.where),
        tables=tuple(_table(table) for table in form.tables),
    )


def _table(form: _TableForm) -> Table:
    ways = ("count", *OF_ONE_MEASURE, "statistic")
    asked = [(way, value) for way in ways if (value := getattr(form, way)) is not None]
    if len(asked) != 1:
        raise QueryError(
            f"Table '{form.name}' must have exactly one of 'count', 'sum', 'mean' and 'statistic'; it has {len(asked)}."
        )
    ((way, value),) = asked
    if form.clip is not None and way not in OF_ONE_MEASURE:
        raise QueryError(
            f"Table '{form.name}' has 'clip', which goes with 'sum' or 'mean'.",
            remedy="Leave it out, or write it inside the measure that it bounds.",
        )
    measures = tuple(_measured(item, item.clip, form.name) for item in form.measures)
    if way in OF_ONE_MEASURE:
        one = value if isinstance(value, _MeasureForm) else _MeasureForm(column=value)
        measures = (_measured(one, one.clip or form.clip, form.name), *measures)
    return Table(
        name=form.name,
        statistic=way if way in OF_ONE_MEASURE else value,
        by=tuple(_dimension(item) for item in form.by),
        level=form.level,
        max_cells=form.max_cells,
        measures=measures,
        edges=_edges(form.edges, form.name),
        conditions=tuple(Named(name=item.name, where=_condition(item.where)) for item in form.conditions),
        probabilities=tuple(rational(item, name="probability") for item in form.probabilities),
        rounds=form.rounds,
    )


def _measured(form: _MeasureForm, clip: tuple[int, int] | None, table: str) -> Measured:
    if clip is None:
        raise QueryError(
            f"Table '{table}' needs 'clip': the smallest and largest total a household may count for.",
            remedy="Choose bounds from public knowledge, for example clip: [0, 6].",
        )
    low, high = clip
    return Measured(measure=_measure(form, table), low=low, high=high)


def _measure(form: _MeasureForm, table: str) -> Measure:
    given = [name for name in ("column", "days", "points") if getattr(form, name) is not None]
    if len(given) != 1 or (form.base != 0 and form.points is None):
        raise QueryError(
            f"A measure of table '{table}' must be exactly one of 'column', 'days' and 'points'; 'base' goes with "
            "'points'."
        )
    if form.days is not None:
        return Days(start=form.days.start, end=form.days.end, until=form.days.until)
    if form.points is not None:
        return Points(base=form.base, terms=tuple((_condition(item.where), item.points) for item in form.points))
    return Value(column=form.column or "")


def _edges(form: tuple[int, ...] | _EdgesForm, table: str) -> tuple[int, ...]:
    if not isinstance(form, _EdgesForm):
        return form
    found = range(form.start, form.end + 1, form.step)
    if len(found) > MAX_EDGES:
        raise QueryError(f"Table '{table}' has {len(found):,} edges; at most {MAX_EDGES} are allowed.")
    return tuple(found)


def _dimension(item: str | _DimensionForm) -> Dimension:
    return Dimension(column=item) if isinstance(item, str) else Dimension(column=item.column, part=item.part)


def _condition(form: _ConditionForm) -> Condition:
    combined = {"all": form.all, "any": form.any, "not": form.negated}
    leaves = {"equals": form.equals, "in": form.one_of, "between": form.between, "unknown": form.unknown}
    given = [name for name, value in (combined | leaves).items() if value is not None]
    if len(given) != 1 or (form.column is None) == (given[0] in leaves):
        raise QueryError(
            "Each condition is a column with one of 'equals', 'in', 'between' or 'unknown', or one of 'all', 'any' or "
            "'not'.",
            remedy="Split a condition that says two things into two under 'all'.",
        )
    if form.column is not None:
        return _leaf(form.column, form)
    if form.negated is not None:
        return Not(condition=_condition(form.negated))
    inner = tuple(_condition(item) for item in (form.all if form.all is not None else form.any or ()))
    if not inner:
        raise QueryError(f"A condition '{given[0]}' needs at least one condition inside it.")
    return And(conditions=inner) if form.all is not None else Or(conditions=inner)


def _leaf(column: str, form: _ConditionForm) -> Condition:
    if form.equals is not None:
        return Equals(column=column, value=str(form.equals))
    if form.between is not None:
        return Between(column=column, low=str(form.between[0]), high=str(form.between[1]))
    if form.unknown is not None:
        return Unknown(column=column)
    return In(column=column, values=tuple(form.one_of or ()))


def write_query(query: Query) -> str:
    """The question as YAML; reading it back gives the same question."""
    return write_document(question_document(query))


def question_document(query: Query) -> dict[str, Json]:
    """The question in the form that `parse_query` reads, as plain values; dates are ISO text."""
    document: dict[str, Json] = {
        "query": 1,
        "title": query.title,
        "dataset": query.dataset,
        "unit": query.unit,
        "group": query.group,
        "period": query.period.canonical(),
        "epsilon": rational_text(query.epsilon),
    }
    if query.where is not None:
        document["where"] = _write_condition(query.where)
    document["tables"] = [_write_table(table) for table in query.tables]
    return document


def _write_table(table: Table) -> dict[str, Json]:
    written: dict[str, Json] = {"name": table.name}
    measures = table.measures
    if table.statistic in OF_ONE_MEASURE and measures:
        first, *rest = measures
        written[table.statistic] = _write_measure(first)
        measures = tuple(rest)
    elif table.statistic in COUNTS:
        written["count"] = table.statistic
    else:
        written["statistic"] = table.statistic
    if measures:
        written["measures"] = [_write_measure(item) for item in measures]
    if table.edges:
        written["edges"] = list(table.edges)
    if table.conditions:
        written["conditions"] = [
            {"name": item.name, "where": _write_condition(item.where)} for item in table.conditions
        ]
    if table.probabilities:
        written["probabilities"] = [rational_text(item) for item in table.probabilities]
    if table.by:
        written["by"] = [
            item.column if item.part is None else {"column": item.column, "part": item.part.value} for item in table.by
        ]
    written["level"] = table.level.value
    written["max_cells"] = table.max_cells
    if table.rounds > 1:
        written["rounds"] = table.rounds
    return written


def _write_measure(measured: Measured) -> Json:
    clip: list[Json] = [measured.low, measured.high]
    match measured.measure:
        case Value(column=column):
            return {"column": column, "clip": clip}
        case Days(start=start, end=end, until=until):
            days: dict[str, Json] = {"from": start, "to": end}
            if until is not None:
                days["until"] = until.isoformat()
            return {"days": days, "clip": clip}
        case Points(base=base, terms=terms):
            added: list[Json] = [{"where": _write_condition(item), "points": points} for item, points in terms]
            return {"points": added, "base": base, "clip": clip}


def _write_condition(condition: Condition) -> dict[str, Json]:  # noqa: PLR0911 - one for each kind
    match condition:
        case Equals(column=column, value=value):
            return {"column": column, "equals": value}
        case In(column=column, values=values):
            return {"column": column, "in": list(values)}
        case Between(column=column, low=low, high=high):
            return {"column": column, "between": [_number_or_date(low), _number_or_date(high)]}
        case Unknown(column=column):
            return {"column": column, "unknown": True}
        case And(conditions=conditions):
            return {"all": [_write_condition(item) for item in conditions]}
        case Or(conditions=conditions):
            return {"any": [_write_condition(item) for item in conditions]}
        case Not(condition=inner):
            return {"not": _write_condition(inner)}


def _number_or_date(text: str) -> int | str:
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() else text
