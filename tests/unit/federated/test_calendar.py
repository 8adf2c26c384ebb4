"""The calendar: its order, and the file as a reader of RFC 5545 sees it."""

from datetime import UTC, date, datetime

from federated.calendar import Entry, What, agreement_entries, icalendar, in_order, series_entries
from tests.unit.federated.test_series import AGREEMENT, series

NOW = datetime(2026, 2, 1, 9, tzinfo=UTC)
HOSTILE = "Families; aged 16,17\\ – 'é' " + "lang " * 40 + "\nEND:VEVENT\r\nBEGIN:VALARM\u2028ACTION:AUDIO\x00"


def read(content):
    """Events of a calendar file, by the rules of RFC 5545: lines unfolded, then cut at the first colon, then unescaped."""
    assert content.endswith(b"\r\n")
    raw = content[:-2].split(b"\r\n")
    assert all(len(line) <= 75 for line in raw)
    for line in raw:
        line.decode()  # no character is cut in two
    lines = []
    for line in raw:
        if line.startswith(b" "):
            lines[-1] += line[1:]
        else:
            lines.append(line)
    events, stack = [], []
    for line in lines:
        name, _, value = line.decode().partition(":")
        if name == "BEGIN":
            stack.append(value)
            if value == "VEVENT":
                events.append({})
        elif name == "END":
            assert stack.pop() == value
        elif stack[-1] == "VEVENT":
            events[-1][name] = unescaped(value)
    assert stack == []
    return events


def unescaped(value):
    out, marks = [], iter(value)
    for mark in marks:
        if mark == "\\":
            following = next(marks)
            out.append("\n" if following in "nN" else following)
        else:
            out.append(mark)
    return "".join(out)


def entry(title="Families", on=date(2026, 3, 1), what=What.DECIDE, about="a1", path="/questions/a1"):
    return Entry(on=on, what=what, title=title, about=about, path=path)


def test_the_file_says_what_the_calendar_says():
    content = icalendar([entry()], name="Hub", origin="https://hub.example", now=NOW)
    [event] = read(content)
    assert event["SUMMARY"] == "Families: councils decide until"
    assert (event["DTSTART;VALUE=DATE"], event["DTEND;VALUE=DATE"]) == ("20260301", "20260302")
    assert event["URL"] == "https://hub.example/questions/a1"
    assert event["DTSTAMP"] == "20260201T090000Z"


def test_no_title_adds_an_event_an_alarm_or_a_line():
    [event] = read(icalendar([entry(HOSTILE)], name=HOSTILE, origin="", now=NOW))
    assert set(event) == {"UID", "DTSTAMP", "DTSTART;VALUE=DATE", "DTEND;VALUE=DATE", "SUMMARY", "TRANSP"}
    shown = HOSTILE.replace("\r", "").replace("\u2028", "\u2028").replace("\x00", "")
    assert event["SUMMARY"] == f"{shown}: councils decide until"


def test_a_day_that_moves_keeps_its_name_and_others_have_their_own():
    def uid(**changes):
        return read(icalendar([entry(**changes)], name="Hub", origin="", now=NOW))[0]["UID"]

    assert uid() == uid(on=date(2026, 4, 1), title="Renamed")
    assert len({uid(), uid(about="a2"), uid(what=What.ANSWER)}) == 3


def test_days_are_in_order_and_past_ones_of_agreements_are_left_out():
    found = in_order([*agreement_entries(AGREEMENT, NOW.date()), entry(on=date(2026, 2, 2))])
    assert [item.on for item in found] == sorted(item.on for item in found)
    assert {item.what for item in found} == {What.DECIDE, What.REVIEW, What.ENDS}
    assert list(agreement_entries(AGREEMENT, date(2030, 1, 1))) == []


def test_a_series_shows_what_is_due_and_when_it_lapses():
    found = list(series_entries(series(), {1: "released"}, date(2026, 3, 25)))
    assert [(item.what, item.on) for item in found] == [
        (What.DUE, date(2026, 3, 21)),
        (What.DUE, date(2026, 4, 21)),
        (What.DUE, date(2026, 5, 21)),
        (What.DUE, date(2026, 6, 21)),
        (What.LAPSES, date(2026, 7, 1)),
    ]
    assert found[0].title.endswith(", 1 February 2026 to 28 February 2026")
    assert list(series_entries(series(), {}, date(2026, 7, 2))) == []
