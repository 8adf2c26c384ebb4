"""The outside of an XML extract: its outermost element, its namespaces and its paths. No case is looked at for them.

The element names of the statutory return are not public, so paths come from the mapping file. Documents of our own
synthetic form (`synthetic_return.xsd`) are checked against that form's paths.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, Final

from lxml import etree

from council_node.sources.regular_file import open_regular
from federated.errors import FileProblem

__all__ = ["PARSER_OPTIONS", "SYNTHETIC_NAMESPACE", "XmlHead", "read_head", "synthetic_paths", "utf8_blocks"]

SYNTHETIC_NAMESPACE: Final = "urn:council-federation:synthetic-return:1"
HEAD_BYTES: Final = 1024 * 1024
"""The outermost element and the first case must begin within this."""
TAIL_BYTES: Final = 4096
BLOCK_BYTES: Final = 1024 * 1024
_UP_TO_A_TAG = re.compile(rb"[^>]*>|[^>]+\Z")
_XSD: Final = "{http://www.w3.org/2001/XMLSchema}element"
_ENCODINGS: Final = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16"})
_DECLARED = re.compile(rb"\A\s*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_AS_UTF8: Final = frozenset({"utf-8", "us-ascii", "ascii"})

PARSER_OPTIONS: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
    "remove_blank_text": True,
    "collect_ids": False,
}
"""Nothing is fetched, nothing is expanded, and the library's own limits on depth and length stay on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlHead:
    """What the beginning of a document shows.

    Attributes:
        encoding: Python's name of its encoding.
        namespace: Namespace of the outermost element; empty when it has none.
        declarations: Namespaces that a case may use without declaring them: prefix and name.
        record: Name of the element of one case, as it is written; None when the document holds none.
    """

    encoding: str
    namespace: str
    declarations: tuple[tuple[str, str], ...]
    record: str | None


@cache
def synthetic_paths(rows: str | None) -> tuple[str, ...]:
    """The paths of our own form: those of a case, and those inside its repeated element `rows`."""
    schema = etree.fromstring(files(__package__).joinpath("synthetic_return.xsd").read_bytes())
    found = []
    for element in schema.iter(_XSD):
        # From the outermost element inwards; the first two are the document and the case.
        outer = tuple(reversed(tuple(element.iterancestors(_XSD))))[2:]
        inside = "/".join(str(step.get("name")) for step in outer)
        repeated = any(step.get("maxOccurs") is not None for step in outer)
        if element.get("type") is not None and (not repeated or inside == rows):
            found.append(f"{inside}/{element.get('name')}")
    return tuple(found)


def read_head(path: Path) -> XmlHead:
    """Look at the beginning and the very end of a document.

    Raises:
        FileProblem: It cannot be read, is no XML, declares a document type, or was cut off.
    """
    try:
        with open_regular(path) as file:
            start = file.read(HEAD_BYTES)
            file.seek(-min(TAIL_BYTES, path.stat().st_size), 2)
            tail = file.read(TAIL_BYTES)
    except OSError as error:
        raise FileProblem(
            f"The extract {path} cannot be read: {error.strerror}.", remedy="Check its name and permissions."
        ) from error
    outermost, first = _first_elements(start, path)
    tag = _as_written(outermost)
    # In UTF-16 every other byte of a tag is zero.
    if first is not None and f"</{tag}".encode() not in tail.replace(b"\0", b""):
        raise FileProblem(
            f"{path} ends before its outermost element does: it was cut off.",
            remedy="Export it again, or copy it again.",
        )
    record = None if first is None else _as_written(first)
    inner = outermost if first is None else first
    return XmlHead(
        encoding=_encoding(start, path),
        namespace=etree.QName(outermost).namespace or "",
        declarations=tuple((prefix or "", name) for prefix, name in inner.nsmap.items()),
        record=record,
    )


def utf8_blocks(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    """A document's bytes as UTF-8, block by block; what is not of its encoding becomes the sign for that."""
    if encoding in _AS_UTF8:
        yield from iter(lambda: file.read(BLOCK_BYTES), b"")
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for block in iter(lambda: file.read(BLOCK_BYTES), b""):
        yield decoder.decode(block).encode("utf-8")


def _first_elements(start: bytes, path: Path) -> tuple[etree._Element, etree._Element | None]:
    """The outermost element, and the first inside it if there is one."""
    elements: list[Any] = []
    for element in _starts(start, path):
        # Looked at before anything inside the document is read: a document type is where entities are declared.
        if element.getroottree().docinfo.internalDTD is not None:
            raise FileProblem(
                f"{path} declares a document type (DOCTYPE), which is not read here.", remedy="Export it without one."
            )
        elements.append(element)
        if len(elements) > 1:
            return elements[0], elements[1]
    if len(start) >= HEAD_BYTES:
        raise FileProblem(
            f"{path}: no element begins inside the outermost one within its first MiB.",
            remedy="Export it again, with the cases first.",
        )
    return elements[0], None


def _starts(start: bytes, path: Path) -> Iterator[Any]:
    """The elements that begin in a text, one by one: none is looked at before it is asked for.

    Raises:
        FileProblem: It is not well formed as far as it was read, or holds no element.
    """
    parser = etree.XMLPullParser(events=("start",), **PARSER_OPTIONS)
    found = 0
    steps: list[Callable[[], object]] = [partial(parser.feed, tag) for tag in _UP_TO_A_TAG.findall(start)]
    if len(start) < HEAD_BYTES:
        steps.append(parser.close)
    for step in steps:
        failed = False
        try:
            step()
        except etree.XMLSyntaxError:  # its own words may quote a case
            failed = True
        for _, element in parser.read_events():
            found += 1
            yield element
        if failed or (step is steps[-1] and not found):
            raise FileProblem(f"{path} is not well-formed XML.", remedy="Export it again; look at it in an editor.")


def _as_written(element: etree._Element) -> str:
    name = etree.QName(element).localname
    return f"{element.prefix}:{name}" if element.prefix else name


def _encoding(start: bytes, path: Path) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    declared = _DECLARED.match(start.removeprefix(codecs.BOM_UTF8))
    encoding = "utf-8" if declared is None else declared[1].decode("ascii").lower()
    if encoding not in _ENCODINGS:
        raise FileProblem(f"{path} is in an encoding that is not read here.", remedy="Export it in UTF-8.")
    return encoding
