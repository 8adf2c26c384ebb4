"""Authorities that merged or got a new code inside a question's period: said in words, before anything is spent.

Figures for a period that spans a change come from the successor's records alone. Whether those hold the cases of the
councils before it is for the council to say, so the reader of a plan or a release is told.
"""

from collections.abc import Collection
from datetime import date

from federated.schema.code_history import ChangeKind, CodeChange, CodeHistory, load_code_history

__all__ = ["ChangeKind", "CodeChange", "CodeHistory", "changes_in_words", "load_code_history"]


def changes_in_words(codes: Collection[str], start: date, end: date, history: CodeHistory | None = None) -> list[str]:
    """One sentence for each change of these authorities inside a period of data.

    Args:
        codes: The councils asked.
        start: First day of the period.
        end: Last day.
        history: Another history than the installed one.
    """
    known = load_code_history() if history is None else history
    return [_sentence(change) for change in known.inside(codes, start, end)]


def _sentence(change: CodeChange) -> str:
    when = f"on {change.earliest}" if change.earliest == change.latest else f"in {change.earliest.year}"
    if change.kind is ChangeKind.RECODE:
        return (
            f"{change.name} changed its code from {change.predecessor} to {change.successor} {when}, inside the "
            "period asked about: figures before and after are of the same authority."
        )
    from_whom = "councils whose codes are not held here" if change.predecessor is None else change.predecessor
    return (
        f"{change.name} ({change.successor}) took the place of {from_whom} {when}, inside the period asked about: "
        "ask it whether its records hold their cases before you compare the years."
    )
