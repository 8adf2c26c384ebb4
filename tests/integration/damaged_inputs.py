"""Systematically damaged inputs: how each is made, and what a node must do with it.

Every extract but those said to be otherwise holds three good rows, and `CANARY` wherever a value could leak.
"""

import io
import os
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import openpyxl

CANARY = "CANARYVALUE"
HEADINGS = ("household_key", "case_key", "assessment_date", "main_sex", "dependent_children_n", "opted_out")
HEAD = ",".join(HEADINGS).encode() + b"\r\n"
GOOD = b"".join(f"H{n},C{n},2025-01-1{n},female,2,\r\n".encode() for n in (1, 2, 3))
GOOD_ROWS = 3
LONG_LINE_BYTES = 2 * 1024**3
TEN_GIGABYTES = 10 * 10**9


class Kind(StrEnum):
    EXTRACT = "extract"
    MAPPING = "mapping"
    SETTINGS = "settings"
    POLICY = "policy"


class Fate(StrEnum):
    """What must become of an input."""

    REFUSED = "refused"
    """Said in a sentence before any round."""
    READ = "read"
    """Read; what means nothing is unknown or left out, and counted. The good rows count."""
    EITHER = "either"
    """One of the two: which is not promised."""


@dataclass(frozen=True)
class Damaged:
    name: str
    kind: Kind
    fate: Fate
    build: Callable[[Path], object]
    good_rows: int = GOOD_ROWS
    file: str = "extract.csv"
    """Name of the extract."""


def mapping_text(file: str, headings: tuple[str, ...] = HEADINGS, more: str = "") -> str:
    columns = "".join(f"  {name}: {{from: {name}}}\n" for name in headings)
    return f"mapping: 1\ndataset: case\nfile: {file}\n{more}dates: day_first\ncolumns:\n{columns}"


def inputs() -> tuple[Damaged, ...]:
    found = (*_csv_refused(), *_csv_read(), *_workbooks(), *_documents(), *_papers())
    assert len({item.name for item in found}) == len(found)
    return found


# CSV


def _raw(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "extract.csv").write_bytes(content)


def _csv_refused() -> Iterator[Damaged]:
    made: dict[str, Callable[[Path], object]] = {
        "no file": lambda _folder: None,
        "a folder": lambda folder: (folder / "extract.csv").mkdir(),
        "a pipe": lambda folder: os.mkfifo(folder / "extract.csv"),
        "no permission": _without_permission,
        "a link to itself": lambda folder: (folder / "extract.csv").symlink_to("extract.csv"),
        "a link to nothing": lambda folder: (folder / "extract.csv").symlink_to("gone.csv"),
        "a device that never ends": lambda folder: (folder / "extract.csv").symlink_to("/dev/zero"),
        "empty": _raw(b""),
        "line ends alone": _raw(b"\r\n\r\n\r\n"),
        "a mark alone": _raw(b"\xef\xbb\xbf"),
        "UTF-16, little end first": _raw((HEAD + GOOD).decode().encode("utf-16")),
        "UTF-16, big end first": _raw(b"\xfe\xff" + (HEAD + GOOD).decode().encode("utf-16-be")),
        "UTF-16 without a mark": _raw((HEAD + GOOD).decode().encode("utf-16-le")),
        "UTF-32": _raw((HEAD + GOOD).decode().encode("utf-32")),
        "commas for headings": _raw(b",,,,,\r\n" + GOOD),
        "a title above": _raw(b"Homeless cases of the quarter\r\n" + HEAD + GOOD),
        "headings that never end": _raw(b'"' + HEAD + GOOD),
        "headings of two megabytes": _raw(b"x" * 2_000_000 + b"," + HEAD + GOOD),
        "ten thousand headings": _raw(b",".join(b"h%d" % n for n in range(10_000)) + b"," + HEAD + GOOD),
        "a heading twice": _raw(HEAD.replace(b"main_sex", b"case_key") + GOOD),
        "a heading misspelt": _raw(HEAD.replace(b"main_sex", b"mian_sex") + GOOD),
        "rows without headings": _raw(GOOD + CANARY.encode() + b",,,,,\r\n"),
        "a compressed file": _raw(b"\x1f\x8b\x08\x00" + random.Random(5000).randbytes(5000)),
        "a workbook by another name": _raw(b"PK\x03\x04" + random.Random(5000).randbytes(5000)),
        "a picture": _raw(b"\x89PNG\r\n\x1a\n" + random.Random(5000).randbytes(5000)),
        "zero bytes": _raw(bytes(100_000)),
        "other delimiters": _raw((HEAD + GOOD).replace(b",", b"^")),
    }
    for name, build in made.items():
        yield Damaged(f"CSV: {name}", Kind.EXTRACT, Fate.REFUSED, build)


