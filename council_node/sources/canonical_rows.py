"""From a batch of text rows to canonical rows: one way for the table asked about and for the case table beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final

from duckdb import coalesce, col

from council_node.mapping import DateOrder
from council_node.selects import Select, Written, written
from council_node.sources.canonical import canonical_column, text_of, understood
from council_node.sources.layout import Layout
from council_node.sources.text_rows import raw_name
from federated.schema import Column, ColumnType

__all__ = ["OUTSIDE", "UNREAD", "texts_of", "with_values"]

UNREAD: Final = "!unread "
"""Before a column's name: whether a row holds something there that means nothing."""
OUTSIDE: Final = "!outside "
"""Before a column's name: whether a row's number is beyond the schema's bounds."""

_PARSED: Final = "!parsed "
COLUMNS_KEPT: Final = 256
"""Columns whose expressions are written once: nothing in them comes from a row or hangs on a run."""


def texts_of(batch: Select, layout: Layout) -> Select:
    """The rows that hold anything, blanks as null."""
    trimmed = batch.select(*map(_trimmed, layout.texts))
    return trimmed.where(coalesce(*map(col, layout.texts)).is_not_null())


def with_values(rows: Select, layout: Layout, kept: Iterable[str]) -> Select:
    """Columns as they are, and the canonical value of every column of the layout with its marks; texts are left."""
    names = tuple(kept)
    read = [_read_column(name, layout) for name in layout.columns]
    parsed = rows.select(*names, *layout.texts, *(item.parsed for item in read))
    return parsed.select(*names, *chain.from_iterable(item.values for item in read))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadColumn:
    """A `CanonicalColumn` as it is written: its first step, and its value with the marks for the report."""

    parsed: Written
    values: tuple[Written, ...]


def _read_column(name: str, layout: Layout) -> _ReadColumn:
    column = layout.dataset.column(name)
    category = column.type is ColumnType.CATEGORY
    wordings = understood(column, layout.mapped(name), layout.dataset) if category else {}
    return _written_column(column, tuple(wordings.items()), raw_name(layout.places[name]), layout.mapping.dates)


@lru_cache(maxsize=COLUMNS_KEPT)
def _written_column(column: Column, wordings: tuple[tuple[str, str], ...], text: str, dates: DateOrder) -> _ReadColumn:
    parsed = _PARSED + column.name
    read = canonical_column(column, dict(wordings), text=text, parsed=parsed, dates=dates)
    values = [read.value.alias(column.name), read.unread.alias(UNREAD + column.name)]
    if read.outside is not None:
        values.append(read.outside.alias(OUTSIDE + column.name))
    return _ReadColumn(parsed=written(read.parsed.alias(parsed)), values=tuple(map(written, values)))


@lru_cache(maxsize=COLUMNS_KEPT)
def _trimmed(text: str) -> Written:
    return written(text_of(text).alias(text))
