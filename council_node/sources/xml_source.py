"""An extract in XML: nested sections of a case, or one of its repeated elements, read as a stream."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lxml import etree

from council_node.mapping import ExtractPlace
from council_node.sources.regular_file import open_regular
from council_node.sources.text_rows import Headings, RowsInPython, Wanted
from council_node.sources.xml_head import (
    HEAD_BYTES,
    SYNTHETIC_NAMESPACE,
    XmlHead,
    read_head,
    synthetic_paths,
    utf8_blocks,
)
from council_node.sources.xml_records import Records
from federated.errors import FileProblem, InternalError

__all__ = ["XmlSource", "open_xml"]

BATCH_ROWS: Final = 10_000
BATCH_CHARACTERS: Final = 4 * 1024 * 1024
SAMPLED: Final = 200
"""Cases whose element names are looked at where there is no mapping yet."""

_DAY = re.compile(r"^\s*(\d{4}-\d\d-\d\d)(?:T[0-9:.]*)?(?:Z|[-+]\d\d:\d\d)?\s*$")
"""A date of XML, which may have a time and a time zone."""

Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """Cells that stand in one element.

    Attributes:
        steps: Where the element is, from the case or from the row inwards.
        inner: For each cell its place among those asked for, the element's name, and the attribute's if it is one.
    """

    steps: Steps
    inner: tuple[tuple[int, str, str], ...]


@dataclass(slots=True, kw_only=True)
class XmlRows(RowsInPython):
    """A document being read; a case that is not well formed, or far too long, is left out."""

    source: "XmlSource"

    def columns(self) -> Iterator[Sequence[Sequence[str]]]:
        """The rows as they stand in the document."""
        rows: list[list[str]] = []
        characters = 0
        for row in self._rows():
            rows.append(row)
            characters += sum(map(len, row))
            if len(rows) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                yield list(zip(*rows, strict=True))
                rows, characters = [], 0
        if rows:
            yield list(zip(*rows, strict=True))

    def _rows(self) -> Iterator[list[str]]:
        paths = [self.source.headings.names[place] for place in self.wanted.places]
        of_row, of_case = _sections(paths, self.source.rows)
        repeated = None if self.source.rows is None else tuple(self.source.rows.split("/"))
        dates = [at for at, place in enumerate(self.wanted.places) if place in self.wanted.dates]
        for case in self._cases():
            shared = _filled([""] * len(paths), case, of_case)
            for row in [case] if repeated is None else _all(case, repeated):
                cells = _filled(shared.copy(), row, of_row)
                for at in dates:
                    cells[at] = _DAY.sub(r"\1", cells[at])
                yield cells

    def _cases(self) -> Iterator[etree._Element]:
        if self.source.record is None:
            return
        records = Records(self.source.record, self.source.head.declarations)
        try:
            with open_regular(self.source.path) as file:
                yield from records.read(utf8_blocks(file, self.encoding))
        except OSError as error:
            raise InternalError(
                f"The extract {self.source.path} could no longer be read: {error.strerror}.",
                remedy="Check whether it was moved while it was being read.",
            ) from error
        self.left_out = records.left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlSource:
    """An XML document whose outermost element was read.

    Attributes:
        path: The file.
        head: What its beginning shows.
        record: Name of the element of a case as it is written; None when there is no case.
        rows: Path of the repeated element whose occurrences are the rows; None when a case is a row.
        headings: The paths it may hold.
    """

    path: Path
    head: XmlHead
    record: str | None
    rows: str | None
    headings: Headings

    @property
    def name(self) -> str:
        """The file, and the rows that are read of it."""
        return str(self.path) if self.rows is None else f"{self.path}, rows '{self.rows}'"

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[XmlRows]:
        """Read columns of it; every row, whatever its date.

        Raises:
            FileProblem: It is no longer there.
        """
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise FileProblem(
                f"The extract {self.path} cannot be read: {error.strerror}.", remedy="Check its name and permissions."
            ) from error
        yield XmlRows(source=self, wanted=wanted, size=size, encoding=self.head.encoding)


def open_xml(path: Path, place: ExtractPlace, mapped: Sequence[str]) -> XmlSource:
    """Look at the beginning of an XML document.

    Args:
        path: The document.
        place: May name the element of a case, and a repeated one inside it.
        mapped: Paths of the mapping; without any, those of the first cases are found.

    Raises:
        FileProblem: It cannot be read, is no XML, or declares a document type.
    """
    head = read_head(path)
    record = place.record or head.record
    if head.namespace == SYNTHETIC_NAMESPACE:
        names = synthetic_paths(place.rows)
        where = f"{path}: in the synthetic form of the return"
        if place.rows is not None and not any(name.startswith(f"{place.rows}/") for name in names):
            raise FileProblem(
                f"{where}: there is no repeated element '{place.rows}'.", remedy="Check 'rows' in the mapping file."
            )
    else:
        names = tuple(dict.fromkeys(mapped)) or tuple(_sampled_paths(path, head, record))
        where = str(path)
    return XmlSource(path=path, head=head, record=record, rows=place.rows, headings=Headings(where=where, names=names))


def _sections(paths: Sequence[str], rows: str | None) -> tuple[tuple[_Section, ...], tuple[_Section, ...]]:
    """Cells by the element they stand in: those inside the repeated element, and those of the case."""
    grouped: dict[tuple[bool, Steps], list[tuple[int, str, str]]] = defaultdict(list)
    for place, path in enumerate(paths):
        inside = rows is not None and path.startswith(f"{rows}/")
        element, _, attribute = path.removeprefix(f"{rows}/" if inside else "").partition("@")
        *steps, name = element.rstrip("/").split("/")
        grouped[inside, tuple(steps)].append((place, name, attribute))
    of_row, of_case = (
        tuple(_Section(steps, tuple(inner)) for (inside, steps), inner in grouped.items() if inside is wanted)
        for wanted in (True, False)
    )
    return of_row, of_case


def _filled(cells: list[str], element: etree._Element, sections: Sequence[_Section]) -> list[str]:
    for section in sections:
        outer: etree._Element | None = element
        for step in section.steps:
            outer = None if outer is None else next(outer.iterchildren(f"{{*}}{step}"), None)
        if outer is None:
            continue
        for place, name, attribute in section.inner:
            found = next(outer.iterchildren(f"{{*}}{name}"), None) if name else outer
            if found is not None:
                cells[place] = (found.get(attribute) if attribute else found.text) or ""
    return cells


def _all(element: etree._Element, steps: Steps) -> Iterator[etree._Element]:
    """Every element at a path."""
    if not steps:
        yield element
        return
    for inner in element.iterchildren(f"{{*}}{steps[0]}"):
        yield from _all(inner, steps[1:])


def _sampled_paths(path: Path, head: XmlHead, record: str | None) -> Iterator[str]:
    """Paths of the elements that hold text in the first cases, each once: names of elements alone."""
    if record is None:
        return
    found: dict[str, None] = {}
    with open_regular(path) as file:
        start = file.read(HEAD_BYTES)
    for _, case in zip(range(SAMPLED), Records(record, head.declarations).read([start]), strict=False):
        for leaf in case.iterdescendants("{*}*"):
            if len(leaf) == 0:
                outer = [etree.QName(step).localname for step in leaf.iterancestors()][::-1]
                found.setdefault("/".join([*outer[2:], etree.QName(leaf).localname]))
    yield from found
