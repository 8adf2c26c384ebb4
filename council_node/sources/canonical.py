"""From a council's own text to canonical values, as DuckDB expressions: one set for every kind of source.

Every value of every row gets a meaning: what cannot be read is unknown, and is counted. Nothing here can fail because
of what a row holds (`protocol.md` 1.3: taking part never depends on case values).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final, assert_never

from duckdb import DuckDBPyConnection, Expression, coalesce, col, fn, lit, when

from council_node.mapping import ColumnMapping, DateOrder
from federated.schema import NOT_KNOWN, Column, ColumnType, Dataset

__all__ = [
    "CanonicalColumn",
    "agreeing",
    "canonical_column",
    "known_wordings",
    "objects",
    "pseudonym",
    "run_key",
    "set_run_key",
    "text_of",
    "understood",
]

SERIAL_DAY_ZERO: Final = date(1899, 12, 30)
SERIALS: Final = (10_000, 80_000)
"""Spreadsheet day numbers that are taken as dates: 1927 to 2119."""

# The usual form first: an attempt that fails costs ten times one that succeeds.
_ISO: Final = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
_DAY_FIRST: Final = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y")
_DAY_FIRST_TIMED: Final = ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S")
_FORMATS: Final = {
    DateOrder.DAY_FIRST: (*_DAY_FIRST, *_DAY_FIRST_TIMED, *_ISO),
    DateOrder.ISO: _ISO,
}
CENTURY: Final = 2000
"""Years written with two digits are of this century: case records begin in 2018."""
_ANCIENT: Final = r"(^|\D)00\d\d(\D|$)"
"""A year of the first century, written in full."""
_RUN_KEY: Final = "run_key"
ENGINE_WORDS: Final = date(1900, 1, 1)
"""The day that the engine reads in words."""
_YES_NO: Final = {"y": "yes", "true": "yes", "t": "yes", "1": "yes", "n": "no", "false": "no", "f": "no", "0": "no"}


class ReferenceKind(Enum):
    """What a reference names."""

    UNIT = 0
    """A household, or a person."""
    CASE = 1
    OWN = 2
    """Nothing but the row itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalColumn:
    """One column of the schema as expressions, in two steps so that nothing is worked out twice.

    Attributes:
        parsed: From the row's text (a column named by `text`), what it was understood as; null when it was not.
        value: From `parsed` (a column of its own), the position of the code, the date or the whole number.
        unread: From both, whether the row holds something that means nothing here.
        outside: From `parsed`, whether a number lies beyond the schema's bounds; None for other types.
    """

    parsed: Expression
    value: Expression
    unread: Expression
    outside: Expression | None = None


def text_of(raw: str) -> Expression:
    """A column's text without surrounding blanks; null when there is nothing else."""
    return fn("nullif", fn("trim", col(raw)), lit(""))


def canonical_column(
    column: Column, wordings: Mapping[str, str], *, text: str, parsed: str, dates: DateOrder
) -> CanonicalColumn:
    """How one column of the schema is read.

    Args:
        column: The column, which may be derived.
        wordings: For a category, from `understood`.
        text: Name of the column of text, as `text_of` makes it.
        parsed: Name of the column that will hold `CanonicalColumn.parsed`.
        dates: How dates are written.
    """
    unread = col(text).is_not_null() & col(parsed).is_null()
    match column.type:
        case ColumnType.CATEGORY:
            return CanonicalColumn(
                parsed=fn("list_position", _words(wordings), fn("lower", col(text))),
                value=_position(column, wordings, col(parsed)),
                unread=unread,
            )
        case ColumnType.DATE:
            value = _full_year(col(parsed), col(text))
            return CanonicalColumn(
                parsed=_date(col(text), dates), value=value, unread=col(text).is_not_null() & value.is_null()
            )
        case ColumnType.INTEGER:
            value, outside = _bounded(column, col(parsed))
            return CanonicalColumn(parsed=_whole_number(col(text)), value=value, unread=unread, outside=outside)
        case ColumnType.KEY:
            raise ValueError(f"'{column.name}' is a reference and is never read as a value")
        case _:
            assert_never(column.type)


def objects(column: Column, mapped: ColumnMapping, *, text: str, dataset: Dataset) -> Expression:
    """Whether the row's household objects. Wording that is neither blank nor known counts as an objection."""
    agrees = agreeing(column, mapped, dataset)
    return coalesce(~fn("list_contains", _words(agrees), fn("lower", col(text))), lit(value=False))


def agreeing(column: Column, mapped: ColumnMapping, dataset: Dataset) -> tuple[str, ...]:
    """Wordings, in lower case, that are no objection."""
    return tuple(wording for wording, code in understood(column, mapped, dataset).items() if code != "yes")


def set_run_key(connection: DuckDBPyConnection, key: bytes) -> None:
    """Give a connection its run's key: it stands in no statement, and goes with the connection."""
    connection.execute(f"SET VARIABLE {_RUN_KEY} = ?", [key.hex()])


