"""Times as text: one form, read back exactly, and nothing else taken for it."""

import re
from datetime import UTC, date, datetime

import pytest

from federated.errors import QueryError
from federated.pages import renderer
from federated.timestamps import days, parse_day, parse_time, time_text
from tests.docs.pages import ROOT


def test_a_time_is_read_back_as_it_was_written():
    for moment in (datetime(2026, 1, 31, 9, 0, tzinfo=UTC), datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)):
        assert parse_time(time_text(moment)) == moment
        assert parse_time(time_text(moment)).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T09:00:00",
        "2026-01-31T09:00:00+00:00",
        "2026-01-31T09:00:00+01:00",
        "2026-01-31T09:00:00.5Z",
        "2026-01-31T09:00Z",
        "2026-01-31T24:00:00Z",
        "2026-02-30T09:00:00Z",
        "2026-01-31 09:00:00Z",
        "20260131T090000Z",
        "2026-W05-6T09:00:00Z",
        "2026-01-31",
        "0000-01-31T09:00:00Z",
        "Z",
        "",
        None,
    ],
)
def test_no_other_form_is_taken(text):
    with pytest.raises(QueryError, match="must be written as"):
        parse_time(text)


def test_a_day_has_one_form():
    assert parse_day("2026-01-31") == date(2026, 1, 31)
    for other in ("2026-W05-6", "20260131", "2026-02-30", "2026-01-31 ", ""):
        with pytest.raises(ValueError, match=r"must be written as|Invalid isoformat|out of range"):
            parse_day(other)


def test_a_period_of_one_day_is_that_day():
    assert days("2026-05-05", "2026-05-05") == days(date(2026, 5, 5), "2026-05-05") == "5 May 2026"
    assert days("2026-05-05", "2026-05-06") == "5 May 2026 to 6 May 2026"
    assert days("2025-05-05", "2026-05-05") == "5 May 2025 to 5 May 2026"


def test_pages_say_periods_by_that_rule_alone():
    shown = renderer({}).from_string("{{ first | days(last) }}")
    assert shown.render(first="2026-05-05", last=date(2026, 5, 5)) == "5 May 2026"
    written = [
        f"{path.name}: {found}"
        for path in (ROOT / "coordinator/console/templates").glob("*.html")
        for found in re.findall(r"period\S* \| day }} to .*", path.read_text(encoding="utf-8"))
    ]
    assert written == []