def _without_permission(folder: Path) -> None:
    path = folder / "extract.csv"
    path.write_bytes(HEAD + GOOD)
    path.chmod(0)


def _row(**cells: str) -> bytes:
    values = {"household_key": CANARY, "case_key": CANARY, "assessment_date": "2025-01-15", **cells}
    return ",".join(values.get(name, "") for name in HEADINGS).encode("utf-8", "surrogatepass") + b"\r\n"


_CELLS = {
    "main_sex": {
        "a formula": f"=cmd|'/c calc {CANARY}'!A1",
        "a formula with a plus": f"+{CANARY}+1",
        "a formula with an at": f"@SUM({CANARY})",
        "a link formula": f'"=HYPERLINK(""http://{CANARY}.example"",""x"")"',
        "a statement": f"'); DROP TABLE canonical_rows; -- {CANARY}",
        "a template": f"{{{{{CANARY}}}}}${{{CANARY}}}%({CANARY})s",
        "a path": f"../../../../etc/passwd {CANARY}",
        "signs for a terminal": f"\x1b[2J\x1b]0;{CANARY}\x07",
        "a line for the log": f'"fine\r\nERROR {CANARY}"',
        "a zero byte": f"fe\x00male {CANARY}",
        "control signs": "".join(map(chr, range(1, 9))) + CANARY,
        "right to left": f"\u202e{CANARY}\u202c",
        "signs of no width": f"fe\u200bma\ufeffle {CANARY}",
        "letters of another alphabet": f"f\u0435male {CANARY}",
        "a thousand accents": "e" + "\u0301" * 1000 + CANARY,
        "half a pair": f"\ud800{CANARY}",
        "signs beyond the first plane": f"\U0001f3e0\U0010ffff{CANARY}",
        "a field of three megabytes": CANARY * 300_000,
        "a field just short of a megabyte": CANARY * 90_000,
    },
    "dependent_children_n": {
        "1e308": "1e308",
        "-1e308": "-1e308",
        "beyond all numbers": "1e400",
        "not a number": "nan",
        "infinity": "-inf",
        "sixty digits": "9" * 60,
        "a hexadecimal number": "0x7fffffff",
        "digits of another script": "\u0663",
        "a fraction": "2.5",
        "words": CANARY,
    },
    "assessment_date": {
        "the 30th of February": "30/02/2025",
        "the 0th": "00/00/0000",
        "month and day exchanged": "12/31/2025",
        "the year 9999": "31/12/9999",
        "the year 290000": "290000-01-01",
        "a year before Christ": "-0044-03-15",
        "serial 0": "0",
        "serial -1": "-1",
        "serial beyond the calendar": "2958466",
        "serial beyond all numbers": "1e308",
        "a word that some read as a day": "epoch",
        "words": CANARY,
    },
    "opted_out": {"words": CANARY, "a number": "2"},
    "household_key": {"a megabyte": f'"{CANARY * 80_000}"', "a quotation mark": f'"{CANARY}""'},
}


