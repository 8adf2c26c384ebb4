"""An extract of any kind, read by its mapping file: only the approved columns, under run-local pseudonyms.

Everything that could be a reason to refuse (a missing file, heading or column) is found by `check_coverage` before
the council joins a round. After that nothing in a row can stop the load (`protocol.md` 1.3).
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import duckdb
from duckdb import col, count_all

from council_node.mapping import ExtractMapping
from council_node.selects import Select, from_table
from council_node.sources.canonical import agreeing, set_run_key
from council_node.sources.canonical_rows import OUTSIDE, UNREAD, texts_of, with_values
from council_node.sources.cases import NAMES_OBJECTOR, NO_CASE, OBJECTORS, keep_cases, linked_rows
from council_node.sources.databases import Databases
from council_node.sources.extract import (
    HOUSEHOLD,
    ROWS,
    WHOLE,
    Extract,
    LoadReport,
    Part,
    without_its_words,
)
from council_node.sources.layout import CASE_KEY, OPTED_OUT, CaseTable, Layout, Linked, check_coverage, linked_layout
from council_node.sources.references import NO_KEY, OBJECTS, in_part
from council_node.sources.text_rows import InPeriod, TextRows, Wanted
from federated.query import Period
from federated.schema import ColumnType, Dataset

__all__ = ["RUN_KEY_SIZE", "check_coverage", "load_extract"]

RUN_KEY_SIZE: Final = 16
BYTES_PER_THREAD: Final = 8 * 1024 * 1024
"""Below this a second thread costs more than it saves."""
SMALL_BYTES: Final = 512 * 1024
"""Below this, looking for a better plan costs more than it saves: a quarter of the time for two hundred cases."""


def load_extract(
    mapping: ExtractMapping,
    dataset: Dataset,
    columns: Iterable[str],
    *,
    directory: Path,
    run_key: bytes,
    cases: CaseTable | None = None,
    period: Period | None = None,
    part: Part = WHOLE,
    threads: int = 1,
    memory_limit_mib: int = 400,
    databases: Databases | None = None,
) -> Extract:
    """Read the approved columns of an extract.

    Args:
        mapping: The council's mapping.
        dataset: The data set asked about.
        columns: The approved columns: those the question reads.
        directory: Where a file named without a path is looked for.
        run_key: 16 fresh random bytes, kept for this run only; households' pseudonyms hang on it.
        cases: The council's case table, where it has one: other tables are joined to it.
        period: The question's period, where no other row is wanted; sources that can leave the others out do.
        part: The households to read.
        threads: Most threads of the database; a small extract is read by one.
        memory_limit_mib: Most memory the database may take.
        databases: Where an open one is kept between questions; without it, one is opened for this question.

    Raises:
        FileProblem: The file or a heading is no longer there.
        ExtractTooLarge: The rows do not fit into the memory; those of a smaller part may.
        InternalError: The database failed for another reason that is not in the rows.

    Privacy:
        Identifiers, unmapped columns and columns not approved are not loaded. Households that object are dropped at
        every load (R5, R97 of the requirements). No message holds a value of a row.
    """
    if len(run_key) != RUN_KEY_SIZE:
        raise ValueError(f"a run key has {RUN_KEY_SIZE} bytes, not {len(run_key)}")
    linked = linked_layout(mapping, dataset, columns, directory=directory, cases=cases)
    with without_its_words(
        f"The extract {linked.rows.source.name} could not be loaded into memory.",
        remedy=f"Check that the node may use {memory_limit_mib} MiB of memory, and report it if it may.",
    ):
        return _load(
            linked,
            period=period,
            run_key=run_key,
            part=part,
            threads=threads,
            memory_limit_mib=memory_limit_mib,
            databases=databases or Databases(),
        )


def _load(
    linked: Linked,
    *,
    period: Period | None,
    run_key: bytes,
    part: Part,
    threads: int,
    memory_limit_mib: int,
    databases: Databases,
) -> Extract:
    with ExitStack() as open_files, ExitStack() as unless_kept:
        rows = open_files.enter_context(linked.rows.source.reading(_wanted(linked.rows, period)))
        cases = None if linked.cases is None else _reading_cases(open_files, linked.cases)
        read = [rows] if cases is None else [rows, cases]
        size = sum(item.size for item in read)
        connection = databases.lend(
            threads=min(threads, 1 + size // BYTES_PER_THREAD),
            memory_limit_mib=memory_limit_mib,
            readable=tuple(item.readable for item in read if item.readable is not None),
            passing=any(item.passing for item in read),
            optimise=size > SMALL_BYTES,
        )
        unless_kept.callback(connection.close)
        set_run_key(connection, run_key)
        if cases is not None:
            keep_cases(connection, linked, cases.batches(connection), part)
            cases.unreadable(connection)
        _fill(connection, linked, rows.batches(connection), part)
        unreadable = rows.unreadable(connection)
        dropped = _drop_objecting(connection, linked)
        report = _report(connection, linked, rows.encoding, unreadable=unreadable, dropped=dropped)
        unless_kept.pop_all()
    return Extract(
        dataset=linked.rows.dataset,
        columns=linked.columns,
        has_case_reference=linked.rows.raw(CASE_KEY) is not None,
        report=report,
        connection=connection,
    )


def _reading_cases(open_files: ExitStack, layout: Layout) -> TextRows:
    # Every case, whatever its date: a placement of this quarter may belong to a case of three years ago.
    return open_files.enter_context(layout.source.reading(_wanted(layout, None)))


def _wanted(layout: Layout, period: Period | None) -> Wanted:
    columns = {name: layout.dataset.column(name) for name in layout.places}
    dates = frozenset(layout.places[name] for name, column in columns.items() if column.type is ColumnType.DATE)
    wanted = Wanted(places=tuple(sorted(set(layout.places.values()))), dates=dates)
    if period is None or period.column not in layout.places:
        return wanted
    objection = layout.places.get(OPTED_OUT)
    agreed = () if objection is None else agreeing(columns[OPTED_OUT], layout.mapped(OPTED_OUT), layout.dataset)
    place = layout.places[period.column]
    within = InPeriod(place=place, start=period.start, end=period.end, objection=objection, agreeing=frozenset(agreed))
    return replace(wanted, period=within)


def _fill(connection: duckdb.DuckDBPyConnection, linked: Linked, batches: Iterable[Select], part: Part) -> None:
    """Make the table of rows, batch by batch."""
    layout = linked.rows
    for number, batch in enumerate(batches):
        named = in_part(linked_rows(texts_of(batch, layout), linked), layout, part)
        rows = with_values(named, layout, (name for name in named.columns if name not in layout.texts))
        (rows.append if number else rows.store)(connection, ROWS)


def _drop_objecting(connection: duckdb.DuckDBPyConnection, linked: Linked) -> int:
    """Drop every row of a household of which any row objects (R5, R97): read again at every run, never cached."""
    objecting = from_table(ROWS, (HOUSEHOLD, OBJECTS)).where(col(OBJECTS)).select(col(HOUSEHOLD))
    objectors = [objecting] if linked.cases is None else [objecting, from_table(OBJECTORS, (HOUSEHOLD,))]
    dropped = sum(other.drop_from(connection, ROWS, HOUSEHOLD) for other in objectors)
    if linked.by_case:
        # Its case is not in the case table, but its household is, and objects. The row alone goes: what else belongs
        # to such a case is perhaps another's, which must not hang on this one.
        naming = from_table(ROWS, (NAMES_OBJECTOR,)).where(col(NAMES_OBJECTOR))
        dropped += naming.drop_from(connection, ROWS, NAMES_OBJECTOR)
    return dropped


def _report(
    connection: duckdb.DuckDBPyConnection, linked: Linked, encoding: str, *, unreadable: int, dropped: int
) -> LoadReport:
    layout = linked.rows
    kinds = {name: layout.dataset.column(name).type for name in layout.columns}
    marks = [NO_KEY, *([NO_CASE] if linked.by_case else []), *(UNREAD + name for name in kinds)]
    marks += [OUTSIDE + name for name, kind in kinds.items() if kind is ColumnType.INTEGER]
    sums = [count_all().where(col(name)).alias(name) for name in marks]
    rows = from_table(ROWS, tuple(marks)).group_by((), count_all().alias("total"), *sums)
    total, *counted = rows.run(connection).fetchall()[0]
    counts = dict(zip(marks, counted, strict=True))
    categories = {name for name, kind in kinds.items() if kind is ColumnType.CATEGORY}
    return LoadReport(
        rows_read=total + dropped,
        rows_opted_out=dropped,
        rows_unreadable=unreadable,
        rows_without_key=counts[NO_KEY],
        unknown_codes={name: counts[UNREAD + name] for name in kinds if name in categories},
        unreadable={name: counts[UNREAD + name] for name in kinds if name not in categories},
        outside_bounds={name: counts[OUTSIDE + name] for name in kinds if OUTSIDE + name in counts},
        rows_without_case=counts.get(NO_CASE, 0),
        opt_out_known=any(item is not None and OPTED_OUT in item.places for item in (layout, linked.cases)),
        encoding=encoding,
    )
