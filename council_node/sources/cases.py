"""The case table beside another table: whose case each row names, what is copied from it, and who objects there.

One household's rows in every table follow from its own cases alone. A case that two households of the case table
share counts for both; a row whose case is not there belongs to a household of its case, and is dropped if it names a
household that objects. So adding or removing one household, with the rows that name its cases or itself, changes
nothing of any other household (`protocol.md` 2.1).
"""

from collections.abc import Iterable
from typing import Final

from duckdb import DuckDBPyConnection, Expression, coalesce, col, fn, lit, when

from council_node.selects import Select, from_table
from council_node.sources.canonical import not_known_position
from council_node.sources.canonical_rows import texts_of, with_values
from council_node.sources.extract import HOUSEHOLD, Part
from council_node.sources.layout import CASE_KEY, Layout, Linked
from council_node.sources.references import (
    NO_KEY,
    OBJECTS,
    case_link,
    in_part,
    marks,
    named_household,
    own_household,
    references,
)
from federated.schema import ColumnType, Dataset

__all__ = ["NAMES_OBJECTOR", "NO_CASE", "OBJECTORS", "keep_cases", "linked_rows"]

NO_CASE: Final = "!no case"
"""Whether the case that a row names was not found."""
OBJECTORS: Final = "!objectors"
"""Table of the households that object in the case table."""
NAMES_OBJECTOR: Final = "!names objector"
"""Whether a row whose case was not found names itself a household that objects in the case table."""

_LINK: Final = "!link"
_CASES: Final = "!cases"
_CASE: Final = "!case of the table"
_CASE_HOUSEHOLD: Final = "!household of the case"
_COPIED: Final = "!copied "
_STAGED: Final = "!staged"
_NAMED: Final = "!household that the row names"
_OBJECTOR: Final = "!household that objects"


def keep_cases(connection: DuckDBPyConnection, linked: Linked, batches: Iterable[Select], part: Part) -> None:
    """Read the case table: one row for each case and household of it, and the households that object.

    Args:
        connection: The database.
        linked: The extract with its case table.
        batches: Rows of the case table.
        part: Households to keep; the cases among which a row of that part may look for its own are kept as well, and
            whoever objects: a row of any part may name such a household.
    """
    layout = linked.cases
    if layout is None:
        return
    link = [case_link(layout).alias(_LINK)] if linked.by_case else []
    own = [HOUSEHOLD, OBJECTS, *(_LINK for _ in link)]
    for number, batch in enumerate(batches):
        named = texts_of(batch, layout).select(*map(col, layout.texts), *references(layout), *link)
        rows = with_values(in_part(named, layout, part, also=_LINK if link else None, whatever=OBJECTS), layout, own)
        rows = rows.select(*map(col, (*own, *layout.columns)))
        (rows.append if number else rows.store)(connection, _STAGED)
    staged = from_table(_STAGED, (*own, *layout.columns))
    staged.where(col(OBJECTS)).group_by((col(HOUSEHOLD),)).store(connection, OBJECTORS)
    if link:
        # Two rows of one case and household are one; which of two dates stands must not hang on the order of rows.
        values = [fn("min", col(name)).alias(_COPIED + name) for name in layout.columns]
        keys = (col(_LINK).alias(_CASE), col(HOUSEHOLD).alias(_CASE_HOUSEHOLD))
        staged.where(col(_LINK).is_not_null()).group_by(keys, *values).store(connection, _CASES)
    connection.execute(f"DROP TABLE {col(_STAGED)}")


def linked_rows(texts: Select, linked: Linked) -> Select:
    """Rows beside the case they name: its household as theirs, and what is copied from it.

    A row that names no case belongs to the household it names itself.
    """
    layout, cases = linked.rows, linked.cases
    if cases is None or not linked.by_case:
        return texts.select(*map(col, layout.texts), *references(layout))
    link = case_link(layout).alias(_LINK)
    table = from_table(_CASES, (_CASE, _CASE_HOUSEHOLD, *(_COPIED + name for name in cases.columns)))
    joined = texts.select(*map(col, layout.texts), link).left_join(table, _LINK, _CASE)
    named = when(col(_CASE_HOUSEHOLD).is_null()).then(named_household(layout)).end()
    joined = joined.select(*map(col, joined.columns), named.alias(_NAMED))
    objectors = from_table(OBJECTORS, (HOUSEHOLD,)).select(col(HOUSEHOLD).alias(_OBJECTOR))
    return joined.left_join(objectors, _NAMED, _OBJECTOR).select(
        *map(col, layout.texts),
        coalesce(col(_CASE_HOUSEHOLD), own_household(layout, case_first=True)).alias(HOUSEHOLD),
        _names_nobody(layout).alias(NO_KEY),
        col(_CASE_HOUSEHOLD).is_null().alias(NO_CASE),
        col(_OBJECTOR).is_not_null().alias(NAMES_OBJECTOR),
        *marks(layout),
        *(_copied(name, cases.dataset).alias(name) for name in cases.columns),
    )


def _names_nobody(layout: Layout) -> Expression:
    texts = [layout.raw(name) for name in (layout.dataset.unit_column, CASE_KEY)]
    return coalesce(*(col(text) for text in texts if text is not None)).is_null()


def _copied(name: str, cases: Dataset) -> Expression:
    """A copied value; of a case that was not found it is unknown, which for a category is a code of its own."""
    column = cases.column(name)
    if column.type is not ColumnType.CATEGORY:
        return col(_COPIED + name)
    return coalesce(col(_COPIED + name), lit(not_known_position(column)).cast("USMALLINT"))
