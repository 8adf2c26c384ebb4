"""From a batch of text rows to canonical rows: one way for the table asked about and for the case table beside it."""

from collections.abc import Iterable
from itertools import chain
from typing import Final

from duckdb import Expression, coalesce, col

from council_node.selects import Select
from council_node.sources.canonical import CanonicalColumn, canonical_column, text_of
from council_node.sources.layout import Layout
from council_node.sources.text_rows import raw_name

__all__ = ["OUTSIDE", "UNREAD", "texts_of", "with_values"]

UNREAD: Final = "!unread "
"""Before a column's name: whether a row holds something there that means nothing."""
OUTSIDE: Final = "!outside "
"""Before a column's name: whether a row's number is beyond the schema's bounds."""

_PARSED: Final = "!parsed "


def texts_of(batch: Select, layout: Layout) -> Select:
    """The rows that hold anything, blanks as null."""
    trimmed = batch.select(*(text_of(name).alias(name) for name in layout.texts))
    return trimmed.where(coalesce(*map(col, layout.texts)).is_not_null())


def with_values(rows: Select, layout: Layout, kept: Iterable[str]) -> Select:
    """Columns as they are, and the canonical value of every column of the layout with its marks; texts are left."""
    read = {name: _read_column(name, layout) for name in layout.columns}
    names = [col(name) for name in kept]
    parsed = [item.parsed.alias(_PARSED + name) for name, item in read.items()]
    values = chain.from_iterable(map(_marked, read, read.values()))
    return rows.select(*names, *map(col, layout.texts), *parsed).select(*names, *values)


def _read_column(name: str, layout: Layout) -> CanonicalColumn:
    return canonical_column(
        layout.dataset.column(name),
        layout.mapped(name),
        text=raw_name(layout.places[name]),
        parsed=_PARSED + name,
        dataset=layout.dataset,
        dates=layout.mapping.dates,
    )


def _marked(name: str, read: CanonicalColumn) -> list[Expression]:
    """A column's value, and its marks for the report."""
    found = [read.value.alias(name), read.unread.alias(UNREAD + name)]
    return found if read.outside is None else [*found, read.outside.alias(OUTSIDE + name)]
