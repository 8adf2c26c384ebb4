"""The files that a release can be written as: one table of them, for the command and for web pages.

Everything here gives bytes and writes nothing; the same release gives the same bytes (pictures and pages on one
installation: they depend on its fonts and styles). `federated.outputs.writing` writes files.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from federated.errors import QueryError
from federated.manifest import Manifest
from federated.outputs.chart import ALT_TEXTS, chart, chart_png, chart_texts, is_drawn
from federated.outputs.csv_metadata import metadata_text
from federated.outputs.csv_table import table_csv
from federated.outputs.facts import Fact
from federated.outputs.geojson import Boundaries, table_geojson
from federated.outputs.method_note import method_note
from federated.outputs.parquet import table_parquet
from federated.outputs.spreadsheet import release_ods
from federated.release import Release, TableRecord, is_region_table

__all__ = ["FILES", "FORMATS", "Made", "Offered", "ReleaseFile", "TableFile", "chosen_formats", "files_of", "offered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """A file of a whole release.

    Attributes:
        format: What people call it, for example ``ods``; a format may have several files.
        name: Of the file.
        label: What it is, for people.
        media_type: As the web names it.
        make: Its bytes, from the release and, where there is one, the manifest of its question.
        make_with: The same with what came after the release, where the file has a place for that.
    """

    format: str
    name: str
    label: str
    media_type: str
    make: Callable[[Release, Manifest | None], bytes]
    make_with: Callable[[Release, Manifest | None, Sequence[Fact]], bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """A file of each table of a release.

    Attributes:
        format: As `ReleaseFile.format`.
        suffix: Of the file's name, which begins with the table's.
        label: What it is, for people.
        media_type: As the web names it.
        make: Its bytes.
        make_on: The same on boundaries, where it has a place for them.
        has: Whether a table has such a file.
    """

    format: str
    suffix: str
    label: str
    media_type: str
    make: Callable[[Release, TableRecord], bytes]
    make_on: Callable[[Release, TableRecord, Boundaries | None], bytes] | None = None
    has: Callable[[TableRecord], bool] = lambda _table: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A file that can be made.

    Attributes:
        format: As people call it.
        name: Of the file.
        label: What it is, for people.
        media_type: As the web names it.
        table: The table it is of; empty where it is of the whole release.
        changes: Whether it holds what came after the release, and so changes with that.
        make: Its bytes.
    """

    format: str
    name: str
    label: str
    media_type: str
    table: str
    changes: bool = False
    make: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file that was made: its name, what it is, and its bytes."""

    name: str
    media_type: str
    content: bytes


FILES: Final[tuple[ReleaseFile | TableFile, ...]] = (
    ReleaseFile(
        format="json",
        name="release.json",
        label="the exact answer (JSON)",
        media_type="application/json",
        make=lambda r, _: r.encode(),
    ),
    TableFile(
        format="csv",
        suffix=".csv",
        label="CSV (comma-separated values)",
        media_type="text/csv",
        make=lambda r, t: table_csv(r, t).encode(),
    ),
    TableFile(
        format="csv",
        suffix=".csv-metadata.json",
        label="what its columns mean (CSVW)",
        media_type="application/csvm+json",
        make=lambda r, t: metadata_text(r, t).encode(),
    ),
    ReleaseFile(
        format="ods",
        name="release.ods",
        label="a spreadsheet of all tables (ODS)",
        media_type="application/vnd.oasis.opendocument.spreadsheet",
        make=release_ods,
    ),
    TableFile(
        format="parquet",
        suffix=".parquet",
        label="Parquet (for programs)",
        media_type="application/vnd.apache.parquet",
        make=table_parquet,
    ),
    TableFile(
        format="geojson",
        suffix=".geojson",
        label="figures for a map (GeoJSON)",
        media_type="application/geo+json",
        make=table_geojson,
        make_on=table_geojson,
        has=is_region_table,
    ),
    TableFile(
        format="svg",
        suffix=".svg",
        label="a chart (SVG)",
        media_type="image/svg+xml",
        make=lambda r, t: chart(r, t).encode(),
        has=is_drawn,
    ),
    TableFile(format="png", suffix=".png", label="a chart (PNG)", media_type="image/png", make=chart_png, has=is_drawn),
    # A PNG holds no words, so they go beside it.
    ReleaseFile(
        format="png",
        name=ALT_TEXTS,
        label="the words of the charts (CSV)",
        media_type="text/csv",
        make=lambda r, _: chart_texts(r).encode(),
    ),
    ReleaseFile(
        format="html",
        name="method-note.html",
        label="a method note to read or print (HTML)",
        media_type="text/html",
        make=method_note,
        make_with=method_note,
    ),
)
FORMATS: Final = tuple(dict.fromkeys(file.format for file in FILES))


def chosen_formats(text: str) -> tuple[str, ...]:
    """Formats as a person lists them, with commas between.

    Raises:
        QueryError: Names the one that there is not.
    """
    named = tuple(name.strip().lower() for name in text.split(","))
    for name in named:
        if name not in FORMATS:
            raise QueryError(f"There is no format '{name}'.", remedy=f"Choose from: {', '.join(FORMATS)}.")
    return named


def files_of(
    release: Release,
    formats: Iterable[str] = FORMATS,
    *,
    manifest: Manifest | None = None,
    boundaries: Boundaries | None = None,
) -> Iterator[Made]:
    """The files of a release, one after another.

    Args:
        release: The release.
        formats: Which; all, unless some are named.
        manifest: Of its question: spreadsheet and note then hold decision, recipients and contacts.
        boundaries: For the maps; without them their features have no geometry.

    Raises:
        FileProblem: The manifest is not the release's, or a region has no boundary.
    """
    for file in offered(release, formats, manifest=manifest, boundaries=boundaries):
        yield Made(name=file.name, media_type=file.media_type, content=file.make())


def offered(
    release: Release,
    formats: Iterable[str] = FORMATS,
    *,
    manifest: Manifest | None = None,
    said: Sequence[Fact] = (),
    boundaries: Boundaries | None = None,
) -> Iterator[Offered]:
    """The files that `files_of` would make, before any is made; `said` is what came after the release."""
    chosen = frozenset(formats)
    for file in FILES:
        if file.format not in chosen:
            continue
        match file:
            case ReleaseFile():
                yield Offered(
                    format=file.format,
                    name=file.name,
                    label=file.label,
                    media_type=file.media_type,
                    table="",
                    changes=file.make_with is not None,
                    make=(
                        partial(file.make, release, manifest)
                        if file.make_with is None
                        else partial(file.make_with, release, manifest, said)
                    ),
                )
            case TableFile():
                for table in filter(file.has, release.tables):
                    yield Offered(
                        format=file.format,
                        name=f"{table.name}{file.suffix}",
                        label=file.label,
                        media_type=file.media_type,
                        table=table.name,
                        make=(
                            partial(file.make, release, table)
                            if file.make_on is None
                            else partial(file.make_on, release, table, boundaries)
                        ),
                    )
