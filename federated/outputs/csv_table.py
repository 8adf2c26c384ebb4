"""A table as tidy CSV (UTF-8): one row for each cell.

Texts are written as they are, also where one begins with ``=``, ``+``, ``-`` or ``@``. A spreadsheet may take such a
text for a formula when it opens the file; but a file for programs must not change what it holds, or a band from -5 to 0
would no longer match its code. Every text comes from the signed agreement, the question or the data dictionary, none
from a case record. In the spreadsheet of the same release they are text for certain (`federated.outputs.sheet_file`).
"""

import csv
import io
from collections.abc import Iterable, Sequence

from federated.outputs.figures import Value, columns_of, number_text, rows_of
from federated.release import AxisRecord, Release, TableRecord, labels_of

__all__ = ["BOM_FREE_UTF8", "table_csv", "tidy_csv", "written_csv"]

BOM_FREE_UTF8 = "utf-8"


def table_csv(release: Release, table: TableRecord) -> str:
    """One table: codes and labels, estimate, error, interval, figure as printed, and any caveat."""
    return written_csv([column.name for column in columns_of(table)], rows_of(release, table))


def tidy_csv(
    axes: Sequence[AxisRecord],
    figures: Sequence[str],
    rows: Iterable[tuple[Sequence[str], Sequence[Value]]],
    *,
    caveat: str = "",
) -> str:
    """Cells of any table as tidy CSV: code and label along each axis, the figures, then any caveat.

    Args:
        axes: Breakdowns.
        figures: Names of the figures.
        rows: For each cell its codes and its figures.
        caveat: What must be said of the table: the last column of every row, as a file is copied without its metadata.
    """
    heads = [name for axis in axes for name in (axis.name, f"{axis.name}_label")]
    said = [caveat] if caveat else []
    return written_csv(
        [*heads, *figures, *(["caveat"] if said else [])],
        (
            (*(text for pair in zip(codes, labels_of(axes, codes), strict=True) for text in pair), *values, *said)
            for codes, values in rows
        ),
    )


def written_csv(heads: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """Rows of texts and numbers as CSV; numbers keep every digit."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(heads)
    for row in rows:
        writer.writerow([value if isinstance(value, str) else number_text(value) for value in row])
    return buffer.getvalue()
