"""A question written as SQL, read into the same `Query` that YAML and Python build.

Only a small, closed part of SQL is a question: settings, then one SELECT for each table. Everything else is refused
at the word where it stands; nothing is passed over. `docs/guides/analyst.md` shows the form; `sql_text` writes it.

The grammar is sqlglot's; here is what its trees mean. Its own functions are switched off, so that no argument of ours
is taken for one of theirs. A council's node never sees SQL: what travels is the question's canonical form.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any, Final

from sqlglot import exp, parse
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.parser import Parser as SqlParser

from federated.errors import FileProblem
from federated.query.conditions import And, Between, Condition, Equals, In, Named, Not, Or, Unknown
from federated.query.measures import Days, Measure, Measured, Points, Value
from federated.query.model import MAX_EDGES, DatePart, Dimension, Level, Period, Query, Table, parse_epsilon
from federated.query.sql_text import REGION
from federated.query.yaml_form import parse_query, write_query
from federated.rationals import rational
from federated.timestamps import parse_day
from protocols.errors import LocalProtocolError

__all__ = ["parse_sql"]

SETTINGS: Final = ("title", "asked", "epsilon", "unit", "period")
CLAUSES: Final = frozenset({"expressions", "from_", "where", "group"})
PARTS: Final = {part.value for part in DatePart}
COUNTED: Final = {"household", "person"}
REMEDY: Final = "docs/guides/analyst.md shows how a question is written in SQL."
MOST_CHARACTERS: Final = 200_000


class QuestionSql(Dialect):
    """SQL without any function that the parser would read in its own way."""

    class Parser(SqlParser):
        """See above."""

        FUNCTIONS = {}  # noqa: RUF012 - as the library declares it
        FUNCTION_PARSERS = {}  # noqa: RUF012
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The text read, for pointing at the word at fault."""

    name: str
    text: str

    def problem(self, node: exp.Expression | None, sentence: str) -> FileProblem:
        """What is wrong, with the line, column and word where it stands."""
        place = min(_positions(node), default=None)
        if place is None:
            return FileProblem(f"{self.name}: {sentence}", remedy=REMEDY)
        line = self.text.count("\n", 0, place) + 1
        column = place - self.text.rfind("\n", 0, place)
        word = self.text[place:].split(maxsplit=1)[0][:40]
        return FileProblem(f"{self.name}, line {line}, column {column}, at '{word}': {sentence}", remedy=REMEDY)


def _positions(node: exp.Expression | None) -> Iterator[int]:
    for part in node.walk() if node is not None else ():
        if "start" in part.meta:
            yield int(part.meta["start"])


def parse_sql(text: str, *, source: str = "question") -> Query:
    """Read a question from SQL.

    Raises:
        FileProblem: It is not a question; names the line, the column and the word.
        QueryError: The question contradicts itself.
    """
    where = _Source(name=source, text=text)
    if len(text) > MOST_CHARACTERS:
        raise FileProblem(f"{source}: the question is longer than {MOST_CHARACTERS:,} characters.", remedy=REMEDY)
    statements = [item for item in _parsed(where) if item is not None]
    settings: dict[str, str] = {}
    tables: list[_Asked] = []
    for statement in statements:
        match statement:
            case exp.Set() if not tables:
                settings |= _settings(statement, settings, where)
            case exp.Set():
                raise where.problem(statement, "settings stand before the first SELECT.")
            case exp.Select():
                tables.append(_asked(statement, where))
            case _:
                raise where.problem(statement, "a question is made of SET and SELECT only.")
    if not tables:
        raise FileProblem(f"{source}: there is no SELECT, so no table is asked for.", remedy=REMEDY)
    # Every node reads the question's plain form, and refuses in it what SQL has no rules for: names, lengths, unseen
    # characters. It is read here first.
    return parse_query(write_query(_query(settings, tables, where)).encode(), source=source)


def _parsed(source: _Source) -> list[exp.Expression | None]:
    try:
        return list(parse(source.text, read=QuestionSql))  # type: ignore[arg-type]  # every statement is an Expression
    except SqlglotError as error:
        first: dict[str, Any] = next(iter(getattr(error, "errors", [])), {})
        place = f", line {first['line']}, column {first['col']}" if first else ""
        raise FileProblem(f"{source.name}{place}: this is not SQL that can be read.", remedy=REMEDY) from error
    except RecursionError as error:
        raise FileProblem(f"{source.name}: the question is nested too deeply.", remedy=REMEDY) from error


