"""Pages of the answers: how each was made for everybody, its figures for whoever may see them.

An answer's figures are for the parties of its agreement, until the operator opens the agreement (`console.publish`) and
the councils have had their days to comment. That there is an answer, and how it was made, is public from the start.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from markupsafe import Markup

from coordinator.console.desk import Asked, Desk, Download, digest_of
from coordinator.console.guard import Closed
from coordinator.console.question import charge_of, manifest_of
from coordinator.console.remarks import Remark, remarks_on
from coordinator.console.visitor import Visitor
from coordinator.console.words import MECHANISMS
from coordinator.sign_in.operations import Operation, may
from coordinator.store import ReleaseRow
from federated.attacker_words import attacker_words
from federated.errors import FileProblem
from federated.manifest import Manifest
from federated.outputs.chart import chart_words
from federated.outputs.facts import Fact
from federated.outputs.formats import Offered, offered
from federated.pages.figures import question_of, show_table
from federated.papers import PaperKind
from federated.presentation import SHORTHAND
from federated.rationals import rational
from federated.release import Release, open_release
from federated.revisions import provisional_words
from federated.timestamps import day, time_text
from protocols.encoding import sha256

__all__ = [
    "Access",
    "access_to",
    "answer_file",
    "answer_row",
    "exact_file",
    "made_file",
    "note_reading",
    "remarks_file",
    "remarks_for",
    "remarks_given",
    "said_since",
    "show_one",
    "version_of",
]

NAME_DIGITS: Final = 12
EXACT: Final = "release.json"
"""The answer's own bytes, of which the digest is its identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The chart of a table as its page shows it.

    Attributes:
        picture: SVG; empty while too many wait for files to be made.
        words: Its text alternative.
    """

    picture: Markup
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may see the figures of an answer.

    Attributes:
        open: Whether this visitor may.
        public: Whether everybody may.
        public_from: When everybody may, as text, where that day is set and still to come.
    """

    open: bool
    public: bool
    public_from: str | None


def access_to(desk: Desk, visitor: Visitor, row: ReleaseRow) -> Access:
    """Whether a visitor may see the figures of an answer."""
    console = desk.settings.console
    opened = row.agreement_id in console.publish
    day = row.created_at + timedelta(days=console.comment_days)
    public = opened and desk.clock() >= day
    return Access(
        open=public or may(visitor, Operation.VIEW_FIGURES, agreement=row.agreement_id),
        public=public,
        public_from=visitor.told(time_text(day)) if opened and not public else None,
    )


def show_one(desk: Desk, asked: Asked) -> str:
    """One answer: its method for everybody, its tables for whoever may see them."""
    row = answer_row(desk, asked.names["digest"])
    release, access = open_release(row.content), access_to(desk, asked.visitor, row)
    question, later = question_of(release), desk.store.releases.later_than(row)
    note_reading(desk, asked.visitor, row, access, "page")
    wanted = asked.wanted.get("table", ""), asked.wanted.get("page", "")
    tables = [
        show_table(release, question, table, desk.schema, address=f"/releases/{row.digest.hex()}", wanted=wanted)
        for table in release.tables
        if access.open
    ]
    return desk.page(
        "release.html",
        asked.visitor,
        title=release.title,
        current="/questions",
        digest=row.digest.hex(),
        access=access,
        release=release,
        tables=tables,
        contributed=[record for record in release.councils if record.outcome == "contributed"] if access.open else [],
        absent=[record for record in release.councils if record.outcome != "contributed"] if access.open else [],
        charts=_charts(desk, row, release) if access.open else {},
        files=_files(offered(release)) if access.open else {},
        mechanism=MECHANISMS[release.mechanism],
        learned=_learned(release, question.unit),
        bounds=[(measure.what, measure.clip) for table in release.tables for measure in table.measures],
        remarks=remarks_for(desk, asked.visitor, row, access),
        shorthand=SHORTHAND,
        provisional=provisional_words(release),
        later=None if later is None else (later.digest.hex(), later.data_cut_off),
        period=release.period.partition("/")[::2],
        address=f"{desk.origin}/releases/{row.digest.hex()}",
    )


