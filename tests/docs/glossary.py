"""The glossary as a list of terms, and the terms that pages mark."""

import re

from tests.docs.pages import prose, rows


def terms(glossary: str) -> tuple[str, ...]:
    """Every term of the glossary, as written."""
    return tuple(
        part.strip()
        for cells in rows(glossary)
        if len(cells) == 2 and cells[0] not in {"Term", "---"}
        for part in cells[0].split(",")
    )


def spellings(term: str) -> frozenset[str]:
    """The ways a term is written: without what stands in brackets, and that alone."""
    inside = re.findall(r"\(([^()]+)\)", term)
    return frozenset(word.strip().lower() for word in (re.sub(r"\([^()]+\)", "", term), *inside))


def marked(text: str) -> tuple[str, ...]:
    """What a page sets in italics."""
    return tuple(re.findall(r"(?<![*\w])\*([^*\s][^*]*?)\*(?![*\w])", prose(text, keep_tables=True)))