def _csv_read() -> Iterator[Damaged]:
    for column, cells in _CELLS.items():
        for name, cell in cells.items():
            content = HEAD + GOOD + _row(**{column: cell})
            yield Damaged(f"CSV: {column}: {name}", Kind.EXTRACT, Fate.READ, _raw(content))
    canary = CANARY.encode()
    made: dict[str, bytes] = {
        "headings alone": HEAD,
        "headings without a line end": HEAD.strip(),
        "cut off in a row": HEAD + GOOD + canary,
        "cut off in a sign": HEAD + GOOD + canary + b"\xc3",
        "cut off between quotation marks": HEAD + GOOD + b'"' + canary,
        "a quotation mark that opens the first row": HEAD + b'"' + canary + b",C9\r\n" + GOOD,
        "a quotation mark in each row": HEAD + GOOD + (b'"' + canary + b",C9,\r\n") * 1000,
        "quotation marks alone": HEAD + GOOD + b'"' * 500_001 + b"\r\n",
        "quotation marks by the pair": HEAD + GOOD + b'"' * 500_000 + b"\r\n",
        "a row of one cell": HEAD + GOOD + canary + b"\r\n",
        "a row of a thousand cells": HEAD + GOOD + (canary + b",") * 1000 + b"\r\n",
        "a row of a hundred thousand commas": HEAD + GOOD + b"," * 100_000 + b"\r\n",
        "every kind of line end": HEAD
        + GOOD.replace(b"\r\n", b"\n", 1).replace(b"\r\n", b"\r", 1)
        + canary
        + b"\n\r\n\r",
        "a hundred thousand blank lines": HEAD + b"\r\n" * 100_000 + GOOD,
        "rows of blanks": HEAD + b" , , , , , \r\n" * 1000 + GOOD,
        "a mark in the middle": HEAD + GOOD + b"\xef\xbb\xbf" + canary + b",,,,,\r\n",
        "two marks": b"\xef\xbb\xbf" + HEAD + b"\xef\xbb\xbf" + canary + b",,,,,\r\n" + GOOD,
        "Windows-1252": HEAD + GOOD + b"Jos\xe9 \x96 " + canary + b",,,,,\r\n",
        "bytes that mean nothing": HEAD + GOOD + b"\x81\x8d\x8f\x90\x9d\xff" + canary + b",,,,,\r\n",
        "an overlong sign": HEAD + GOOD + b"\xc0\xaf\xe0\x80\xaf" + canary + b",,,,,\r\n",
        "zero bytes between rows": HEAD + GOOD + bytes(100_000) + b"\r\n" + canary + b",,,,,\r\n",
        "a line of two megabytes": HEAD + GOOD + canary + b"x" * 2_000_000 + b"\r\n",
        "two megabytes between quotation marks": HEAD + GOOD + b'"' + (canary + b"\r\n") * 150_000 + b'"\r\n',
        "the headings again and again": HEAD + (HEAD + b"") * 100 + GOOD,
        "the same row a thousand times": HEAD + GOOD + GOOD[:28] * 1000,
        "tabs": (HEAD + GOOD).replace(b",", b"\t"),
    }
    for name, content in made.items():
        good = 0 if name.startswith("headings") else GOOD_ROWS
        yield Damaged(f"CSV: {name}", Kind.EXTRACT, Fate.READ, _raw(content), good_rows=good)
    yield long_line(LONG_LINE_BYTES)


def long_line(size: int) -> Damaged:
    """A line of that many bytes, which take no room on the disk, and a good row after it."""

    def build(folder: Path) -> None:
        with (folder / "extract.csv").open("wb") as file:
            file.write(HEAD + GOOD + CANARY.encode())
            file.seek(size)
            file.write(b"\r\n" + GOOD.replace(b"H", b"K"))

    return Damaged(f"CSV: a line of {size // 10**9} gigabytes", Kind.EXTRACT, Fate.READ, build, good_rows=2 * GOOD_ROWS)