def exact_file(desk: Desk, asked: Asked) -> Download:
    """The answer's own bytes, of which the digest is its identity."""
    return answer_file(desk, asked.visitor, asked.names["digest"], EXACT, how="{}")


def made_file(desk: Desk, asked: Asked) -> Download:
    """One of the files that an answer can be taken away as (`federated.outputs`).

    Raises:
        FileProblem: The answer has no file of that name.
    """
    return answer_file(desk, asked.visitor, asked.names["digest"], asked.names["file"], how="{}")


def answer_file(desk: Desk, visitor: Visitor, digest: str, name: str, *, how: str) -> Download:
    """A file of an answer for whoever may see its figures; that it was taken is written down.

    Args:
        desk: What pages work with.
        visitor: Who asks.
        digest: Of the answer, as hexadecimal text.
        name: Of the file.
        how: As what the reading is written down, with the format in the braces.

    Raises:
        FileProblem: There is no such answer, or no file of that name.
        Closed: The figures are not for this visitor, or were deleted.
    """
    row, access = _opened(desk, visitor, digest)
    if name == EXACT:
        note_reading(desk, visitor, row, access, how.format("json"))
        return Download(name=f"{_name(row)}-{EXACT}", kind="application/json", content=row.content)
    release = open_release(row.content)
    said = said_since(desk, row)
    for file in offered(release, manifest=_manifest(desk, row), said=said, boundaries=desk.boundaries):
        if file.name == name:
            note_reading(desk, visitor, row, access, how.format(file.format))
            kept_as = f"{file.name}{version_of(desk, said)}" if file.changes else file.name
            content = desk.made.get(row.digest.hex(), kept_as, file.make)
            return Download(name=f"{_name(row)}-{file.name}", kind=file.media_type, content=content)
    raise FileProblem("The answer has no file of that name.", remedy="Its page links to all there are.")


def said_since(desk: Desk, row: ReleaseRow) -> tuple[Fact, ...]:
    """What came after an answer, for everybody who may see its figures: a later answer, and what was said of it."""
    later = desk.store.releases.later_than(row)
    revised = "" if later is None else _revised(desk, later)
    remarks = tuple(_in_a_line(remark) for remark in remarks_on(desk, row, parties=False))
    parts = (("A later answer", (revised,) if revised else ()), ("What was said of it", remarks))
    return tuple(Fact(heading=heading, lines=lines) for heading, lines in parts if lines)


def version_of(desk: Desk, said: tuple[Fact, ...]) -> str:
    """Tells files apart from those with what was said before or later, or on other boundaries; empty without either."""
    mark = "" if desk.boundaries is None else desk.boundaries.mark
    return f"-{sha256(f'{said!r}{mark}'.encode()).hex()[:NAME_DIGITS]}" if said or mark else ""


def _revised(desk: Desk, later: ReleaseRow) -> str:
    where = f"{desk.origin}/releases/{later.digest.hex()}"
    return f"Revised: there is a later answer, from records up to {day(later.data_cut_off or '')}: {where}"


def _in_a_line(remark: Remark) -> str:
    what = "what changed as a result" if remark.kind == PaperKind.OUTCOME else "comment"
    hidden = f"Hidden by the operator on {day(remark.hidden_at)}: {remark.reason}" if remark.hidden_at else ""
    return f"{remark.who}, {day(remark.at)}, {what}: {hidden or ' '.join(remark.text)}"


def remarks_file(desk: Desk, asked: Asked) -> Download:
    """What councils and the department said of an answer, for a program."""
    row, access = _opened(desk, asked.visitor, asked.names["digest"])
    remarks = [asdict(remark) for remark in remarks_given(desk, asked.visitor, row, access, "remarks")]
    document = {"version": 1, "release": row.digest.hex(), "remarks": remarks}
    content = json.dumps(document, ensure_ascii=False, indent=1).encode()
    return Download(name=f"{_name(row)}-remarks.json", kind="application/json", content=content)


