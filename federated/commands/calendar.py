"""`federated calendar`: what is open for decision, what is due when, and what ends."""

import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from federated.calendar import Entry, What, agreement_entries, icalendar, in_order, series_entries
from federated.client import Client, Trusted
from federated.commands.files import write_file
from federated.commands.questions import AsJson, Work, connect
from federated.errors import SignatureProblem
from federated.papers import PaperKind, unsafe_claims
from federated.series import Series, open_series
from federated.shell import errors, now_utc, output
from federated.standing_run import states_of
from federated.workspace import DEFAULT_FILE
from protocols.wire import analyst_pb2 as pb

__all__ = ["register"]

OPEN = frozenset({"received", "collecting", "ready", "running"})


def calendar(
    workspace: Work = DEFAULT_FILE,
    ics: Annotated[Path | None, typer.Option("--ics", help="Write an iCalendar file for a calendar program.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what councils decide until when, which answers and standing questions are due, and what ends.

    Example: federated calendar --ics federation.ics
    """
    now = now_utc()
    with connect(workspace) as client:
        trusted = client.trusted()
        questions = list(client.questions())
        found = [*_agreements(trusted, now.date()), *_questions(questions)]
        found += _series(client, trusted, questions, now.date())
    entries = in_order(found)
    if ics is not None:
        write_file(ics, icalendar(entries, name="Questions to councils", origin="", now=now), quiet=as_json)
    if as_json:
        rows = [{"on": entry.on.isoformat(), "what": entry.what.value, "title": entry.title} for entry in entries]
        output.print_json(json.dumps(rows))
        return
    grid = Grid("Day", "What", "Of")
    for entry in entries:
        late = " (overdue)" if entry.on < now.date() else ""
        grid.add_row(entry.on.isoformat() + late, entry.what.value, entry.title)
    output.print(grid)


def _agreements(trusted: Trusted, today: date) -> Iterator[Entry]:
    for agreement in trusted.agreements.values():
        yield from agreement_entries(agreement, today)


def _questions(questions: Iterable[pb.QuestionSummary]) -> Iterator[Entry]:
    for item in questions:
        if item.state in OPEN:
            about = item.plan_digest.hex()
            if item.state != "running":
                on = date.fromisoformat(item.collect_by[:10])
                yield Entry(on=on, what=What.DECIDE, title=item.title, about=about)
            on = date.fromisoformat(item.return_by[:10])
            yield Entry(on=on, what=What.ANSWER, title=item.title, about=about)


def _series(client: Client, trusted: Trusted, questions: list[pb.QuestionSummary], today: date) -> Iterator[Entry]:
    newest: dict[tuple[str, str], Series] = {}
    for paper in client.papers(PaperKind.SERIES):
        if not paper.paper:
            continue
        agreement = trusted.agreements.get(str(unsafe_claims(paper.paper, PaperKind.SERIES).get("agreement")))
        if agreement is None:
            continue
        try:
            series = open_series(paper.paper, agreement)
        except SignatureProblem as problem:
            errors.print(f"Warning: a series is left out. {problem}", style="yellow", markup=False)
            continue
        known = newest.get((series.agreement, series.id))
        if known is None or series.edition >= known.edition:
            newest[series.agreement, series.id] = series
    for series in newest.values():
        yield from series_entries(series, states_of(series, questions), today)


def register(app: typer.Typer) -> None:
    """Add the command to `federated`."""
    app.command()(calendar)
