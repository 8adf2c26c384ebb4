"""An extract of any kind, read by its mapping file: only the approved columns, under run-local pseudonyms.

Everything that could be a reason to refuse (a missing file, heading or column) is found by `check_coverage` before
the council joins a round. After that nothing in a row can stop the load (`protocol.md` 1.3).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Final

import duckdb
from duckdb import Expression, coalesce, col, count_all, fn, lit

from council_node.mapping import ColumnMapping, ExtractMapping
from council_node.selects import Select, from_table
from council_node.sources.canonical import CanonicalColumn, agreeing, canonical_column, objects, pseudonym, text_of
from council_node.sources.databases import Databases
from council_node.sources.extract import CASE_REFERENCE, HOUSEHOLD, ROWS, Extract, LoadReport
from council_node.sources.opening import open_source
from council_node.sources.text_rows import InPeriod, TextSource, Wanted, raw_name
from federated.errors import FileProblem, InternalError
from federated.query import Period
from federated.schema import ColumnType, Dataset

__all__ = ["RUN_KEY_SIZE", "check_coverage", "load_extract"]

RUN_KEY_SIZE: Final = 16
CASE_KEY: Final = "case_key"
OPTED_OUT: Final = "opted_out"
BYTES_PER_THREAD: Final = 8 * 1024 * 1024
"""Below this a second thread costs more than it saves."""

_PARSED: Final = "!parsed "
_OBJECTS: Final = "!objects"
_NO_KEY: Final = "!no key"
_UNREAD: Final = "!unread "
_OUTSIDE: Final = "!outside "


def check_coverage(mapping: ExtractMapping, dataset: Dataset, columns: Iterable[str], *, directory: Path) -> None:
    """Check that a question's columns can be read: the reasons a council may refuse a question for, and no others.

    Looks at the mapping and at the heading row, never at a case.

    Args:
        mapping: The council's mapping.
        dataset: The data set asked about.
        columns: The columns the question reads.
        directory: Where a file named without a path is looked for.

    Raises:
        FileProblem: Names the column, heading or file that is missing.
    """
    _layout(mapping, dataset, columns, directory)


def load_extract(
    mapping: ExtractMapping,
    dataset: Dataset,
    columns: Iterable[str],
    *,
    directory: Path,
    run_key: bytes,
    period: Period | None = None,
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
        period: The question's period, where no other row is wanted; sources that can leave the others out do.
        threads: Most threads of the database; a small extract is read by one.
        memory_limit_mib: Most memory the database may take.
        databases: Where an open one is kept between questions; without it, one is opened for this question.

    Raises:
        FileProblem: The file or a heading is no longer there.
        InternalError: The database failed for a reason that is not in the rows, such as memory.

    Privacy:
        Identifiers, unmapped columns and columns not approved are not loaded. Households that object are dropped at
        every load (R5, R97 of the requirements). No message holds a value of a row.
    """
    if len(run_key) != RUN_KEY_SIZE:
        raise ValueError(f"a run key has {RUN_KEY_SIZE} bytes, not {len(run_key)}")
    layout = _layout(mapping, dataset, columns, directory)
    try:
        return _load(
            layout,
            period,
            run_key,
            threads=threads,
            memory_limit_mib=memory_limit_mib,
            databases=databases or Databases(),
        )
    except duckdb.Error:
        if databases is not None:
            databases.close()
        # The database's own words may quote a row, so neither its message nor its traceback is kept.
        raise InternalError(
            f"The extract {layout.source.name} could not be loaded into memory.",
            remedy=f"Check that the node may use {memory_limit_mib} MiB of memory, and report it if it may.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Which text column of the extract feeds which column of the schema."""

    source: TextSource
    dataset: Dataset
    mapping: ExtractMapping
    columns: tuple[str, ...]
    places: Mapping[str, int] = field(default_factory=dict)

    def raw(self, name: str) -> str | None:
        """Name of the text column behind a mapped column; None when it is not mapped."""
        return None if name not in self.places else raw_name(self.places[name])

    def mapped(self, name: str) -> ColumnMapping:
        """The mapping behind a column, which for a derived one is its source's."""
        return self.mapping.columns[self.dataset.column(name).derived_from or name]


def _layout(mapping: ExtractMapping, dataset: Dataset, columns: Iterable[str], directory: Path) -> _Layout:
    if mapping.dataset != dataset.name:
        raise FileProblem(f"The mapping is for the data set '{mapping.dataset}', not for '{dataset.name}'.")
    wanted = tuple(sorted(set(columns)))
    source = open_source(mapping, directory)
    places = {name: source.headings.position(_source(mapping, dataset, name).source) for name in wanted}
    for name in (dataset.unit_column, CASE_KEY, OPTED_OUT):
        if name in mapping.columns:
            places[name] = source.headings.position(mapping.columns[name].source)
    return _Layout(source=source, dataset=dataset, mapping=mapping, columns=wanted, places=places)


def _source(mapping: ExtractMapping, dataset: Dataset, name: str) -> ColumnMapping:
    column = dataset.column(name)
    if column.type is ColumnType.KEY:
        raise FileProblem(f"Column '{name}' identifies people and is never read as a value.", remedy="Leave it out.")
    found = mapping.columns.get(column.derived_from or name)
    if found is None:
        raise FileProblem(
            f"The mapping of '{dataset.name}' has no column '{column.derived_from or name}', which the question reads.",
            remedy="Add it to the mapping file, or refuse the question.",
        )
    return found


def _load(
    layout: _Layout,
    period: Period | None,
    run_key: bytes,
    *,
    threads: int,
    memory_limit_mib: int,
    databases: Databases,
) -> Extract:
    with layout.source.reading(_wanted(layout, period)) as rows, ExitStack() as unless_kept:
        connection = databases.lend(
            threads=min(threads, 1 + rows.size // BYTES_PER_THREAD),
            memory_limit_mib=memory_limit_mib,
            readable=rows.readable,
            passing=rows.passing,
        )
        unless_kept.callback(connection.close)
        _fill(connection, layout, run_key, rows.batches(connection))
        unreadable = rows.unreadable(connection)
        dropped = _drop_objecting(connection)
        report = _report(connection, layout, rows.encoding, unreadable=unreadable, dropped=dropped)
        unless_kept.pop_all()
    return Extract(
        dataset=layout.dataset,
        columns=frozenset(layout.columns),
        has_case_reference=layout.raw(CASE_KEY) is not None,
        report=report,
        connection=connection,
    )


def _wanted(layout: _Layout, period: Period | None) -> Wanted:
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


def _fill(connection: duckdb.DuckDBPyConnection, layout: _Layout, run_key: bytes, batches: Iterator[Select]) -> None:
    """Make the table of rows, batch by batch."""
    raw = [raw_name(place) for place in sorted(set(layout.places.values()))]
    read = {name: _read_column(name, layout) for name in layout.columns}
    parsed = [item.parsed.alias(_PARSED + name) for name, item in read.items()]
    for number, batch in enumerate(batches):
        rows = (
            batch.select(*(text_of(name).alias(name) for name in raw))
            .where(coalesce(*map(col, raw)).is_not_null())
            .select(*map(col, raw), *parsed)
            .select(*_references(layout, run_key), *chain.from_iterable(map(_marked, read, read.values())))
        )
        if number == 0:
            rows.store(connection, ROWS)
        else:
            rows.append(connection, ROWS)


def _read_column(name: str, layout: _Layout) -> CanonicalColumn:
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
    found = [read.value.alias(name), read.unread.alias(_UNREAD + name)]
    return found if read.outside is None else [*found, read.outside.alias(_OUTSIDE + name)]


def _references(layout: _Layout, run_key: bytes) -> list[Expression]:
    """Pseudonyms of household and case, whether the row names its household, and whether that household objects."""
    case, unit = ([col(raw)] if (raw := layout.raw(name)) else [] for name in (CASE_KEY, layout.dataset.unit_column))
    own = fn("uuid").cast("VARCHAR")
    found = [
        pseudonym(run_key, *unit, *case, own).alias(HOUSEHOLD),
        coalesce(*(text.is_null() for text in unit), lit(value=True)).alias(_NO_KEY),
        _objecting(layout).alias(_OBJECTS),
    ]
    if case:
        # Only ever compared between rows that agree in everything else, so a short hash is enough.
        found.append(fn("hash", coalesce(fn("||", lit(run_key.hex()), case[0]), own)).alias(CASE_REFERENCE))
    return found


def _objecting(layout: _Layout) -> Expression:
    raw = layout.raw(OPTED_OUT)
    if raw is None:
        return lit(value=False)
    return objects(layout.dataset.column(OPTED_OUT), layout.mapped(OPTED_OUT), text=raw, dataset=layout.dataset)


def _report(
    connection: duckdb.DuckDBPyConnection, layout: _Layout, encoding: str, *, unreadable: int, dropped: int
) -> LoadReport:
    marks = [_NO_KEY, *(_UNREAD + name for name in layout.columns)]
    marks += [_OUTSIDE + name for name in layout.columns if layout.dataset.column(name).type is ColumnType.INTEGER]
    sums = [count_all().where(col(name)).alias(name) for name in marks]
    rows = from_table(ROWS, tuple(marks)).group_by((), count_all().alias("total"), *sums)
    total, *counted = rows.run(connection).fetchall()[0]
    counts = dict(zip(marks, counted, strict=True))
    categories = {name for name in layout.columns if layout.dataset.column(name).type is ColumnType.CATEGORY}
    return LoadReport(
        rows_read=total + dropped,
        rows_opted_out=dropped,
        rows_unreadable=unreadable,
        rows_without_key=counts[_NO_KEY],
        unknown_codes={name: counts[_UNREAD + name] for name in layout.columns if name in categories},
        unreadable={name: counts[_UNREAD + name] for name in layout.columns if name not in categories},
        outside_bounds={name: counts[_OUTSIDE + name] for name in layout.columns if _OUTSIDE + name in counts},
        opt_out_known=layout.raw(OPTED_OUT) is not None,
        encoding=encoding,
    )


def _drop_objecting(connection: duckdb.DuckDBPyConnection) -> int:
    """Drop every row of a household of which any row objects (R5, R97): read again at every run, never cached."""
    dropped = connection.execute(
        f'DELETE FROM {ROWS} WHERE "{HOUSEHOLD}" IN (SELECT "{HOUSEHOLD}" FROM {ROWS} WHERE "{_OBJECTS}")'  # noqa: S608 - names of this project only
    ).fetchone()
    return 0 if dropped is None else int(dropped[0])
