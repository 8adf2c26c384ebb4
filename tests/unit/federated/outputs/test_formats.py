"""One table of formats: every file of it is named, made the same each time, and written by one command."""

import hashlib
import json
import subprocess
import sys

import pytest

from federated.errors import FileProblem, QueryError
from federated.manifest import parse_manifest
from federated.outputs.formats import FORMATS, chosen_formats, files_of
from federated.outputs.writing import export_release
from tests.architecture.source_tree import ROOT
from tests.e2e.typed_commands import typed_in
from tests.unit.federated.outputs.answers import MANIFEST, manifest, release

OF_A_TABLE = (".csv", ".csv-metadata.json", ".parquet", ".png", ".svg")
ELSEWHERE = """
import hashlib, json, sys
import odf.chart, odf.draw, odf.presentation  # what another user of the library leaves behind
from federated.manifest import parse_manifest
from federated.outputs.formats import files_of
from federated.release import open_release
release = open_release(open(sys.argv[1], "rb").read())
manifest = parse_manifest(open(sys.argv[2], "rb").read())
odf.chart.Chart({"class": "chart:bar"}) if False else odf.draw.Frame()
print(json.dumps({m.name: hashlib.sha256(m.content).hexdigest() for m in files_of(release, manifest=manifest)}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("release")
    (made / "release.json").write_bytes(release().encode())
    (made / "manifest.yaml").write_bytes(MANIFEST)
    return made


def test_the_same_release_gives_the_same_bytes_also_in_another_process(folder):
    here = {made.name: hashlib.sha256(made.content).hexdigest() for made in files_of(release(), manifest=manifest())}
    arguments = [sys.executable, "-c", ELSEWHERE, str(folder / "release.json"), str(folder / "manifest.yaml")]
    done = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo"},
    )
    assert json.loads(done.stdout) == here
    changed = release().model_copy(update={"title": "Another"})
    again = {made.name: hashlib.sha256(made.content).hexdigest() for made in files_of(changed, ("ods", "html", "json"))}
    assert all(again[name] != here[name] for name in again)


def test_every_format_has_its_files(folder):
    made = {item.name: item for item in files_of(release())}
    tables = [table.name for table in release().tables]
    assert made.keys() == {f"{name}{suffix}" for name in tables for suffix in OF_A_TABLE} | {
        "release.json",
        "release.ods",
        "method-note.html",
        "chart-texts.csv",
        "regions.geojson",
    }
    assert all(item.content and "/" in item.media_type for item in made.values())
    assert FORMATS == ("json", "csv", "ods", "parquet", "geojson", "svg", "png", "html")
    assert [item.name for item in files_of(release(), ("ods",))] == ["release.ods"]


def test_a_format_that_there_is_not_is_named():
    assert chosen_formats("CSV, ods") == ("csv", "ods")
    with pytest.raises(QueryError, match="There is no format 'pdf'") as found:
        chosen_formats("csv,pdf")
    assert "json, csv, ods, parquet, geojson, svg, png, html" in found.value.diagnostics()


def test_another_manifest_is_refused():
    other = parse_manifest(MANIFEST + b"\n")
    for name in ("ods", "html"):
        with pytest.raises(FileProblem, match="not the one that this release was asked with"):
            list(files_of(release(), (name,), manifest=other))


def test_the_command_writes_what_is_chosen(folder):
    said = typed_in(folder, "federated", "export", "release.json", "--out", "some", "--format", "csv,html").stdout
    written = {path.name for path in (folder / "some").iterdir()}
    assert written == {
        "method-note.html",
        *(f"{table.name}{suffix}" for table in release().tables for suffix in (".csv", ".csv-metadata.json")),
    }
    assert said.count("Wrote some/") == len(written)
    explained = ("--format", "ods", "--manifest", "manifest.yaml", "--out", "explained")
    typed_in(folder, "federated", "export", "release.json", *explained)
    (expected,) = files_of(release(), ("ods",), manifest=manifest())
    assert (folder / "explained" / "release.ods").read_bytes() == expected.content


def test_a_wrong_format_ends_the_command_with_a_sentence(folder):
    done = typed_in(folder, "federated", "export", "release.json", "--out", "none", "--format", "xls", status=3)
    assert "There is no format 'xls'" in done.stderr
    assert not (folder / "none").exists()


def test_a_folder_that_cannot_be_written_is_named(folder):
    with pytest.raises(FileProblem, match="the release cannot be written there"):
        export_release(release(), folder / "release.json" / "below", ("json",))
