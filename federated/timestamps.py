"""Times as text: UTC, whole seconds, one form."""

from datetime import UTC, date, datetime

from federated.errors import QueryError

FORM = "%Y-%m-%dT%H:%M:%SZ"


def time_text(moment: datetime) -> str:
    """A UTC time as ``2026-01-31T09:00:00Z``; fractions of a second are dropped."""
    # Not by `strftime`, which writes a year before 1000 with three digits.
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def parse_time(text: str) -> datetime:
    """Read the one form back.

    Raises:
        QueryError: Another form.
    """
    try:
        found = datetime.fromisoformat(text)  # takes other forms too, but ours in a tenth of the time
        if found.isoformat() == f"{text[:-1]}+00:00":
            return found
    except (TypeError, ValueError):
        pass  # the slower reading below has the last word
    try:
        found = datetime.strptime(text, FORM).replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise _other_form() from error
    # It takes a day of one digit too, and then one time would have two forms.
    if time_text(found) != text:
        raise _other_form()
    return found


def _other_form() -> QueryError:
    return QueryError("A time must be written as 2026-01-31T09:00:00Z.")


def parse_day(text: str) -> date:
    """Read a day in its one form, ``2026-01-31``; Python alone would take ``2026-W05-6`` and ``20260131`` too.

    Raises:
        ValueError: Another form.
    """
    found = date.fromisoformat(text)
    if found.isoformat() != text:
        raise ValueError("A day must be written as 2026-01-31.")
    return found


def day(text: str | date) -> str:
    """A day as people write it: ``31 December 2025``. Takes a date or the beginning of an ISO time."""
    found = date.fromisoformat(text[: len("2025-12-31")]) if isinstance(text, str) else text
    return f"{found.day} {found:%B %Y}"


def days(first: str | date, last: str | date) -> str:
    """A time from one day to another as people write it; both are in it, and of one day it is that day."""
    begins, ends = day(first), day(last)
    return begins if begins == ends else f"{begins} to {ends}"


def moment(text: str) -> str:
    """A time as people write it, from ``2026-01-31T09:00:00Z``: UTC, said so."""
    return f"{day(text)}, {text[11:16]} UTC"
