"""Days that people wait for, and the same as an iCalendar file (RFC 5545) for any calendar program."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federated.agreement import Agreement
from federated.series import Series, Standing, standings
from federated.timestamps import days
from protocols.encoding import sha256

__all__ = ["MEDIA_TYPE", "Entry", "What", "agreement_entries", "icalendar", "in_order", "series_entries"]

MEDIA_TYPE: Final = "text/calendar; charset=utf-8"
LINE_BYTES: Final = 75
"""Longest line of an iCalendar file, its end left out (RFC 5545, 3.1)."""


class What(StrEnum):
    """What a day is for."""

    DECIDE = "councils decide until"
    ANSWER = "answer promised by"
    PUBLIC = "figures become public"
    DUE = "standing question is due"
    LAPSES = "standing question lapses unless somebody reviews it"
    STATEMENTS = "budget statements grow old"
    REVIEW = "agreement to be looked at again by"
    ENDS = "agreement ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One day of the calendar.

    Attributes:
        on: The day, UTC.
        what: What it is for.
        title: Of the question, answer or agreement.
        about: What tells it from others of the same title and kind, such as a digest.
        path: Where the pages say more; empty where they do not.
    """

    on: date
    what: What
    title: str
    about: str
    path: str = ""

    @property
    def said(self) -> str:
        """In a line."""
        return f"{self.title}: {self.what.value}"


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """By day; several of one day by what they are for."""
    kinds = list(What)
    return tuple(sorted(entries, key=lambda entry: (entry.on, kinds.index(entry.what), entry.title, entry.about)))


def agreement_entries(agreement: Agreement, today: date) -> Iterator[Entry]:
    """When an agreement is to be looked at again, and when it ends."""
    path = f"/agreements/{agreement.digest.hex()}"
    for what, on in ((What.REVIEW, agreement.review_on), (What.ENDS, agreement.valid_to)):
        if on >= today:
            yield Entry(on=on, what=what, title=agreement.title, about=agreement.digest.hex(), path=path)


def series_entries(series: Series, states: Mapping[int, str], today: date, *, path: str = "") -> Iterator[Entry]:
    """When a standing question is due again, and when it lapses.

    Args:
        series: The standing question.
        states: Number of a repeat → where it stands, for those that were asked.
        today: The day, UTC.
        path: Where the pages say more.
    """
    title = series.question.title
    for item in standings(series, states, today):
        if item.standing in {Standing.WAITS, Standing.DUE}:
            repeat = item.repeat
            yield Entry(
                on=repeat.due,
                what=What.DUE,
                title=f"{title}, {days(repeat.period.start, repeat.period.end)}",
                about=f"{series.id} {repeat.period.start}",
                path=path,
            )
    if series.until >= today:
        yield Entry(on=series.until, what=What.LAPSES, title=title, about=series.id, path=path)


def icalendar(entries: Iterable[Entry], *, name: str, origin: str, now: datetime) -> bytes:
    """A calendar file; every text in it is escaped, so that no title can add an event or an alarm.

    Args:
        entries: The days.
        name: Of the calendar, for people.
        origin: Scheme, name and port of the pages; empty where there are none.
        now: When it was made, UTC.
    """
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//council-federation//calendar//EN",
        f"X-WR-CALNAME:{_escaped(name)}",
    ]
    for entry in entries:
        lines += ["BEGIN:VEVENT", f"UID:{_uid(entry)}", f"DTSTAMP:{stamp}"]
        lines += [f"DTSTART;VALUE=DATE:{entry.on:%Y%m%d}", f"DTEND;VALUE=DATE:{entry.on + timedelta(days=1):%Y%m%d}"]
        lines += [f"SUMMARY:{_escaped(entry.said)}", "TRANSP:TRANSPARENT"]
        if origin and entry.path:
            lines.append(f"URL:{origin}{entry.path}")
        lines.append("END:VEVENT")
    lines.append("END:VCALENDAR")
    return b"".join(piece for line in lines for piece in _folded(line))


def _uid(entry: Entry) -> str:
    # The same each time, so that a program which reads the file again moves the day and adds none.
    return f"{sha256(f'{entry.what.name} {entry.about}'.encode()).hex()[:32]}@council-federation"


_ESCAPES: Final = MappingProxyType(str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"}))


def _escaped(text: str) -> str:
    plain = "".join(mark for mark in text if mark == "\n" or unicodedata.category(mark)[0] != "C")
    return plain.translate(_ESCAPES)


def _folded(line: str) -> Iterator[bytes]:
    """A line in pieces of at most 75 bytes; each further piece begins with a space, which counts."""
    rest, most = line, LINE_BYTES
    start = b""
    while True:
        taken = len(rest.encode())
        cut = len(rest)
        while taken > most:
            cut -= 1
            taken -= len(rest[cut].encode())
        yield start + rest[:cut].encode() + b"\r\n"
        rest, most, start = rest[cut:], LINE_BYTES - 1, b" "
        if not rest:
            return
