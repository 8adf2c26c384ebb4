"""Whether figures may still change: they are provisional while late records can be missing."""

from datetime import date
from typing import Final

from federated.release import Release

__all__ = ["SETTLED_DAYS", "provisional_words"]

SETTLED_DAYS: Final = 28
"""Days after its end in which records of a period still come in and are put right. A convention, not a measurement."""


def provisional_words(release: Release) -> str:
    """Why the figures are provisional, in a sentence; empty where the oldest records are old enough not to be.

    Judged by the data cut-off, which is the date of the oldest extract behind the figures.
    """
    if release.data_cut_off is None:
        return "Provisional: the councils did not say from which day their records are."
    end = date.fromisoformat(release.period.partition("/")[2])
    days = (date.fromisoformat(release.data_cut_off) - end).days
    if days <= 0:
        return "Provisional: the period was not over when the oldest records were taken."
    if days <= SETTLED_DAYS:
        unit = "day" if days == 1 else "days"
        return f"Provisional: the oldest records were taken {days} {unit} after the period. Late ones can be missing."
    return ""
