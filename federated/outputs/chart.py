"""A picture of a table: a mark and its interval for each cell. SVG and PNG come from one specification.

A chart stands beside its table, never instead of it. What a mark means is told by its shape and by words, and never by
its colour alone. What the table prints as `[c]` or `[x]` has no mark here: its label says so.
"""

from collections import Counter
from collections.abc import Sequence
from html import escape
from math import isfinite
from textwrap import wrap
from typing import Final

from federated.outputs.csv_table import written_csv
from federated.outputs.figures import printed
from federated.outputs.quotes import quoted_interval, where_and_when
from federated.presentation import NOT_SHOWN, UNRELIABLE
from federated.release import CellRecord, Release, TableRecord, labels_of

__all__ = ["ALT_TEXTS", "MAX_CHART_CELLS", "chart", "chart_png", "chart_texts", "chart_words", "is_drawn"]

MAX_CHART_CELLS: Final = 80
ALT_TEXTS: Final = "chart-texts.csv"
CAVEAT_WIDTH: Final = 90
"""Characters of a caveat on one line of a chart."""
FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"
PADDING: Final = {"left": 60, "right": 20, "top": 10, "bottom": 10}
"""On the left as much as the longest label grows by where only a wider font is at hand than it was measured with."""
LEGEND_GAP: Final = 40
"""Between the entries of the legend: with less, a wider font's text would run into the next mark."""
PNG_SCALE: Final = 2
"""Pixels for each unit of the specification: sharp in print on A4."""
USABLE: Final = "margin within 20%"
WIDE: Final = "margin above 20% [u]"
QUALITIES: Final = [USABLE, WIDE]
LOOKS: Final = {"shape": ["circle", "diamond"], "fill": ["#0b0c0c", "#ffffff"], "stroke": ["#0b0c0c", "#0b0c0c"]}
"""Of the marks, in the order of `QUALITIES`: told apart by shape and by being filled."""


def is_drawn(table: TableRecord) -> bool:
    """Whether a table has a chart; one of more cells could not be read."""
    return len(table.cells) <= MAX_CHART_CELLS


def chart(release: Release, table: TableRecord) -> str:
    """The chart as SVG, which a screen reader reads as a picture with a title and a description."""
    import vl_convert  # noqa: PLC0415 - a second to import, and only the analyst draws

    title, described = chart_words(release, table)
    drawn: str = vl_convert.vegalite_to_svg(_specification(release, table))
    ids = f"{table.name}-chart-title", f"{table.name}-chart-words"
    head = (
        f'<svg role="img" aria-labelledby="{" ".join(ids)}" '
        f"{drawn.removeprefix('<svg ').partition('>')[0]}>"
        f'<title id="{ids[0]}">{escape(title)}</title><desc id="{ids[1]}">{escape(described)}</desc>'
    )
    return head + drawn.partition(">")[2]


def chart_png(release: Release, table: TableRecord) -> bytes:
    """The same as PNG. Its words are in the method note and in `chart-texts.csv`."""
    import vl_convert  # noqa: PLC0415 - as above

    drawn: bytes = vl_convert.vegalite_to_png(_specification(release, table), scale=PNG_SCALE)
    return drawn


def chart_words(release: Release, table: TableRecord) -> tuple[str, str]:
    """Title and text alternative of a chart: what it is, the two figures a reader would look for, where the rest is."""
    title = f"{release.title} – {table.name}"
    found = [(cell, printed(release, table, cell)) for cell in table.cells]
    shown = [(cell, text) for cell, text in found if text not in NOT_SHOWN]
    ends = []
    if shown:
        ranked = sorted(shown, key=lambda item: item[0].estimate or 0.0)
        ends.append(f"Largest: {_named(table, *ranked[-1])}.")
        if len(ranked) > 1:
            ends.append(f"Smallest shown: {_named(table, *ranked[0])}.")
    hidden = len(found) - len(shown)
    return title, " ".join(
        (
            f"{table.title}, with intervals, {where_and_when(release)}: {len(found)} figures.",
            *ends,
            *([f"Not shown: {hidden}."] if hidden else []),
            f"All figures are in the table '{table.name}'.",
            *([table.caveat] if table.caveat else []),
        )
    )


def chart_texts(release: Release) -> str:
    """The words of every chart as CSV: what to put beside a PNG, which cannot hold them."""
    drawn = [table for table in release.tables if is_drawn(table)]
    rows = [(table.name, f"{table.name}.png", *chart_words(release, table)) for table in drawn]
    return written_csv(("table", "picture", "title", "text_alternative"), rows)


def _named(table: TableRecord, cell: CellRecord, text: str) -> str:
    return f"{_label(table, cell)}, {text} ({quoted_interval(table, cell)})"


def _label(table: TableRecord, cell: CellRecord) -> str:
    return " · ".join(labels_of(table.axes, cell.codes)) or "All"


def _labels(table: TableRecord, texts: Sequence[str]) -> list[str]:
    """A label for each cell; where two are the same the codes tell them apart, or they would share a line."""
    plain = [_label(table, cell) for cell in table.cells]
    often = Counter(plain)
    return [
        (label if often[label] == 1 else f"{label} ({', '.join(cell.codes)})") + _mark(text)
        for label, cell, text in zip(plain, table.cells, texts, strict=True)
    ]


def _mark(text: str) -> str:
    found = [mark for mark in (*NOT_SHOWN, UNRELIABLE) if text.endswith(mark)]
    return f" {found[0]}" if found else ""


def _specification(release: Release, table: TableRecord) -> str:
    """The chart in Vega-Lite, from which both pictures are drawn."""
    import altair as alt  # noqa: PLC0415 - a second to import, and only the analyst draws

    texts = [printed(release, table, cell) for cell in table.cells]
    labels = _labels(table, texts)
    rows = [
        {
            "label": label,
            "estimate": cell.estimate if shown else None,
            # Where nothing is said the interval is the widest possible: drawn, it would set the scale of all others.
            "low": cell.low if shown and isfinite(cell.low) else None,
            "high": cell.high if shown and isfinite(cell.high) else None,
            "quality": WIDE if text.endswith(UNRELIABLE) else USABLE,
        }
        for label, cell, text in zip(labels, table.cells, texts, strict=True)
        for shown in (text not in NOT_SHOWN,)
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        # With the domain written out, a category without a mark keeps its line.
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=400), scale=alt.Scale(domain=labels))
    )
    interval = base.mark_rule(color="#1d70b8", strokeWidth=3).encode(
        x=alt.X("low:Q", title=f"{table.title}, with 95% interval"), x2="high:Q"
    )
    legend = alt.Legend(title=None, orient="bottom", symbolStrokeWidth=2, columnPadding=LEGEND_GAP)
    scale = {name: alt.Scale(domain=QUALITIES, range=values) for name, values in LOOKS.items()}
    mark = base.mark_point(filled=True, strokeWidth=2, size=70, opacity=1).encode(
        x="estimate:Q",
        shape=alt.Shape("quality:N", scale=scale["shape"], legend=legend),
        fill=alt.Fill("quality:N", scale=scale["fill"], legend=legend),
        stroke=alt.Stroke("quality:N", scale=scale["stroke"], legend=legend),
    )
    said = wrap(table.caveat, CAVEAT_WIDTH)
    title = [*wrap(release.title, CAVEAT_WIDTH), f"{where_and_when(release)}.", release.note, *said]
    picture = (interval + mark).properties(width=480, title=title, padding=PADDING).configure(font=FONT)
    made: str = picture.to_json()
    return made
