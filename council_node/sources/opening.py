"""Opens an extract of whatever kind the mapping file says it is.

What reads other files than CSV is imported when such an extract is opened: only a council that has one waits for it.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from stat import S_ISREG
from typing import assert_never

from council_node.mapping import ExtractMapping, ExtractPlace, SourceKind
from council_node.sources.csv_source import open_csv
from council_node.sources.text_rows import TextSource
from federated.errors import FileProblem

__all__ = ["extract_date", "open_place", "open_source"]


def open_source(mapping: ExtractMapping, directory: Path) -> TextSource:
    """Find the extract of a mapping and read its headings, never a case.

    Args:
        mapping: Says where the extract is, and which headings it has.
        directory: Where a file named without a path is looked for.

    Raises:
        FileProblem: The extract is not there, or its headings are not.
    """
    return open_place(mapping, directory, [column.source for column in mapping.columns.values()])


def open_place(place: ExtractPlace, directory: Path, mapped: Sequence[str]) -> TextSource:
    """Find an extract and read its headings, never a case.

    Args:
        place: Where it is.
        directory: Where a file named without a path is looked for.
        mapped: Headings that are expected; none for an extract that is yet to be mapped.

    Raises:
        FileProblem: It is not there, or cannot be read.
    """
    kind = place.source_kind
    match kind:
        case SourceKind.CSV:
            return open_csv(_file(place, directory), place.encoding)
        case SourceKind.SPREADSHEET:
            from council_node.sources.spreadsheet import open_spreadsheet  # noqa: PLC0415 - see the top of this module

            return open_spreadsheet(_file(place, directory), place, mapped)
        case SourceKind.XML:
            from council_node.sources.xml_source import open_xml  # noqa: PLC0415 - see the top of this module

            return open_xml(_file(place, directory), place, mapped)
        case SourceKind.DATABASE:
            return _open_table(place, directory, mapped)
        case _:
            assert_never(kind)


def _open_table(place: ExtractPlace, directory: Path, mapped: Sequence[str]) -> TextSource:
    from council_node.sources.database_secret import read_secret  # noqa: PLC0415 - see the top of this module
    from council_node.sources.sql_source import open_database_table  # noqa: PLC0415 - as above

    return open_database_table(read_secret(directory / (place.database or "")), place, mapped)


def extract_date(place: ExtractPlace, directory: Path, now: datetime) -> date:
    """The day an extract is of: a file's last change; today for a database.

    Args:
        place: Where it is.
        directory: Where a file named without a path is looked for.
        now: Time, UTC.

    Raises:
        FileProblem: It is not there.
    """
    if place.file is None:
        return now.date()
    return datetime.fromtimestamp(_file(place, directory).stat().st_mtime, UTC).date()


def _file(place: ExtractPlace, directory: Path) -> Path:
    """The file of an extract, which must be one: a pipe would keep the node waiting for ever."""
    path = directory / (place.file or "")
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name cannot be that of a file"
        raise FileProblem(
            f"The extract {path} cannot be read: {reason}.", remedy="Check its name and permissions."
        ) from error
    if not S_ISREG(mode):
        raise FileProblem(f"The extract {path} is not a file.", remedy="Check 'file' in the mapping file.")
    return path
