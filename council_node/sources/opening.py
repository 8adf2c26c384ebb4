"""Opens an extract of whatever kind the mapping file says it is."""

from pathlib import Path

from council_node.mapping import ExtractMapping
from council_node.sources.csv_source import open_csv
from council_node.sources.text_rows import TextSource

__all__ = ["open_source"]


def open_source(mapping: ExtractMapping, directory: Path) -> TextSource:
    """Find an extract and read its headings, never a case.

    Args:
        mapping: Says where the extract is.
        directory: Where a file named without a path is looked for.

    Raises:
        FileProblem: The extract is not there, or its headings are not.
    """
    return open_csv(directory / mapping.file, mapping.encoding)
