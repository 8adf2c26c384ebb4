"""The method note: one page with a release's figures, and all that is needed to quote them and to know their limits.

The page asks no other computer for anything. It has the styles of the pages where these were made (`make setup-web`),
and its own few rules always, so that it can be read and printed on A4 without them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from federated.errors import FileProblem
from federated.manifest import Manifest
from federated.outputs.chart import chart, chart_words, is_drawn
from federated.outputs.facts import Fact, breakdowns, facts_of, notes_of, shorthand_rows, table_words
from federated.outputs.figures import printed
from federated.outputs.quotes import quote, quoted_interval
from federated.pages import renderer, stylesheet
from federated.presentation import NOT_SHOWN
from federated.release import Release, TableRecord, labels_of

__all__ = ["method_note"]

STYLES: Final = Path(__file__).parent / "styles" / "method-note.css"
TEMPLATE: Final = "outputs/method-note.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A table as the page shows it: with its figures and a picture, or with a word on where they are."""

    name: str
    title: str
    note: str
    heads: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    picture: str
    words: str
    quote: str | None


def method_note(release: Release, manifest: Manifest | None = None, said: Sequence[Fact] = ()) -> bytes:
    """The page, HTML in UTF-8.

    Args:
        release: What it is about.
        manifest: Of its question, for decision, recipients and contacts.
        said: What came after the release: what was said of it, and whether there is a later one.

    Raises:
        FileProblem: The manifest is not the release's.
    """
    page = renderer({"outputs": "federated.outputs"}).get_template(TEMPLATE)
    return page.render(
        release=release,
        facts=(*facts_of(release, manifest), *said),
        marks=shorthand_rows(release),
        tables=tuple(_shown(release)),
        citation=_citation(release),
        # Our own files, neither of which holds anything that ends a style element.
        styles=Markup(_styles()),  # noqa: S704 - as above
    ).encode()


def _styles() -> str:
    try:
        shared = stylesheet().decode()
    except FileProblem:
        shared = ""
    return shared + STYLES.read_text(encoding="utf-8")


def _shown(release: Release) -> Iterator[_Shown]:
    for table in release.tables:
        drawn = is_drawn(table)
        marked = notes_of(release).get(table.name)
        yield _Shown(
            name=table.name,
            title=table_words(release, table),
            note="" if marked is None else marked[1],
            heads=(*_heads(release, table), "Figure as printed", "Interval"),
            rows=_rows(release, table) if drawn else (),
            # Made from figures and escaped words by `federated.outputs.chart`.
            picture=Markup(chart(release, table)) if drawn else "",  # noqa: S704 - as above
            words=chart_words(release, table)[1] if drawn else "",
            quote=_example(release, table),
        )


def _heads(release: Release, table: TableRecord) -> Iterator[str]:
    """What each breakdown is, in words; its code is in the files for programs."""
    for words in breakdowns(release, table):
        yield words[:1].upper() + words[1:]


def _rows(release: Release, table: TableRecord) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    found = ((cell, printed(release, table, cell)) for cell in table.cells)
    return tuple(
        (
            labels_of(table.axes, cell.codes) or ("All",),
            (text, text if text in NOT_SHOWN else quoted_interval(table, cell)),
        )
        for cell, text in found
    )


def _example(release: Release, table: TableRecord) -> str | None:
    """How to quote the largest figure, as an example for the others."""
    quoted = [(cell.estimate or 0.0, text) for cell in table.cells if (text := quote(release, table, cell)) is not None]
    return max(quoted)[1] if quoted else None


def _citation(release: Release) -> str:
    return f"{release.title}, {release.level_label}, release {release.digest.hex()[:16]}, {release.created_at[:10]}."
