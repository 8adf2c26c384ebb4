"""A question written out as SQL, in the form that `sql_form` reads."""

from itertools import pairwise
from typing import Final

from federated.query.conditions import And, Between, Condition, Equals, In, Not, Or, Unknown
from federated.query.measures import Days, Measure, Points, Value
from federated.query.model import Level, Query, Table
from federated.rationals import rational_text

__all__ = ["REGION", "write_sql"]

REGION: Final = "region"
"""Stands among the breakdowns for a table by region."""
FEW: Final = 4
"""So many edges are listed; more that lie evenly are written as steps."""


def write_sql(query: Query) -> str:
    """The question as SQL; reading it back gives the same question."""
    settings = {
        "title": query.title,
        "asked": query.group,
        "epsilon": rational_text(query.epsilon),
        "unit": query.unit,
        "period": query.period.column,
    }
    lines = [f"SET {name} = {_quoted(value)};" for name, value in settings.items()]
    period = f"{query.period.column} BETWEEN DATE '{query.period.start}' AND DATE '{query.period.end}'"
    where = period if query.where is None else f"{period}\n  AND {_nested(query.where)}"
    return "\n".join([*lines, *(_select(table, query, where) for table in query.tables)]) + "\n"


def _select(table: Table, query: Query, where: str) -> str:
    region = [REGION] if table.level is Level.REGION else []
    by = region + [item.column if item.part is None else f"{item.part}({item.column})" for item in table.by]
    bound = [f"AT_MOST({table.max_cells})"] if table.max_cells > 1 else []
    listed = ", ".join([*by, f"{_figure(table, query)} AS {table.name}", *bound])
    group = f"\nGROUP BY {', '.join(by)}" if by else ""
    return f'SELECT {listed}\nFROM "{query.dataset}"\nWHERE {where}{group};'


def _figure(table: Table, query: Query) -> str:
    if table.statistic == "households":
        return f"COUNT(DISTINCT {query.unit})"
    if table.statistic == "rows":
        return "COUNT(*)"
    parts = [f"CLAMP({_measure(item.measure)}, {item.low}, {item.high})" for item in table.measures]
    if table.edges:
        parts.append(_edges(table.edges))
    parts += [f"NAMED({_quoted(item.name)}, {_condition(item.where)})" for item in table.conditions]
    if table.probabilities:
        parts.append(f"PROBABILITIES({', '.join(_quoted(rational_text(item)) for item in table.probabilities)})")
    if table.rounds > 1:
        parts.append(f"ROUNDS({table.rounds})")
    return f"{ {'mean': 'AVG'}.get(table.statistic, table.statistic.upper()) }({', '.join(parts)})"


def _edges(edges: tuple[int, ...]) -> str:
    steps = {high - low for low, high in pairwise(edges)}
    if len(edges) > FEW and len(steps) == 1:
        return f"STEPS({edges[0]}, {edges[-1]}, {steps.pop()})"
    return f"EDGES({', '.join(map(str, edges))})"


def _measure(measure: Measure) -> str:
    match measure:
        case Value(column=column):
            return column
        case Days(start=start, end=end, until=until):
            return f"DAYS({start}, {end}" + ("" if until is None else f", DATE '{until}'") + ")"
        case Points(base=base, terms=terms):
            added = [f"CASE WHEN {_condition(condition)} THEN {points} ELSE 0 END" for condition, points in terms]
            return " + ".join([str(base), *added])


def _condition(condition: Condition) -> str:  # noqa: PLR0911 - one for each kind
    match condition:
        case Equals(column=column, value=value):
            return f"{column} = {_quoted(value)}"
        case In(column=column, values=values):
            return f"{column} IN ({', '.join(map(_quoted, values))})"
        case Between(column=column, low=low, high=high):
            return f"{column} BETWEEN {_quoted(low)} AND {_quoted(high)}"
        case Unknown(column=column):
            return f"{column} IS NULL"
        case And(conditions=conditions):
            return " AND ".join(map(_nested, conditions))
        case Or(conditions=conditions):
            return " OR ".join(map(_nested, conditions))
        case Not(condition=inner):
            return f"NOT {_nested(inner)}"


def _nested(condition: Condition) -> str:
    text = _condition(condition)
    return f"({text})" if isinstance(condition, And | Or | Not | Between) else text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
