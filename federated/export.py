"""A release as files: one tidy CSV with CSVW metadata for each table, the release itself, and a chart."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from federated.errors import FileProblem
from federated.presentation import SHORTHAND, presented
from federated.release import AxisRecord, CellRecord, Release, TableRecord, labels_of

__all__ = ["BOM_FREE_UTF8", "chart", "export_release", "table_csv", "table_metadata", "tidy_csv"]

BOM_FREE_UTF8 = "utf-8"
MAX_CHART_CELLS = 80
CAVEAT_WIDTH = 90
"""Characters of a caveat on one line of a chart."""
FIGURES = ("estimate", "standard_error", "low", "high", "coverage", "presented")


def export_release(release: Release, folder: Path) -> tuple[Path, ...]:
    """Write a release into a folder: CSV and metadata for each table, JSON, and one chart for each table.

    Raises:
        FileProblem: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_write(release, folder))
    except OSError as error:
        raise FileProblem(f"{folder}: the release cannot be written there ({error.strerror}).") from error


def _write(release: Release, folder: Path) -> Iterator[Path]:
    whole = folder / "release.json"
    whole.write_bytes(release.encode())
    yield whole
    for table in release.tables:
        path = folder / f"{table.name}.csv"
        path.write_text(table_csv(release, table), encoding=BOM_FREE_UTF8, newline="")
        yield path
        metadata = folder / f"{table.name}.csv-metadata.json"
        metadata.write_text(
            json.dumps(table_metadata(release, table), indent=2, ensure_ascii=False) + "\n", BOM_FREE_UTF8
        )
        yield metadata
        if len(table.cells) <= MAX_CHART_CELLS:
            picture = folder / f"{table.name}.svg"
            picture.write_text(chart(release, table), encoding=BOM_FREE_UTF8)
            yield picture


def table_csv(release: Release, table: TableRecord) -> str:
    """One table as tidy CSV (UTF-8): codes and labels, estimate, error, interval, figure as printed, and any caveat."""
    rows = (
        (cell.codes, [release.period, release.level_label, *_figures(release, table, cell)]) for cell in table.cells
    )
    return tidy_csv(table.axes, FIGURES, rows, before=("period", "geography"), caveat=table.caveat)


def tidy_csv(
    axes: Sequence[AxisRecord],
    figures: Sequence[str],
    rows: Iterable[tuple[Sequence[str], Sequence[str]]],
    *,
    before: Sequence[str] = (),
    caveat: str = "",
) -> str:
    """Cells as tidy CSV: what is the same in all, code and label along each axis, the figures, then any caveat.

    Args:
        axes: Breakdowns.
        figures: Names of the figures.
        rows: For each cell its codes, and its texts: those of `before`, then those of `figures`.
        before: Names of the columns before the axes.
        caveat: What must be said of the table: the last column of every row, as a file is copied without its metadata.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    heads = [name for axis in axes for name in (axis.name, f"{axis.name}_label")]
    said = [caveat] if caveat else []
    writer.writerow([*before, *heads, *figures, *(["caveat"] if said else [])])
    for codes, texts in rows:
        keys = [text for pair in zip(codes, labels_of(axes, codes), strict=True) for text in pair]
        writer.writerow([*texts[: len(before)], *keys, *texts[len(before) :], *said])
    return buffer.getvalue()


def _figures(release: Release, table: TableRecord, cell: CellRecord) -> list[str]:
    numbers = (cell.estimate, cell.standard_error, cell.low, cell.high, cell.coverage)
    return [*("" if number is None else f"{number:.6g}" for number in numbers), _presented(release, table, cell)]


def _presented(release: Release, table: TableRecord, cell: CellRecord) -> str:
    national = release.level_label == "England"
    return presented(cell, statistic=table.statistic, level=table.level, national=national, caveat=table.caveat)


def table_metadata(release: Release, table: TableRecord) -> dict[str, object]:
    """CSVW metadata of a table: what the columns are, what it cost, and how far to trust it."""
    columns: list[dict[str, object]] = [
        {"name": "period", "titles": "Data period, first and last day"},
        {"name": "geography", "titles": "Councils the figures are over"},
    ]
    for axis in table.axes:
        columns.append({"name": axis.name, "titles": f"{axis.name}, code", "datatype": "string"})
        columns.append({"name": f"{axis.name}_label", "titles": f"{axis.name}, label", "datatype": "string"})
    columns += [{"name": name, "datatype": "string" if name == "presented" else "number"} for name in FIGURES]
    if table.caveat:
        columns.append({"name": "caveat", "titles": "What must be said of this table", "datatype": "string"})
    return {
        "@context": "http://www.w3.org/ns/csvw",
        "url": f"{table.name}.csv",
        "dc:title": f"{release.title} – {table.name}",
        "dc:description": f"{release.note} {table.caveat}".strip(),
        "tableSchema": {"columns": columns},
        "notes": {
            "query_digest": release.query_digest,
            "plan_digest": release.plan_digest,
            "manifest_digest": release.manifest_digest,
            "mechanism": release.mechanism,
            "epsilon": release.cost.epsilon,
            "rho": release.cost.rho,
            "delta": release.cost.delta,
            "max_cells_per_household": table.max_cells,
            "councils_asked": len(release.councils),
            "councils_contributed": release.contributed,
            "councils_missing": [record.name for record in release.councils if record.outcome != "contributed"],
            "data_cut_off": release.data_cut_off,
            "created_at": release.created_at,
            "software": release.software,
            "shorthand": SHORTHAND,
        },
    }


def chart(release: Release, table: TableRecord) -> str:
    """A dot and its interval for each cell with an estimate, as SVG; always beside the table, never instead of it."""
    import altair as alt  # noqa: PLC0415 - a second to import, and only the analyst draws
    import vl_convert  # noqa: PLC0415 - as above

    rows = [
        {
            "label": " · ".join(labels_of(table.axes, cell.codes)) or "All",
            "estimate": cell.estimate,
            "low": cell.low,
            "high": cell.high,
        }
        for cell in table.cells
        # Where nothing is said the interval is the widest possible: drawn, it would set the scale of all others.
        if cell.estimate is not None
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=400))
    )
    interval = base.mark_rule(color="#1d70b8", strokeWidth=3).encode(
        x=alt.X("low:Q", title=f"{table.title}, with 95% interval"), x2="high:Q"
    )
    dot = base.mark_circle(color="#0b0c0c", size=60, opacity=1).encode(x="estimate:Q")
    said = wrap(table.caveat, CAVEAT_WIDTH)
    title = [release.title, f"{release.level_label}. {release.note}", *said]
    picture = (interval + dot).properties(width=480, title=title)
    return vl_convert.vegalite_to_svg(picture.to_json())
