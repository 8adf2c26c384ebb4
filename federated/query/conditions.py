"""Which rows are meant: conditions on columns, as frozen expressions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from protocols.encoding import Json, canonical_json

__all__ = [
    "And",
    "Between",
    "Condition",
    "Equals",
    "In",
    "Named",
    "Not",
    "Or",
    "Unknown",
    "condition_columns",
    "condition_json",
]


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
class Unknown:
    """Rows whose date or whole number is not known: always true or false. A category has the code ``not_known``."""

    column: str


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


Condition: TypeAlias = Equals | In | Between | Unknown | And | Or | Not


def condition_json(condition: Condition) -> Json:  # noqa: PLR0911 - one for each kind
    """A condition as canonical JSON: the order of alternatives, and brackets that change nothing, are taken out."""
    match condition:
        case Equals(column=column, value=value):
            return {"column": column, "equals": value}
        case In(column=column, values=values):
            return {"column": column, "in": sorted(set(values))}
        case Between(column=column, low=low, high=high):
            return {"column": column, "between": [low, high]}
        case Unknown(column=column):
            return {"column": column, "unknown": True}
        case And():
            return _joined("all", condition)
        case Or():
            return _joined("any", condition)
        case Not(condition=inner):
            return {"not": condition_json(inner)}


def _joined(name: str, condition: And | Or) -> Json:
    parts: list[Json] = sorted((condition_json(part) for part in _parts(condition)), key=canonical_json)
    return parts[0] if len(parts) == 1 else {name: parts}


def _parts(condition: And | Or) -> Iterator[Condition]:
    """What is joined, however it was bracketed."""
    kind = type(condition)
    for part in condition.conditions:
        if isinstance(part, And | Or) and (isinstance(part, kind) or len(part.conditions) == 1):
            yield from _parts(part)
        else:
            yield part


def condition_columns(condition: Condition | None) -> frozenset[str]:
    """Every column a condition reads."""
    match condition:
        case None:
            return frozenset()
        case Equals(column=column) | In(column=column) | Between(column=column) | Unknown(column=column):
            return frozenset({column})
        case And(conditions=conditions) | Or(conditions=conditions):
            return frozenset().union(*(condition_columns(item) for item in conditions))
        case Not(condition=inner):
            return condition_columns(inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A condition with a name, for statistics that tell several groups of rows apart (stages, causes, who was helped).

    Attributes:
        name: Lower snake case; a code of the printed table.
        where: Rows meant. A row for which this is unknown is not among them.
    """

    name: str
    where: Condition

    def canonical(self) -> Json:
        """The named condition as canonical JSON."""
        return {"name": self.name, "where": condition_json(self.where)}
