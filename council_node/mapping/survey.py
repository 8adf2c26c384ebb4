"""A look at an extract before there is a mapping: its headings, a sample of each column, and its wordings.

For the eyes of whoever maps the extract, on their own terminal; nothing of it is kept or logged. A column whose heading
says that it identifies people is not read at all.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import duckdb
from duckdb import col, fn

from council_node.mapping.identifiers import identifying_heading
from council_node.selects import Select
from council_node.sources.canonical import text_of
from council_node.sources.extract import open_database
from council_node.sources.text_rows import TextSource, Wanted, raw_name
from federated.errors import InternalError

__all__ = ["MOST_WORDINGS", "SAMPLE_ROWS", "Surveyed", "count_wordings", "survey", "survey_columns"]

SAMPLE_ROWS: Final = 5000
"""Rows from the start of an extract that its columns are judged by."""
MEMORY_MIB: Final = 400
MOST_WORDINGS: Final = 400
"""Different texts in the first rows beyond which a column is no category."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """One column of an extract.

    Attributes:
        place: Its place, from 0.
        heading: As written.
        identifies: What its heading says it holds, where that identifies people; it was not read then.
        texts: What stands in the first rows, blanks left out.
    """

    place: int
    heading: str
    identifies: str | None
    texts: tuple[str, ...] = field(repr=False)


def survey(source: TextSource) -> tuple[Surveyed, ...]:
    """Look at the headings and the first rows of an extract.

    Raises:
        FileProblem: It is no longer there.
        InternalError: The database failed for a reason that is not in the rows.
    """
    headings = {place: heading for place, heading in enumerate(source.headings.names) if heading.strip()}
    never = {place: kind for place, heading in headings.items() if (kind := identifying_heading(heading)) is not None}
    read = survey_columns(source, tuple(place for place in headings if place not in never))
    unread = [
        Surveyed(place=place, heading=headings[place], identifies=kind, texts=()) for place, kind in never.items()
    ]
    return tuple(sorted((*read, *unread), key=lambda item: item.place))


def survey_columns(source: TextSource, places: tuple[int, ...]) -> tuple[Surveyed, ...]:
    """Look at the first rows of some columns.

    Raises:
        FileProblem: It is no longer there.
        InternalError: The database failed for a reason that is not in the rows.
    """
    rows = _first_rows(source, places)
    return tuple(
        Surveyed(
            place=place,
            heading=source.headings.names[place],
            identifies=None,
            texts=tuple(text for row in rows if (text := row[at])),
        )
        for at, place in enumerate(places)
    )


def count_wordings(source: TextSource, places: Iterable[int]) -> dict[int, Counter[str]]:
    """How often each text stands in each of some columns, over the whole extract; blanks are left out.

    Args:
        source: The extract.
        places: Columns that a sample showed to hold few different texts.

    Raises:
        FileProblem: It is no longer there.
        InternalError: The database failed, as it does when a column holds far more different texts than its sample.
    """
    counts: dict[int, Counter[str]] = {place: Counter() for place in sorted(set(places))}
    if not counts:
        return counts
    with _batches(source, tuple(counts)) as (connection, batches):
        for batch in batches:
            found = batch.group_by((), *(fn("histogram", col(name)).alias(name) for name in batch.columns))
            [row] = found.run(connection).fetchall()
            for counter, held in zip(counts.values(), row, strict=True):
                counter.update(held or {})
    return counts


def _first_rows(source: TextSource, places: tuple[int, ...]) -> list[tuple[str | None, ...]]:
    rows: list[tuple[str | None, ...]] = []
    if not places:
        return rows
    with _batches(source, places) as (connection, batches):
        for batch in batches:
            rows += batch.limit(SAMPLE_ROWS - len(rows)).run(connection).fetchall()
            if len(rows) >= SAMPLE_ROWS:
                break
    return [row for row in rows if any(row)]


@contextmanager
def _batches(
    source: TextSource, places: tuple[int, ...]
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Iterator[Select]]]:
    """Columns of an extract, their texts without surrounding blanks and null where there are none."""
    texts = tuple(text_of(raw_name(place)).alias(raw_name(place)) for place in places)
    try:
        with source.reading(Wanted(places=places)) as rows:
            readable = () if rows.readable is None else (rows.readable,)
            connection = open_database(threads=1, memory_limit_mib=MEMORY_MIB, readable=readable)
            try:
                yield connection, (batch.select(*texts) for batch in rows.batches(connection))
            finally:
                connection.close()
    except duckdb.Error:
        # The database's own words may quote a row.
        raise InternalError(
            f"The extract {source.name} could not be looked at.", remedy="Check it by hand, and report this."
        ) from None