def _settings(statement: exp.Set, known: dict[str, str], source: _Source) -> dict[str, str]:
    found = {}
    for item in statement.expressions:
        pair = item.this
        if not isinstance(pair, exp.EQ) or not isinstance(pair.this, exp.Column):
            raise source.problem(statement, "a setting is written SET name = 'value'.")
        name, value = pair.this.name, pair.expression
        if name not in SETTINGS:
            raise source.problem(pair, f"there is no setting '{name[:40]}'; there are {', '.join(SETTINGS)}.")
        if name in known or name in found:
            raise source.problem(pair, f"'{name}' is set twice.")
        if not isinstance(value, exp.Literal) or not value.is_string:
            raise source.problem(pair, f"the value of '{name}' stands in quotes.")
        found[name] = str(value.this)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One SELECT: its table, and what all tables of a question share.

    Attributes:
        table: As asked.
        dataset: After FROM.
        unit: ``household`` or ``person``, where it is counted.
        conjuncts: What WHERE joins by AND, in the order written; one of them is the period.
        node: For pointing at.
    """

    table: Table
    dataset: str
    unit: str | None
    conjuncts: tuple[Condition, ...]
    node: exp.Select


def _query(settings: dict[str, str], tables: list[_Asked], source: _Source) -> Query:
    first = tables[0]
    period, where = _period(first, settings.get("period"), source)
    for other in tables[1:]:
        if other.dataset != first.dataset or _period(other, settings.get("period"), source) != (period, where):
            raise source.problem(other.node, "every SELECT of a question has the same FROM and the same WHERE.")
    missing = [name for name in ("title", "asked", "epsilon") if name not in settings]
    if missing:
        raise FileProblem(
            f"{source.name}: the setting '{missing[0]}' is missing: SET {missing[0]} = '…';", remedy=REMEDY
        )
    units = {item.unit for item in tables if item.unit is not None} | {settings.get("unit", "")} - {""}
    if len(units) > 1:
        raise source.problem(tables[-1].node, f"one question counts one unit, not {' and '.join(sorted(units))}.")
    return Query(
        title=settings["title"],
        dataset=first.dataset,
        unit=units.pop() if units else "household",
        group=settings["asked"],
        period=period,
        epsilon=parse_epsilon(settings["epsilon"]),
        tables=tuple(item.table for item in tables),
        where=where,
    )


def _period(asked: _Asked, column: str | None, source: _Source) -> tuple[Period, Condition | None]:
    for place, item in enumerate(asked.conjuncts):
        if isinstance(item, Between) and column in {None, item.column} and _is_day(item.low) and _is_day(item.high):
            rest = asked.conjuncts[:place] + asked.conjuncts[place + 1 :]
            period = Period(column=item.column, start=parse_day(item.low), end=parse_day(item.high))
            return period, _all(rest)
    raise source.problem(
        asked.node,
        "the period is missing: WHERE must hold a date BETWEEN two days, such as "
        "assessment_date BETWEEN DATE '2025-01-01' AND DATE '2025-03-31', joined to the rest by AND.",
    )


def _is_day(text: str) -> bool:
    try:
        parse_day(text)
    except ValueError:
        return False
    return True


def _all(conditions: tuple[Condition, ...]) -> Condition | None:
    if not conditions:
        return None
    return conditions[0] if len(conditions) == 1 else And(conditions=conditions)


@dataclass(slots=True, kw_only=True)
class _Listed:
    """What a SELECT lists."""

    by: list[Dimension] = field(default_factory=list)
    region: bool = False
    bound: int = 1
    figures: list[tuple[str, exp.Expression]] = field(default_factory=list)


def _asked(select: exp.Select, source: _Source) -> _Asked:
    strange = [name for name, value in select.args.items() if value and name not in CLAUSES]
    if strange:
        raise source.problem(select, f"'{strange[0].strip('_').upper()}' is no part of a question.")
    listed = _Listed()
    for item in select.expressions:
        _list(item, listed, source)
    if len(listed.figures) != 1:
        raise source.problem(select, f"each SELECT asks for one figure; this one asks for {len(listed.figures)}.")
    ((name, figure),) = listed.figures
    if not name:
        raise source.problem(figure, "the figure needs a name: write AS and a name after it.")
    _check_group(select, listed, source)
    table, unit = _figure(name, figure, source)
    level = Level.REGION if listed.region else Level.ALL
    return _Asked(
        table=replace(table, by=tuple(listed.by), level=level, max_cells=listed.bound),
        dataset=_dataset(select, source),
        unit=unit,
        conjuncts=tuple(_conjuncts(select.args.get("where"), source)),
        node=select,
    )


def _list(item: exp.Expression, listed: _Listed, source: _Source) -> None:
    inner, name = (item.this, item.alias) if isinstance(item, exp.Alias) else (item, "")
    if name and (isinstance(inner, exp.Column) or _called(inner) in {*PARTS, "at_most"}):
        raise source.problem(item, "only the figure gets a name; breakdowns keep their own.")
    match inner:
        case exp.Column() if inner.name == REGION and not inner.table:
            listed.region = True
        case exp.Anonymous() if _called(inner) == "at_most":
            (number,) = _arguments(inner, 1, source)
            listed.bound = _whole(number, source)
        case exp.Anonymous() if _called(inner) not in PARTS:
            listed.figures.append((name, inner))
        case exp.Column() | exp.Anonymous():
            listed.by.append(_dimension(inner, source))
        case _:
            raise source.problem(item, "a SELECT lists breakdowns, one figure and AT_MOST(n), not this.")


def _dimension(node: exp.Expression, source: _Source) -> Dimension:
    if _called(node) not in PARTS:
        return Dimension(column=_column(node, source))
    (column,) = _arguments(node, 1, source)
    return Dimension(column=_column(column, source), part=DatePart(_called(node)))


def _check_group(select: exp.Select, listed: _Listed, source: _Source) -> None:
    group = select.args.get("group")
    if group is not None and any(value for name, value in group.args.items() if name != "expressions"):
        raise source.problem(group, "GROUP BY lists the breakdowns and nothing else.")
    region = Dimension(column=REGION)
    named = [_dimension(item, source) for item in group.expressions] if group is not None else []
    wanted = [region, *listed.by] if listed.region else listed.by
    if sorted(map(str, named)) != sorted(map(str, wanted)):
        raise source.problem(group or select, "GROUP BY must list the same breakdowns as SELECT.")


def _dataset(select: exp.Select, source: _Source) -> str:
    table = select.args["from_"].this if select.args.get("from_") else None
    if not isinstance(table, exp.Table) or any(value for name, value in table.args.items() if name != "this"):
        raise source.problem(table or select, 'FROM names one data set, for example FROM "case".')
    return str(table.name)


def _figure(name: str, call: exp.Expression, source: _Source) -> tuple[Table, str | None]:
    arguments = list(call.expressions)
    match _called(call):
        case "count" if len(arguments) == 1 and isinstance(arguments[0], exp.Star):
            return Table(name=name, statistic="rows"), None
        case "count":
            counted = arguments[0] if len(arguments) == 1 else None
            inner = counted.expressions if isinstance(counted, exp.Distinct) else []
            if len(inner) != 1 or not isinstance(inner[0], exp.Column) or inner[0].name not in COUNTED:
                raise source.problem(call, "count either rows, COUNT(*), or COUNT(DISTINCT household).")
            return Table(name=name, statistic="households"), str(inner[0].name)
        case code:
            return _general(name, {"avg": "mean"}.get(code, code), arguments, source), None


def _general(name: str, code: str, arguments: Sequence[exp.Expression], source: _Source) -> Table:
    measures: list[Measured] = []
    conditions: list[Named] = []
    edges: tuple[int, ...] = ()
    probabilities: tuple[Fraction, ...] = ()
    rounds = 1
    for argument in arguments:
        match _called(argument):
            case "clamp":
                measures.append(_measured(argument, source))
            case "named":
                label, condition = _arguments(argument, 2, source)
                conditions.append(Named(name=_text(label, source), where=_condition(condition, source)))
            case "edges" if not edges:
                edges = tuple(_whole(item, source) for item in argument.expressions)
            case "steps" if not edges:
                first, last, step = (_whole(item, source) for item in _arguments(argument, 3, source))
                if step < 1 or (last - first) // step >= MAX_EDGES:
                    raise source.problem(
                        argument, "STEPS(first, last, step) needs a step of at least 1 and at most 1,024 edges."
                    )
                edges = tuple(range(first, last + 1, step))
            case "probabilities" if not probabilities:
                probabilities = tuple(_fraction(item, source) for item in argument.expressions)
            case "rounds" if rounds == 1:
                (number,) = _arguments(argument, 1, source)
                rounds = _whole(number, source)
            case _:
                raise source.problem(
                    argument,
                    f"{code.upper()} takes CLAMP(what, low, high), EDGES(…), STEPS(first, last, step), "
                    "NAMED('name', condition), PROBABILITIES(…) and ROUNDS(number).",
                )
    return Table(
        name=name,
        statistic=code,
        measures=tuple(measures),
        edges=edges,
        conditions=tuple(conditions),
        probabilities=probabilities,
        rounds=rounds,
    )


def _measured(call: exp.Expression, source: _Source) -> Measured:
    what, low, high = _arguments(call, 3, source)
    return Measured(measure=_measure(what, source), low=_whole(low, source), high=_whole(high, source))


def _measure(node: exp.Expression, source: _Source) -> Measure:
    match node:
        case exp.Column():
            return Value(column=_column(node, source))
        case exp.Anonymous() if _called(node) == "days":
            dates = node.expressions
            if len(dates) not in {2, 3}:
                raise source.problem(node, "DAYS takes two date columns, and at most one day on which the count stops.")
            until = _day(dates[2], source) if len(dates) > 2 else None  # noqa: PLR2004 - the third of three
            return Days(start=_column(dates[0], source), end=_column(dates[1], source), until=until)
        case _:
            return _points(node, source)


def _points(node: exp.Expression, source: _Source) -> Points:
    base, terms = 0, []
    for part in _summands(node):
        if isinstance(part, exp.Case):
            if part.this is not None or len(part.args["ifs"]) != 1:
                raise source.problem(
                    part, "points are written CASE WHEN condition THEN points ELSE 0 END, one WHEN each."
                )
            (branch,) = part.args["ifs"]
            otherwise = part.args.get("default")
            if otherwise is not None and _whole(otherwise, source) != 0:
                raise source.problem(part, "a condition that does not hold adds no points: write ELSE 0.")
            terms.append((_condition(branch.this, source), _whole(branch.args["true"], source)))
        else:
            base += _whole(part, source)
    return Points(base=base, terms=tuple(terms))


def _summands(node: exp.Expression) -> Iterator[exp.Expression]:
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, exp.Add):
            stack += [part.expression, part.this]
        elif isinstance(part, exp.Paren):
            stack.append(part.this)
        else:
            yield part


def _conjuncts(where: exp.Where | None, source: _Source) -> Iterator[Condition]:
    stack = [] if where is None else [where.this]
    while stack:
        part = stack.pop()
        if isinstance(part, exp.And):
            stack += [part.expression, part.this]
        else:
            yield _condition(part, source)


def _condition(node: exp.Expression, source: _Source) -> Condition:
    match node:
        case exp.Paren():
            return _condition(node.this, source)
        case exp.Not():
            return Not(condition=_condition(node.this, source))
        case exp.And():
            return And(conditions=tuple(_condition(item, source) for item in _flat(node)))
        case exp.Or():
            return Or(conditions=tuple(_condition(item, source) for item in _flat(node)))
        case exp.NEQ():
            return Not(condition=Equals(column=_column(node.this, source), value=_value(node.expression, source)))
        case _:
            return _leaf(node, source)


def _flat(node: exp.And | exp.Or) -> list[exp.Expression]:
    """What is joined; what stands in brackets stays together, as it was written."""
    return [item for item in node.flatten(unnest=False) if isinstance(item, exp.Expression)]


def _leaf(node: exp.Expression, source: _Source) -> Condition:
    match node:
        case exp.EQ():
            return Equals(column=_column(node.this, source), value=_value(node.expression, source))
        case exp.In() if node.expressions:
            values = tuple(_value(item, source) for item in node.expressions)
            return In(column=_column(node.this, source), values=values)
        case exp.Is() if isinstance(node.expression, exp.Null):
            return Unknown(column=_column(node.this, source))
        case exp.Between():
            low, high = _value(node.args["low"], source), _value(node.args["high"], source)
            return Between(column=_column(node.this, source), low=low, high=high)
        case _:
            raise source.problem(
                node,
                "a condition is a column with =, <>, IN, BETWEEN or IS NULL, or such, joined by AND, OR and NOT.",
            )


def _called(node: exp.Expression) -> str:
    return str(node.this).lower() if isinstance(node, exp.Anonymous) else ""


def _arguments(call: exp.Expression, number: int, source: _Source) -> list[exp.Expression]:
    if len(call.expressions) != number:
        raise source.problem(
            call, f"{_called(call).upper()} takes {number} arguments; this has {len(call.expressions)}."
        )
    return list(call.expressions)


def _column(node: exp.Expression, source: _Source) -> str:
    if not isinstance(node, exp.Column) or node.table:
        raise source.problem(node, "a column was expected here.")
    return str(node.name)


def _value(node: exp.Expression, source: _Source) -> str:
    if isinstance(node, exp.Cast):
        return _day(node, source).isoformat()
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    return str(_whole(node, source))


def _text(node: exp.Expression, source: _Source) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise source.problem(node, "a text in quotes was expected here.")
    return str(node.this)


def _whole(node: exp.Expression, source: _Source) -> int:
    sign, digits = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
    if not isinstance(digits, exp.Literal) or digits.is_string or not str(digits.this).isdigit():
        raise source.problem(node, "a whole number was expected here.")
    return sign * int(str(digits.this))


def _day(node: exp.Expression, source: _Source) -> date:
    inner = node.this if isinstance(node, exp.Cast) and node.to.is_type("date") else node
    text = str(inner.this) if isinstance(inner, exp.Literal) and inner.is_string else ""
    if not _is_day(text):
        raise source.problem(node, "a day was expected here: DATE '2025-03-31'.")
    return parse_day(text)


def _fraction(node: exp.Expression, source: _Source) -> Fraction:
    try:
        return rational(_text(node, source), name="probability")
    except LocalProtocolError as error:
        raise source.problem(node, "a probability is written in quotes: '1/2' or '0.9'.") from error