def run_key() -> Expression:
    """The run's key, as hexadecimal digits."""
    return fn("getvariable", lit(_RUN_KEY))


def pseudonym(*references: tuple[ReferenceKind, Expression]) -> Expression:
    """A run-local pseudonym of the first reference that is not null: 128 bits of SHA-256 under the run's key.

    The reference itself is not kept. The pseudonym depends on nothing but the key and the reference, so that what is
    done with one household cannot depend on which others are there; a number given out in order would. Under a fresh
    secret key it says nothing about the reference, and two of 2^23 households share one with probability below 2^-80.
    The kind is part of what is hashed: a case and a household of the same number are two things.
    """
    tagged = [fn("||", fn("||", run_key(), lit(f"{kind.value}:")), text) for kind, text in references]
    digest = fn("sha256", coalesce(*tagged))
    return fn("||", lit("0x"), fn("left", digest, lit(32))).cast("UHUGEINT")


def not_known_position(column: Column) -> int:
    """The place of `not_known` in a category's list."""
    return column.code_list.index(NOT_KNOWN)


def understood(column: Column, mapped: ColumnMapping, dataset: Dataset) -> dict[str, str]:
    """Every understood wording of a category in lower case, with the code it means: codes, labels, the mapping's own.

    Args:
        column: The column, which may be derived.
        mapped: Where it comes from: for a derived column, its source's mapping.
        dataset: The data set of the column.
    """
    if column.derived_from is not None:
        source = dataset.column(column.derived_from)
        return {text: column.derivation[code] for text, code in understood(source, mapped, dataset).items()}
    return known_wordings(column) | {_lower(wording): code for wording, code in mapped.codes.items()}


def known_wordings(column: Column) -> dict[str, str]:
    """The wordings in lower case that a category is read from without a mapping's help, with the code each means."""
    known = {_lower(code.label): code.code for code in column.codes}
    known |= {_lower(code.code): code.code for code in column.codes}
    if set(column.code_list) == {"yes", "no", NOT_KNOWN}:
        known |= _YES_NO
    return known


def _lower(text: str) -> str:
    return text.strip(" ").lower()


def _words(wordings: Iterable[str]) -> Expression:
    """A list of texts, written as one text: a hundred literals take the engine longer to read than a small extract.

    No texts become one empty text, which no value is: blank is null here.
    """
    words = tuple(wordings)
    separator = next(sign for sign in map(chr, range(1, 0x10000)) if not any(sign in word for word in words))
    return fn("string_split", lit(separator.join(words)), lit(separator))


def _position(column: Column, wordings: Mapping[str, str], place: Expression) -> Expression:
    positions = {code: position for position, code in enumerate(column.code_list)}
    # One text that the engine reads as a list: see `_words`.
    listed = lit(str([positions[code] for code in wordings.values()])).cast("USMALLINT[]")
    known = fn("list_extract", listed, place)
    return coalesce(known, lit(not_known_position(column))).cast("USMALLINT")


def _date(text: Expression, dates: DateOrder) -> Expression:
    written = fn("try_strptime", text, lit(list(_FORMATS[dates]))).cast("DATE")
    day = fn("floor", text.try_cast("DOUBLE")).try_cast("INTEGER")
    serial = when(day.between(lit(SERIALS[0]), lit(SERIALS[1]))).then(lit(SERIAL_DAY_ZERO) + day).end()
    return coalesce(written, serial)


def _full_year(found: Expression, text: Expression) -> Expression:
    """A date whose year was written with two digits, in this century; dates out of all reason are unknown.

    Systems write 0001-01-01 and 01/01/0000 for "no date": four digits are meant as they stand.
    """
    # The engine takes "epoch" and "infinity" for a day, whatever the form; only a doubtful day costs a second look.
    word = (found == lit(ENGINE_WORDS)) & ~fn("regexp_matches", text, lit(r"\d"))
    short = fn("year", found).between(lit(0), lit(99)) & ~fn("regexp_matches", text, lit(_ANCIENT))
    moved = found + fn("to_years", lit(CENTURY))
    return (
        when(word)
        .then(lit(None))
        .when(fn("year", found).between(lit(1900), lit(2100)))
        .then(found)
        .when(short)
        .then(moved.cast("DATE"))
        .end()
    )


def _whole_number(text: Expression) -> Expression:
    # Pounds and thousands are written "£1,234.50"; what is not a whole number is rounded to the nearest.
    return fn("round", fn("translate", text, lit("£, "), lit("")).try_cast("DOUBLE")).try_cast("BIGINT")


def _bounded(column: Column, number: Expression) -> tuple[Expression, Expression]:
    """The number within the schema's bounds, and whether it was beyond them. `greatest` would make null a bound."""
    outside, value = lit(value=False), number
    if column.low is not None:
        below = number < lit(column.low)
        outside, value = outside | below, when(below).then(lit(column.low)).otherwise(value)
    if column.high is not None:
        above = number > lit(column.high)
        outside, value = outside | above, when(above).then(lit(column.high)).otherwise(value)
    return value.cast("BIGINT"), coalesce(outside, lit(value=False))