def remarks_for(desk: Desk, visitor: Visitor, row: ReleaseRow, access: Access) -> tuple[Remark, ...]:
    """What this visitor may see of what was said: it can quote figures, so nobody sees more of it than of those."""
    if not access.open:
        return ()
    found = remarks_on(desk, row, parties=row.agreement_id in visitor.agreements)
    return tuple(replace(one, at=visitor.told(one.at), hidden_at=visitor.told(one.hidden_at)) for one in found)


def remarks_given(desk: Desk, visitor: Visitor, row: ReleaseRow, access: Access, how: str) -> tuple[Remark, ...]:
    """The same without the figures beside it: that too is a reading, where there is a text that can quote them."""
    found = remarks_for(desk, visitor, row, access)
    if any(remark.text for remark in found):
        note_reading(desk, visitor, row, access, how)
    return found


def _opened(desk: Desk, visitor: Visitor, digest: str) -> tuple[ReleaseRow, Access]:
    row = answer_row(desk, digest)
    access = access_to(desk, visitor, row)
    if not access.open:
        desk.note_refused(visitor, Operation.VIEW_FIGURES, row.digest.hex())
        raise Closed(HTTPStatus.FORBIDDEN, "The figures of this answer are not public.")
    return row, access


def answer_row(desk: Desk, digest: str) -> ReleaseRow:
    """An answer by its digest, as hexadecimal text.

    Raises:
        FileProblem: There is none.
        Closed: It was deleted.
    """
    row = desk.store.releases.get(digest_of(digest, "answer"))
    if row is None:
        raise FileProblem("There is no such answer here.", remedy="The list of questions leads to all there are.")
    if row.deleted_at is not None:
        desk.made.forget(row.digest.hex())
        raise Closed(
            HTTPStatus.GONE,
            f"This answer was deleted on {day(row.deleted_at.date())}, when its time was over. What was asked and when "
            "it was answered stays in the register.",
        )
    return row


def _files(found: Iterable[Offered]) -> dict[str, list[Offered]]:
    """The files by table, and under no name those of the whole answer."""
    by_table: dict[str, list[Offered]] = {}
    for file in found:
        by_table.setdefault(file.table, []).append(file)
    return by_table


def _charts(desk: Desk, row: ReleaseRow, release: Release) -> dict[str, Chart]:
    """The charts by table: the same files that can be taken away, so each is made once."""
    words = {table.name: chart_words(release, table)[1] for table in release.tables}
    return {
        file.table: Chart(picture=_picture(desk, row, file), words=words[file.table])
        for file in offered(release, ("svg",))
    }


def _picture(desk: Desk, row: ReleaseRow, file: Offered) -> Markup:
    try:
        made = desk.made.get(row.digest.hex(), file.name, file.make)
    except Closed:
        # The figures are what people came for: nobody is turned away for want of a picture.
        return Markup()
    # Made from figures and escaped words by `federated.outputs.chart`.
    return Markup(made.decode())  # noqa: S704 - as above


def _manifest(desk: Desk, row: ReleaseRow) -> Manifest | None:
    proposal = desk.store.proposals.get(row.plan_digest)
    return None if proposal is None else manifest_of(proposal)


def note_reading(desk: Desk, visitor: Visitor, row: ReleaseRow, access: Access, how: str) -> None:
    """Write down who is shown figures, public or not, before they are: every page and every call comes through here."""
    if access.open:
        desk.note_read(visitor, row.digest, how)


def _name(row: ReleaseRow) -> str:
    return f"answer-{row.digest.hex()[:NAME_DIGITS]}"


def _learned(release: Release, unit: str) -> tuple[str, ...]:
    return attacker_words(charge_of(release.plan), rational(release.cost.delta, name="delta"), unit)[:3]
