"""Times as text: one form, read back exactly, and nothing else taken for it."""

from datetime import UTC, datetime

import pytest

from federated.errors import QueryError
from federated.timestamps import parse_time, time_text


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
