"""An extract in memory: the approved columns of a question in a locked-down DuckDB, and what reading them showed.

The database is in memory and never on disk: it spills nowhere, keeps nothing, loads no extension, and can open no file
but the extracts it was made for. Rows live for one question (`protocol.md` 1.3: data is read after the charge);
the empty engine may be kept for the next (`council_node.sources.databases`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import duckdb

from council_node.selects import Select, from_table
from federated.errors import InternalError
from federated.schema import Dataset

__all__ = [
    "CASE_REFERENCE",
    "HOUSEHOLD",
    "ROWS",
    "WHOLE",
    "Extract",
    "ExtractTooLarge",
    "LoadReport",
    "Part",
    "open_database",
    "without_its_words",
]

ROWS: Final = "canonical_rows"
"""Name of the table of an extract."""
HOUSEHOLD: Final = "!household"
"""Column of the run-local pseudonym of the privacy unit; no column of a schema has such a name."""
CASE_REFERENCE: Final = "!case"
"""Column of the run-local pseudonym of the case reference, where there is one."""

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What reading an extract showed: counts by column, for the council's own eyes. It never leaves the council.

    Attributes:
        rows_read: Rows with anything in them, opted-out rows included.
        rows_opted_out: Rows of households that object, dropped.
        rows_unreadable: Lines that are not rows (too long, or broken characters), left out; at most 10,000 counted.
        rows_without_key: Rows with no reference of their household, each counted as a household of its own or of
            its case.
        unknown_codes: Category columns: rows whose wording is neither blank nor known, taken as `not_known`.
        unreadable: Date and number columns: rows that are not blank and cannot be read, taken as unknown.
        outside_bounds: Number columns: rows beyond the schema's bounds, taken as the bound.
        rows_without_case: Rows of another table whose case is not in the case table, each counted as a household of
            its case.
        opt_out_known: Whether the mapping, of this table or of the case table, says who is opted out.
        encoding: How the file was read, ``utf-8``, or ``cp1252`` for at least the lines that are not UTF-8.
    """

    rows_read: int
    rows_opted_out: int = 0
    rows_unreadable: int = 0
    rows_without_key: int = 0
    unknown_codes: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    unreadable: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    outside_bounds: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    rows_without_case: int = 0
    opt_out_known: bool = True
    encoding: str = "utf-8"

    def plus(self, other: Self) -> Self:
        """The report of two parts of the households; lines that are no rows were met in both."""
        return replace(
            self,
            rows_read=self.rows_read + other.rows_read,
            rows_opted_out=self.rows_opted_out + other.rows_opted_out,
            rows_without_key=self.rows_without_key + other.rows_without_key,
            unknown_codes=_added(self.unknown_codes, other.unknown_codes),
            unreadable=_added(self.unreadable, other.unreadable),
            outside_bounds=_added(self.outside_bounds, other.outside_bounds),
            rows_without_case=self.rows_without_case + other.rows_without_case,
        )

    def warnings(self) -> tuple[str, ...]:
        """Plain sentences about what a council may want to mend; none is a reason to refuse."""
        found = []
        if not self.opt_out_known:
            found.append("The mapping has no column 'opted_out', so no objection could be honoured.")
        if self.rows_without_key:
            found.append(
                f"{self.rows_without_key:,} rows have no household reference: "
                "repeat applications among them count as separate households."
            )
        if self.rows_without_case:
            found.append(
                f"{self.rows_without_case:,} rows name a case that is not in the case table, or none: "
                "each such case counts as a household of its own."
            )
        if self.rows_unreadable:
            found.append(f"{self.rows_unreadable:,} lines could not be read as rows and are left out.")
        found += _by_column(self.unknown_codes, "hold wording that the mapping does not know, taken as not known")
        found += _by_column(self.unreadable, "cannot be read, taken as not known")
        found += _by_column(self.outside_bounds, "lie outside the schema's bounds, taken as the bound")
        return tuple(found)


def _added(some: Mapping[str, int], more: Mapping[str, int]) -> Mapping[str, int]:
    return {name: count + more[name] for name, count in some.items()}


def _by_column(counts: Mapping[str, int], problem: str) -> list[str]:
    return [f"Column '{name}': {count:,} rows {problem}." for name, count in counts.items() if count]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the households: what does not fit into memory at once is read and counted part by part.

    Which part a household is in follows from its own reference alone, and all its rows are in that part.

    Attributes:
        number: From 0 to `of` - 1.
        of: How many parts there are.
    """

    number: int = 0
    of: int = 1


WHOLE: Final = Part()


class ExtractTooLarge(InternalError):
    """The rows, or what is counted of them, do not fit into the memory that the node may use."""


@contextmanager
def without_its_words(message: str, *, remedy: str = "") -> Iterator[None]:
    """Turn a failure of the database into a sentence of ours.

    Privacy:
        The database's own words may quote a row, so neither its message nor its traceback is kept.

    Raises:
        ExtractTooLarge: It needs more memory than it may use.
        InternalError: It failed for another reason.
    """
    try:
        yield
    except duckdb.Error as error:
        fault = ExtractTooLarge if isinstance(error, duckdb.OutOfMemoryException) else InternalError
        raise fault(message, remedy=remedy) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """The approved columns of an extract, ready for step 4. A context manager: leaving it forgets the rows.

    The table holds, per row, the household's pseudonym and the approved columns: for a category the position of its
    code in the schema's list (never null: unknown is `not_known`), a date, or a whole number (null when unknown).

    Attributes:
        dataset: Its data dictionary.
        columns: The approved columns it holds.
        has_case_reference: Whether rows that agree in case and in every column are one row written twice.
        report: What reading it showed.
        connection: The database.
    """

    dataset: Dataset
    columns: frozenset[str]
    has_case_reference: bool
    report: LoadReport
    connection: duckdb.DuckDBPyConnection = field(repr=False)

    def rows(self) -> Select:
        """The rows, as a query to build on."""
        references = (HOUSEHOLD, CASE_REFERENCE) if self.has_case_reference else (HOUSEHOLD,)
        return from_table(ROWS, (*references, *sorted(self.columns)))

    def close(self) -> None:
        """Forget the rows."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_database(
    *, threads: int, memory_limit_mib: int, readable: tuple[Path, ...], optimise: bool = True
) -> duckdb.DuckDBPyConnection:
    """An empty in-memory database that can read the extracts it was made for and nothing else.

    Args:
        threads: Threads of a query.
        optimise: Whether a better plan is looked for before a query runs. The rows that come are the same.
        memory_limit_mib: Most memory it may take.
        readable: The extracts that it reads itself.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": f"{memory_limit_mib}MiB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "preserve_insertion_order": False,
            # What was read of a file is not kept beside the rows.
            "enable_external_file_cache": False,
        },
    )
    if not optimise:
        names = connection.execute("SELECT string_agg(name) FROM duckdb_optimizers()").fetchone()
        connection.execute("SET disabled_optimizers = ?", names)
    # No spilling to disk: an extract is nowhere but in memory. What is too large is read part by part (ADR 0006).
    connection.execute("SET temp_directory = ''")
    if readable:
        connection.execute("SET allowed_paths = ?", [[str(path) for path in readable]])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
