"""What a sample shows of the columns that a mapping reads: whether one of them identifies people after all.

For `council-node check`. Never asked when a node decides whether to answer: that must not depend on a case
(`protocol.md` 1.3). A finding counts cells and never holds one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from council_node.mapping.form import ColumnMapping, ExtractMapping, normal_heading
from council_node.mapping.identifiers import counted_patterns, identifying_content
from council_node.mapping.survey import MOST_WORDINGS, Surveyed, survey_columns
from council_node.sources.canonical import known_wordings
from council_node.sources.opening import open_source
from federated.schema import Column, ColumnType, Dataset

__all__ = ["ContentFinding", "content_findings", "key_warning"]

_FOR_KEYS: Final = frozenset(
    {"a National Insurance number", "an NHS number", "an e-mail address", "a telephone number", "a name", "a postcode"}
)
"""What a reference should not be, although it is replaced by a random number as it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFinding:
    """Something about the content of a mapped column.

    Attributes:
        column: The schema's column.
        heading: The extract's heading.
        kind: What it holds, such as ``a postcode``.
        refuse: Whether the column must not stay mapped; otherwise it is a warning.
        sentence: What was found, in plain words.
        remedy: What to do.
    """

    column: str
    heading: str
    kind: str
    refuse: bool
    sentence: str
    remedy: str


def content_findings(
    mapping: ExtractMapping, dataset: Dataset, *, directory: Path, today: date
) -> tuple[ContentFinding, ...]:
    """Look at the first rows of every mapped column.

    Args:
        mapping: A council's mapping.
        dataset: Its data set.
        directory: Where a file named without a path is looked for.
        today: For telling dates of birth.

    Raises:
        FileProblem: The extract cannot be read.
        InternalError: The database failed.
    """
    source = open_source(mapping, directory)
    names = [normal_heading(heading) for heading in source.headings.names]
    places = {
        name: names.index(normal_heading(mapped.source))
        for name, mapped in mapping.columns.items()
        if normal_heading(mapped.source) in names
    }
    read = {item.place: item for item in survey_columns(source, tuple(sorted(set(places.values()))))}
    return tuple(
        finding
        for name, place in places.items()
        for finding in _of_column(dataset.column(name), mapping.columns[name], read[place], today)
    )


def _of_column(column: Column, mapped: ColumnMapping, item: Surveyed, today: date) -> Iterator[ContentFinding]:
    name = column.name
    known = frozenset((*known_wordings(column), *(wording.strip(" ").lower() for wording in mapped.codes)))
    shown = identifying_content(item.texts, today=today, known=lambda text: text.lower() in known)
    if column.type is ColumnType.KEY:
        sentence = key_warning(name, item.heading, shown)
        if sentence and shown:
            yield _finding(name, item, shown, sentence, "Use a reference that says nothing by itself, if there is one.")
        return
    if shown is not None:
        yield _finding(
            name,
            item,
            shown,
            f"The heading '{item.heading}', mapped to '{name}', holds what looks like {shown}.",
            "Take it out of the mapping file; it must never be read.",
            refuse=True,
        )
        return
    # A reference of ten digits has a right check digit now and then, so single ones say nothing.
    stray = {what: cells for what, cells in counted_patterns(item.texts).items() if what != "an NHS number"}
    for what, cells in stray.items():
        yield _finding(
            name,
            item,
            what,
            f"Under '{item.heading}', mapped to '{name}', {cells:,} of {len(item.texts):,} cells hold what looks like "
            f"{what}.",
            "Mend these cells in the case system. They count as not known, and their text never leaves.",
        )
    different = len(set(item.texts))
    if column.type is ColumnType.CATEGORY and different > MOST_WORDINGS:
        yield _finding(
            name,
            item,
            "free text",
            f"Under '{item.heading}', mapped to '{name}', {different:,} different texts stand in {len(item.texts):,} "
            "cells: it is hardly a list of categories.",
            "Check that this is the right heading.",
        )


def key_warning(name: str, heading: str, kind: str | None) -> str | None:
    """What to say of a reference that is itself something identifying; None when it is not."""
    if kind not in _FOR_KEYS:
        return None
    return (
        f"The reference '{name}' is taken from '{heading}', which holds what looks like {kind}. "
        "It is replaced by a random number as it is read."
    )


def _finding(
    name: str, item: Surveyed, kind: str, sentence: str, remedy: str, *, refuse: bool = False
) -> ContentFinding:
    return ContentFinding(column=name, heading=item.heading, kind=kind, refuse=refuse, sentence=sentence, remedy=remedy)
