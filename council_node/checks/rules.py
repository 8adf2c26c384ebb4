"""What should hold in a council's extract, as data: each rule is a set of conditions that no row should meet at once.

The rules stand in `rules.yaml`, after the checks that case systems make before a quarterly return. They judge the
records for the council's own eyes; no rule decides what is counted.
"""

from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

from duckdb import Expression, coalesce, col, fn, lit
from pydantic import Field, model_validator

from council_node.checks.findings import Verdict
from council_node.conditions import matches
from federated.clauses import Form, Line, Name
from federated.errors import FileProblem
from federated.query import In
from federated.schema import NOT_KNOWN, ColumnType, Dataset, Schema, load_schema
from federated.yaml_document import read_form

__all__ = ["Rule", "rules", "violation"]

_FILE: Final = "rules.yaml"
TODAY: Final = "today"


class Condition(Form):
    """One condition on a row; exactly one of its tests is given."""

    column: Name
    one_of: tuple[Name, ...] | None = Field(default=None, description="The code is one of these.")
    none_of: tuple[Name, ...] | None = Field(default=None, description="The code is known and none of these.")
    known: bool | None = Field(default=None, description="Whether there is a value that can be read.")
    after: Name | None = Field(default=None, description="The date is after another column's, or after `today`.")
    days: Annotated[int, Field(ge=0)] = Field(default=0, description="With `after`: by more than so many days.")
    above: int | None = Field(default=None, description="The number is greater.")

    @model_validator(mode="after")
    def _one_test(self) -> "Condition":
        given = [test for test in (self.one_of, self.none_of, self.known, self.after, self.above) if test is not None]
        if len(given) != 1:
            raise ValueError("needs exactly one of one_of, none_of, known, after and above")
        return self

    @property
    def columns(self) -> frozenset[str]:
        """The columns it reads."""
        return frozenset({self.column} if self.after in {None, TODAY} else {self.column, str(self.after)})

    def expression(self, dataset: Dataset, today: date) -> Expression:
        """True for rows that meet it."""
        column = dataset.column(self.column)
        known = col(self.column).is_not_null()
        if column.type is ColumnType.CATEGORY:
            known = ~matches(In(column=self.column, values=(NOT_KNOWN,)), dataset)
        if self.one_of is not None:
            return matches(In(column=self.column, values=self.one_of), dataset)
        if self.none_of is not None:
            return known & ~matches(In(column=self.column, values=self.none_of), dataset)
        if self.known is not None:
            return known if self.known else ~known
        if self.after is not None:
            other = lit(today) if self.after == TODAY else col(self.after)
            return fn("date_diff", lit("day"), other, col(self.column)) > lit(self.days)
        return col(self.column) > lit(self.above)


class Rule(Form):
    """One rule: rows that meet every condition are reported."""

    name: Name
    dataset: Name
    verdict: Literal["look", "mend"]
    said: Line = Field(description="What is wrong with such rows, to follow a count.")
    remedy: Line
    when: Annotated[tuple[Condition, ...], Field(min_length=1)]

    @property
    def columns(self) -> frozenset[str]:
        """Every column it reads."""
        return frozenset().union(*(condition.columns for condition in self.when))

    @property
    def severity(self) -> Verdict:
        """How a row that breaks it counts."""
        return Verdict(self.verdict)


class _Rules(Form):
    rules: tuple[Rule, ...]


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, checked against the data dictionary.

    Raises:
        FileProblem: The file of rules is not sound; a fault of this software.
    """
    content = files("council_node.checks").joinpath(_FILE).read_bytes()
    found = read_form(_Rules, content, source=_FILE, remedy="Please report it.").rules
    for rule in found:
        _check(rule, load_schema())
    return found


def _check(rule: Rule, schema: Schema) -> None:
    dataset = schema.dataset(rule.dataset)
    for condition in rule.when:
        column = dataset.column(condition.column)
        for code in (*(condition.one_of or ()), *(condition.none_of or ())):
            column.code(code)
        wanted = ColumnType.DATE if condition.after else ColumnType.INTEGER if condition.above is not None else None
        if wanted is not None and column.type is not wanted:
            raise FileProblem(f"{_FILE}: rule '{rule.name}' compares '{column.name}', which is a {column.type.value}.")


def violation(rule: Rule, dataset: Dataset, today: date) -> Expression:
    """True for rows that break the rule; false also where something is not known."""
    met = lit(value=True)
    for condition in rule.when:
        met &= condition.expression(dataset, today)
    return coalesce(met, lit(value=False))
