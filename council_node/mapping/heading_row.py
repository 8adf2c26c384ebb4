"""Whether a row of headings is one: a file without headings has its first case there, and headings are shown.

Headings stand in messages, in what programs read and in the mapping file. A case must not, so it is refused before.
"""

import re
from collections.abc import Sequence
from typing import Final

from council_node.mapping.identifiers import counted_patterns
from council_node.mapping.readable_dates import written_as
from council_node.mapping.vocabulary import Vocabulary
from council_node.sources.text_rows import Headings
from federated.errors import FileProblem

__all__ = ["check_heading_row"]

ENOUGH: Final = 2
"""Cells that look like values, beside headings that are known: one may be an odd heading."""
_LONG_NUMBER: Final = re.compile(r"\d{6}")


def check_heading_row(headings: Headings, words: Vocabulary) -> None:
    """Refuse a case in the headings' place, without a word of it.

    Args:
        headings: What stands there.
        words: What headings and wordings mean.

    Raises:
        FileProblem: Two cells look like values; where no heading is known, one is enough, or two known wordings.
    """
    cells = [name.strip() for name in headings.names if name.strip()]
    values = sum(map(_looks_like_a_value, cells))
    if values >= ENOUGH or (not _any_known(cells, words) and (values or _wordings(cells, words) >= ENOUGH)):
        raise FileProblem(
            f"{headings.where}: headings were expected, and what stands there looks like a case.",
            remedy="Export it with a row of headings; in a spreadsheet name that row with --heading-row.",
        )


def _looks_like_a_value(cell: str) -> bool:
    return written_as(cell) is not None or bool(counted_patterns([cell])) or _LONG_NUMBER.search(cell) is not None


def _any_known(cells: Sequence[str], words: Vocabulary) -> bool:
    return any(words.column_of(cell) is not None for cell in cells)


def _wordings(cells: Sequence[str], words: Vocabulary) -> int:
    return sum(map(words.knows_anywhere, cells))
