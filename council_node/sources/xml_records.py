"""The cases of an XML document one by one, so that no case changes how another is read.

A parser that goes on after a fault reads everything after it differently, and one that stops loses the rest. So the
document is cut into its cases by their tags, as bytes, and each is parsed by itself: what is not well formed in one
case costs that case alone. A case is parsed without any document type, so no entity exists that could be expanded.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from council_node.sources.xml_head import PARSER_OPTIONS

__all__ = ["RECORD_BYTES", "Records"]

RECORD_BYTES: Final = 1024 * 1024
"""A case with more text than this is no case, as a line of a CSV file is no row."""
_BEGIN: Final = rb"<%b(?=[\s/>])"
_END: Final = rb"</%b\s*>|<%b(?:\s(?:[^<>\"'/]|/(?!>)|\"[^\"<]*+\"|'[^'<]*+')*+)?+/>"
"""An end, or a whole case that holds nothing but attributes. Possessive: no text makes the search go back."""


@dataclass(slots=True)
class Records:
    """Cuts a document into cases and parses them.

    Attributes:
        tag: Name of the element of a case, as it is written.
        declarations: Namespaces that a case may use: prefix and name.
        left_out: Cases that could not be read so far.
    """

    tag: str
    declarations: tuple[tuple[str, str], ...]
    left_out: int = 0

    def read(self, blocks: Iterable[bytes]) -> Iterator[etree._Element]:
        """The cases of a document in UTF-8. Each is valid until the next is asked for.

        How a case is read follows from its own bytes alone, never from where in a block it lies: else the cases before
        it would decide.
        """
        name = re.escape(self.tag.encode())
        begins, ends = re.compile(_BEGIN % name), re.compile(_END % (name, name))
        held, skipping = b"", False
        for block in blocks:
            held += block
            found = [end.span() for end in ends.finditer(held)]
            if found:
                last = found[-1][1]
                yield from self._parse(held[:last], [begin.start() for begin in begins.finditer(held, 0, last)], found)
                held, skipping = held[last:], False
            # Of cases that begin and do not end, the last one's end may still come.
            start = max((begin.start() for begin in begins.finditer(held)), default=None)
            if start is not None and len(held) - start <= RECORD_BYTES:
                held, skipping = held[start:], False
            else:
                # Nothing of it is needed but what may be the beginning of a tag.
                skipping = skipping or start is not None
                held = held[-len(self.tag.encode()) - 64 :]
        if skipping or begins.search(held) is not None:
            self.left_out += 1

    def _parse(self, text: bytes, begins: list[int], ends: list[tuple[int, int]]) -> Iterator[etree._Element]:
        """The cases that end in a text: together when all are well formed, else one by one."""
        after = [0, *(end for _, end in ends)]
        in_turn = len(begins) == len(ends) and all(
            before <= begin < end and end - begin <= RECORD_BYTES
            for before, begin, end in zip(after, begins, after[1:], strict=False)
        )
        if in_turn:
            together = self._elements(text[begins[0] :])
            # A fault in one case can hide another from the parser; then their number is not that of their ends.
            if together is not None and len(together) == len(ends):
                yield from together
                return
        yield from self._one_by_one(text, begins, ends)

    def _one_by_one(self, text: bytes, begins: list[int], ends: list[tuple[int, int]]) -> Iterator[etree._Element]:
        place = 0
        for first, end in ends:
            # The last beginning before an end is its own; one before it was never ended, or is none.
            at = bisect_right(begins, first) - 1
            alone = text[begins[at] : end] if at >= 0 and begins[at] >= place else b""
            place = end
            single = self._elements(_in_utf8(alone)) if 0 < len(alone) <= RECORD_BYTES else None
            if single is None or len(single) != 1:
                self.left_out += 1
            else:
                yield from single

    def _elements(self, text: bytes) -> list[etree._Element] | None:
        """The elements of that name at the top of a text; None when it is not well formed."""
        names = "".join(f' xmlns{prefix and ":"}{prefix}="{_quoted(name)}"' for prefix, name in self.declarations)
        # Parsers are not kept: one keeps every name it has met.
        parser = etree.XMLParser(encoding="utf-8", **PARSER_OPTIONS)
        try:
            whole = etree.fromstring(b"<cases%b>%b</cases>" % (names.encode(), text), parser)
        except etree.XMLSyntaxError:
            return None
        local = self.tag.rpartition(":")[2]
        return list(whole.iterchildren(f"{{*}}{local}"))


def _in_utf8(text: bytes) -> bytes:
    """A case as UTF-8; one that is not is taken as Windows-1252, as a line of a CSV file is."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace").encode("utf-8")
    return text


def _quoted(name: str) -> str:
    return name.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
