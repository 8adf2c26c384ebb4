"""Measures of the programme itself: for everybody, from the store, each with its definition beside it.

Councils are counted over answers whose figures are public alone: of a few councils, or a single answer, a number of
councils would tell how many were in it, which the register keeps back until then.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from fractions import Fraction
from statistics import median
from typing import Final

from coordinator.console.desk import Asked, Desk, Download
from coordinator.console.words import STANDINGS
from coordinator.proposal_states import OPEN
from coordinator.store import ProposalRow
from federated.errors import SignatureProblem
from federated.papers import PaperKind, unsafe_claims

__all__ = ["Measure", "as_csv", "as_json", "measures", "show"]

COMMENTS_READ: Final = 500
COUNTED_EVERY_S: Final = 300
"""They are of the whole register, so strangers could otherwise have it read as often as they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure.

    Attributes:
        name: For programs.
        label: For people.
        value: None where nothing was counted yet.
        unit: Of the value; empty for a number of things.
        meaning: How it is counted, in a sentence.
    """

    name: str
    label: str
    value: float | None
    unit: str
    meaning: str


def show(desk: Desk, asked: Asked) -> str:
    """The measures as a page."""
    return desk.page("measures.html", asked.visitor, title="How the programme is doing", items=measures(desk))


def as_json(desk: Desk, _asked: Asked) -> Download:
    """The same for a program."""
    document = {"version": 1, "measures": [asdict(measure) for measure in measures(desk)]}
    return Download(name="measures.json", kind="application/json", content=json.dumps(document, indent=1).encode())


def as_csv(desk: Desk, _asked: Asked) -> Download:
    """The same for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("name", "label", "value", "unit", "meaning"))
    for item in measures(desk):
        writer.writerow((item.name, item.label, "" if item.value is None else item.value, item.unit, item.meaning))
    return Download(name="measures.csv", kind="text/csv; charset=utf-8", content=text.getvalue().encode())


def measures(desk: Desk) -> tuple[Measure, ...]:
    """Every measure, in the order in which they are shown; counted once in five minutes, however many ask."""
    mark = int(desk.clock().timestamp()) // COUNTED_EVERY_S
    content = desk.made.get("measures", str(mark), lambda: json.dumps([asdict(one) for one in _count(desk)]).encode())
    return tuple(Measure(**item) for item in json.loads(content))


def _count(desk: Desk) -> tuple[Measure, ...]:
    return (*_questions(desk), *_waits(desk), *_councils(desk), *_staff(desk))


def _questions(desk: Desk) -> Iterator[Measure]:
    counts = Counter(desk.store.proposals.counts())
    yield Measure(
        name="questions_asked",
        label="Questions put to councils",
        value=counts.total(),
        unit="",
        meaning="Every question that was handed in, whatever became of it.",
    )
    for standing in STANDINGS:
        yield Measure(
            name=f"questions_{standing.name}",
            label=f"Questions: {standing.label.lower()}",
            value=sum(counts[state.value] for state in standing.states),
            unit="",
            meaning=standing.meaning,
        )


def _waits(desk: Desk) -> Iterator[Measure]:
    waits = desk.store.releases.waits()
    yield Measure(
        name="answered_without_new_collection",
        label="Answers without a new collection",
        value=len(waits),
        unit="",
        meaning="Answers made. Each is from records that councils keep anyway; no council was sent a form.",
    )
    # From day to day, as everybody is told these: of one answer a part of a day would tell how long its councils took.
    days = [(made.date() - asked.date()).days for asked, made, _ in waits]
    yield Measure(
        name="median_days_to_answer",
        label="Days from question to answer, median",
        value=_median(days),
        unit="days",
        meaning="From the day a question was handed in to the day its answer was made.",
    )
    promised = [(made, by) for _, made, by in waits if by is not None]
    late = sum(row.return_by is not None and row.return_by < desk.clock() for row in _open(desk))
    yield Measure(
        name="answered_on_time",
        label="Answers made by the day promised",
        value=_share(sum(made <= by for made, by in promised), len(promised) + late),
        unit="%",
        meaning="Of all answers, and of the questions still open after that day.",
    )
    yield Measure(
        name="overdue",
        label="Questions overdue",
        value=late,
        unit="",
        meaning="Questions still open after the day by which an answer was promised.",
    )


def _open(desk: Desk) -> Sequence[ProposalRow]:
    return desk.store.proposals.in_states(sorted(OPEN))


def _councils(desk: Desk) -> Iterator[Measure]:
    console, roster = desk.settings.console, desk.files.roster()
    yield Measure(
        name="councils_in_list",
        label="Councils in the list of councils",
        value=None if roster is None else len(roster.councils),
        unit="",
        meaning="Councils that run a node and can be asked.",
    )
    copies = desk.store.releases.copies(console.publish, desk.clock() - timedelta(days=console.comment_days))
    yield Measure(
        name="councils_taking_part",
        label="Councils taking part",
        value=len({council for council, _, _ in copies}),
        unit="",
        meaning="Councils in at least one answer whose figures are public.",
    )
    brought = [(at - made).total_seconds() for _, made, at in copies if at is not None]
    yield Measure(
        name="median_seconds_to_councils",
        label="Seconds until a council has its copy of an answer, median",
        value=_median(brought),
        unit="seconds",
        meaning="From the making of an answer until a council's signed receipt was here, where figures are public.",
    )
    yield Measure(
        name="copies_received",
        label="Copies of answers that councils have received",
        value=_share(len(brought), len(copies)),
        unit="%",
        meaning="Of all copies owed to councils in answers whose figures are public.",
    )


def _staff(desk: Desk) -> Iterator[Measure]:
    stated = [claim for claim in _stated(desk) if claim is not None]
    yield Measure(
        name="median_staff_minutes",
        label="Staff minutes for a question, median",
        value=_median(stated),
        unit="minutes",
        meaning="As councils stated it in their comments on answers, if they did.",
    )


def _stated(desk: Desk) -> Iterator[int | None]:
    for row in desk.store.papers.page(PaperKind.COMMENT.value, size=COMMENTS_READ):
        if row.hidden_at is None:
            try:
                # Its signature was checked when it came; a council that has left has still worked.
                yield unsafe_claims(row.envelope, PaperKind.COMMENT).get("staff_minutes")
            except SignatureProblem:
                continue


def _median(values: Sequence[float]) -> float | None:
    return None if not values else round(median(values), 2)


def _share(part: int, whole: int) -> float | None:
    return None if not whole else round(float(Fraction(100 * part, whole)), 1)
