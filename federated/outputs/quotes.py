"""A released figure as a sentence that can be quoted: with its interval, who is in it, and what it is not."""

from math import floor
from typing import Final

from federated.outputs.figures import printed
from federated.presentation import DIGITS, NOT_SHOWN, UNRELIABLE, range_words
from federated.release import CellRecord, Release, TableRecord, labels_of
from federated.statistics.offsets import TARGET_COVERAGE
from federated.timestamps import days

__all__ = ["quote", "quoted_interval", "where_and_when"]

TARGET: Final = int(100 * TARGET_COVERAGE)


def quote(release: Release, table: TableRecord, cell: CellRecord) -> str | None:
    """The sentence; None for a figure that is not shown."""
    text = printed(release, table, cell)
    if text in NOT_SHOWN:
        return None
    of = ", ".join(labels_of(table.axes, cell.codes))
    care = " The margin of error is above 20%: use with care." if text.endswith(UNRELIABLE) else ""
    return (
        f"{table.title}{f' ({of})' if of else ''}: an estimated {text.removesuffix(UNRELIABLE).strip()} "
        f"({quoted_interval(table, cell)}), {where_and_when(release)}, from "
        f"{release.contributed} of {len(release.councils)} councils.{care} {release.note}"
    )


def quoted_interval(table: TableRecord, cell: CellRecord) -> str:
    """An interval in words, with its chance."""
    # The chance is at least the aim, so the aim is what is said; a cell that falls short says its own.
    chance = min(TARGET, floor(round(100 * cell.coverage, DIGITS)))
    return f"{chance}% interval {range_words(table, cell)}"


def where_and_when(release: Release) -> str:
    """Whose figures they are, and of which days, as people write it."""
    return f"{release.level_label}, {days(*release.period.split('/'))}"
