"""Pages of the answers this council took part in: each table, and on request the council's own figures beside it."""

from collections.abc import Callable
from typing import Final

from council_node.node_store import DocumentKind
from council_node.page.desk import Asked, Desk
from council_node.page.own_figures import OwnFigures, count_own
from federated.errors import FileProblem
from federated.pages import part_of
from federated.pages.figures import question_of, show_table
from federated.presentation import SHORTHAND, fraction_text
from federated.release import CellRecord, Release, TableRecord, open_release
from federated.statistics import Figures, statistic

__all__ = ["show_beside_own", "show_list", "show_one"]

SIZE: Final = 50
SID_DIGITS: Final = 64
ELSEWHERE: Final = "–"
"""Stands where a row is about another region than the council's."""


def show_list(desk: Desk, asked: Asked) -> str:
    """Every answer, newest first."""
    with desk.store() as store:
        found = [open_release(document.body) for document in store.all_latest(DocumentKind.RELEASE)]
    found.sort(key=lambda release: release.created_at, reverse=True)
    shown, pages = part_of(
        len(found), SIZE, asked.wanted.get("page", ""), lambda number: f"{desk.link('answers')}?page={number}"
    )
    return desk.page("answers.html", title="Answers", current="answers", releases=found[shown], pages=pages)


def show_one(desk: Desk, asked: Asked) -> str:
    """One answer."""
    return _answer(desk, asked, _release(desk, asked), None)


def show_beside_own(desk: Desk, asked: Asked) -> str:
    """One answer with the council's own exact figures beside the group's: counted now, for this page alone."""
    release = _release(desk, asked)
    return _answer(desk, asked, release, count_own(desk, release))


def _answer(desk: Desk, asked: Asked, release: Release, own: OwnFigures | None) -> str:
    question = question_of(release)
    address = desk.link("answers", release.sid, *(() if own is None else ("own",)))
    wanted = asked.wanted.get("table", ""), asked.wanted.get("page", "")
    tables = [
        show_table(
            release,
            question,
            table,
            desk.schema,
            address=address,
            wanted=wanted,
            beside=None if own is None else _beside(own, table),
        )
        for table in release.tables
    ]
    return desk.page(
        "answer.html",
        title=release.title,
        current="answers",
        release=release,
        own=own,
        contributed=[record for record in release.councils if record.outcome == "contributed"],
        absent=[record for record in release.councils if record.outcome != "contributed"],
        tables=tables,
        unit=question.unit,
        elsewhere=any(row.beside == ELSEWHERE for table in tables for row in table.rows),
        shorthand=SHORTHAND,
    )


def _release(desk: Desk, asked: Asked) -> Release:
    sid = asked.names["sid"]
    with desk.store() as store:
        document = store.latest(DocumentKind.RELEASE, sid) if len(sid) == SID_DIGITS else None
    if document is None:
        raise FileProblem("There is no answer of that round here.", remedy="The list of answers has all that are kept.")
    return open_release(document.body)


def _beside(own: OwnFigures, table: TableRecord) -> Callable[[CellRecord], str]:
    exact = own.values[table.name]
    return lambda cell: _figure(exact[cell.codes], table) if cell.codes in exact else ELSEWHERE


def _figure(exact: float | None, table: TableRecord) -> str:
    if exact is None:
        return "nobody"
    return fraction_text(exact) if statistic(table.statistic).figures is Figures.FRACTION else f"{exact:,.0f}"