# Spreadsheets


def _workbook(*rows: tuple[object, ...], sheets: int = 1, head: bool = True) -> bytes:
    book = openpyxl.Workbook()
    for number in range(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        if head:
            sheet.append(HEADINGS)
        for row in rows:
            sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


GOOD_CELLS = tuple((f"H{n}", f"C{n}", f"2025-01-1{n}", "female", 2, None) for n in (1, 2, 3))
_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "'
    + CANARY
    + '">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefghi", "bcdefghij", strict=True))
    + "]>"
)
_EXTERNAL = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/hostname">]>'


def _member(content: bytes, name: str, change: Callable[[bytes], bytes | None]) -> bytes:
    """A workbook with one of its files changed, or taken out."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            body = change(old.read(member)) if member == name else old.read(member)
            if body is not None:
                new.writestr(member, body)
    return written.getvalue()


def _bomb(folder: Path, name: str, member: str, megabytes: int) -> None:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for file in ("[Content_Types].xml", "xl/workbook.xml", "mimetype"):
            made.writestr(file, "<x/>")
        with made.open(member, "w", force_zip64=True) as body:
            for _ in range(megabytes):
                body.write(b" " * 1_000_000)


SHEET = "xl/worksheets/sheet1.xml"


def _workbooks() -> Iterator[Damaged]:
    good = _workbook(*GOOD_CELLS)
    refused: dict[str, tuple[str, bytes]] = {
        "XLSX: empty": ("x.xlsx", b""),
        "XLSX: not a workbook": ("x.xlsx", random.Random(5000).randbytes(5000)),
        "XLSX: text by another name": ("x.xlsx", HEAD + GOOD),
        "XLSX: cut off": ("x.xlsx", good[: len(good) // 2]),
        "XLSX: its end missing": ("x.xlsx", good[:-30]),
        "XLSX: without its list of sheets": ("x.xlsx", _member(good, "xl/workbook.xml", lambda _: None)),
        "XLSX: without its sheet": ("x.xlsx", _member(good, SHEET, lambda _: None)),
        "XLSX: no headings": ("x.xlsx", _workbook((CANARY,), head=False)),
        "XLSX: no rows at all": ("x.xlsx", _workbook(head=False)),
        "XLSX: two sheets that fit": ("x.xlsx", _workbook(*GOOD_CELLS, sheets=2)),
        "XLSX: under a password": ("x.xlsx", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(5000)),
        "XLS: not a workbook": ("x.xls", b"<html><table><tr><td>" + CANARY.encode() + b"</td></tr></table></html>"),
        "XLS: cut off": ("x.xls", bytes.fromhex("d0cf11e0a1b11ae1") + random.Random(1000).randbytes(1000)),
        "XLS: sectors in a circle": ("x.xls", _circle()),
        "ODS: empty": ("x.ods", b""),
        "ODS: cut off": ("x.ods", b"PK\x03\x04" + random.Random(100).randbytes(100)),
    }
    for name, (file, content) in refused.items():
        yield Damaged(name, Kind.EXTRACT, Fate.REFUSED, _written(file, content), file=file)
    for name, file, member in (("XLSX: a bomb", "x.xlsx", SHEET), ("ODS: a bomb", "x.ods", "content.xml")):
        build = _bomb_of(file, member)
        yield Damaged(name, Kind.EXTRACT, Fate.REFUSED, build, file=file)
    either = {
        "XLSX: entities within entities": _member(
            good, SHEET, lambda body: (_LAUGHS + "<worksheet>&j;</worksheet>").encode()
        ),
        "XLSX: an outside entity": _member(
            good, SHEET, lambda body: (_EXTERNAL + "<worksheet>&j;</worksheet>").encode()
        ),
        "XLSX: a sheet cut off": _member(good, SHEET, lambda body: body[: len(body) // 2]),
        "XLSX: a bit turned": bytes(byte ^ (0x40 if place == len(good) // 3 else 0) for place, byte in enumerate(good)),
        "XLSX: shared texts missing": _member(good, "xl/sharedStrings.xml", lambda _: None),
    }
    for name, content in either.items():
        yield Damaged(name, Kind.EXTRACT, Fate.EITHER, _written("x.xlsx", content), file="x.xlsx")
    day = 45_672
    cells: dict[str, tuple[object, ...]] = {
        "formulas": (CANARY, "=1+1", f"=HYPERLINK({CANARY!r})", "=cmd|' /c calc'!A1", "+1", "@x"),
        "errors": (CANARY, "C9", "#REF!", "#DIV/0!", "#VALUE!", "#N/A"),
        "serials out of range": (CANARY, "C9", 3_000_000, -5, 1e308, None),
        "yes and no": (CANARY, True, False, True, True, False),
        "numbers for everything": (1e308, -1e308, day, 4e-308, 2.0, 0.1),
        "texts of thirty thousand signs": (CANARY * 2900, CANARY * 2900, CANARY, CANARY, CANARY, CANARY),
    }
    for name, row in cells.items():
        content = _workbook(*GOOD_CELLS, row)
        yield Damaged(f"XLSX: {name}", Kind.EXTRACT, Fate.READ, _written("x.xlsx", content), file="x.xlsx")


def _written(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(content)


def _bomb_of(file: str, member: str) -> Callable[[Path], object]:
    return lambda folder: _bomb(folder, file, member, megabytes=700)


def _circle() -> bytes:
    """An old workbook whose chain of sectors never ends."""
    header = bytearray(512)
    header[:8] = bytes.fromhex("d0cf11e0a1b11ae1")
    struct.pack_into("<HHHHH", header, 24, 0x3E, 3, 0xFFFE, 9, 6)
    struct.pack_into("<IIIIIIIII", header, 44, 1, 1, 0, 0x1000, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0)
    return bytes(header) + struct.pack("<128I", *([0] * 128)) + bytes(512 * 4)


# XML


def _documents() -> Iterator[Damaged]:
    cells = tuple(zip(HEADINGS, ("{0}", "{0}", "2025-01-15", "female", "2", ""), strict=True))

    def case(key: str, **changed: str) -> str:
        return "<case>" + "".join(f"<{n}>{changed.get(n, v.format(key))}</{n}>" for n, v in cells) + "</case>"

    good = "".join(case(f"K{n}") for n in (1, 2, 3))
    refused: dict[str, str | bytes] = {
        "empty": "",
        "text by another name": (HEAD + GOOD).decode(),
        "entities within entities": _LAUGHS + f"<r>{good}{case('&j;')}</r>",
        "an entity of a megabyte, a thousand times": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "'
        + "x" * 1_000_000
        + f'">]><r>{good}{"<case>" + "&a;" * 1000 + "</case>"}</r>',
        "an outside entity": _EXTERNAL + f"<r>{good}{case('&j;')}</r>",
        "an outside document type": f'<?xml version="1.0"?><!DOCTYPE r SYSTEM "http://127.0.0.1:1/x.dtd"><r>{good}</r>',
        "cut off in the first case": "<r><case><household_key>" + CANARY,
        "cut off later": f"<r>{good}" * 1 + case(CANARY)[:60],
        "an encoding that is none": '<?xml version="1.0" encoding="none-such"?>' + f"<r>{good}</r>",
        "depth without end": "<r>" + "<case>" * 200_000,
        "a first element of twenty megabytes": "<r><" + "x" * 20_000_000 + "/></r>",
        "zero bytes": bytes(100_000),
    }
    for name, text in refused.items():
        content = text if isinstance(text, bytes) else text.encode()
        yield Damaged(f"XML: {name}", Kind.EXTRACT, Fate.REFUSED, _written("x.xml", content), file="x.xml")
    read = {
        "a name that is not closed": f"<r>{good}<case><household_key>{CANARY}</case></r>",
        "control signs": f"<r>{good}{case(CANARY + chr(1))}</r>",
        "a case of five megabytes": f"<r>{good}{case(CANARY * 450_000)}</r>",
        "a case of a million elements": f"<r>{good}<case>{'<x/>' * 1_000_000}</case></r>",
        "depth in a case": f"<r>{good}<case>{'<a>' * 5000}{CANARY}{'</a>' * 5000}</case></r>",
        "a formula": f"<r>{good}{case(CANARY, main_sex='=1+1')}</r>",
        "marked sections": f"<r>{good}{case(CANARY, main_sex=f'<![CDATA[{CANARY}]]>')}</r>",
        "a hundred thousand comments": f"<r>{good}{'<!-- x -->' * 100_000}</r>",
        "inclusions": f'<r xmlns:xi="http://www.w3.org/2001/XInclude">{good}<case><xi:include href="/etc/hostname"/></case></r>',
        "no case at all": "<r><case></case></r>",
        # Elements may be left out where they hold nothing, so one that is nowhere cannot be told from one that is empty.
        "an element that is nowhere": f"<r>{good}</r>".replace("main_sex", "other"),
        "an element twice": f"<r>{good}<case><main_sex>{CANARY}</main_sex><main_sex>{CANARY}</main_sex></case></r>",
    }
    for name, text in read.items():
        # Some of these a strict reader may take for the end of the document: then it is said before any round.
        fate = Fate.EITHER if name in {"a name that is not closed", "control signs", "depth in a case"} else Fate.READ
        good_rows = 0 if name in {"no case at all", "an element that is nowhere"} else GOOD_ROWS
        build = _written("x.xml", text.encode())
        yield Damaged(f"XML: {name}", Kind.EXTRACT, fate, build, good_rows=good_rows, file="x.xml")


# Files that people write


def _papers() -> Iterator[Damaged]:
    names = {Kind.MAPPING: "mapping.yaml", Kind.SETTINGS: "settings.yaml", Kind.POLICY: "policy.yaml"}
    first = {Kind.MAPPING: "mapping: 1\n", Kind.SETTINGS: "settings: 1\n", Kind.POLICY: "policy: 1\n"}
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    contents: dict[str, Callable[[str], bytes]] = {
        "empty": lambda _: b"",
        "not YAML": lambda start: start.encode() + b"}{][",
        "a list": lambda _: b"- one\n- two\n",
        "a text": lambda _: b"only text",
        "tabs": lambda start: start.encode() + b"\tcolumns:\n\t\tx: y\n",
        "a line twice": lambda start: (start + start).encode(),
        "an unknown setting": lambda start: start.encode() + b"no_such_setting: 1\n",
        "another version": lambda start: start.replace("1", "99").encode(),
        "names for names without end": lambda start: (start + laughs).encode(),
        "depth without end": lambda start: start.encode() + b"x: " + b"[" * 100_000,
        "an object to make": lambda start: start.encode() + b"x: !!python/object/apply:os.system ['touch made']\n",
        "not UTF-8": lambda start: start.encode() + b"x: \xff\xfe\n",
        "zero bytes": lambda start: start.encode() + bytes(1000),
        "two megabytes": lambda start: start.encode() + b"x: " + b"y" * 2_000_000,
        "two documents": lambda start: (start + "---\n" + start).encode(),
    }
    for kind, file in names.items():
        for name, content in contents.items():
            build = _written(file, content(first[kind]))
            yield Damaged(f"{kind.value}: {name}", kind, Fate.REFUSED, build)
        yield Damaged(f"{kind.value}: a folder", kind, Fate.REFUSED, lambda folder, file=file: (folder / file).mkdir())
        yield Damaged(f"{kind.value}: no file", kind, Fate.REFUSED, lambda _folder: None)
