"""`federated analyse` and `federated baseline`, as typed: printed, as JSON, as files, and one sentence for each mistake."""

import csv
import json
import os

import pytest
from typer.testing import CliRunner

from federated.cli import app
from federated.errors import FederatedError
from federated.keys import make_key, public_line, write_private_key
from tests.spec.analyses import assessed, contacts, outcomes, regional, sexes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("answers")
    for name, source in (
        ("old", outcomes(2024)),
        ("new", outcomes(2025)),
        ("sex", sexes(2025)),
        ("sex_old", sexes(2024)),
    ):
        (place / f"{name}.json").write_bytes(source.release.encode())
    (place / "assessed.json").write_bytes(assessed().release.encode())
    (place / "regions.json").write_bytes(regional().release.encode())
    (place / "week.json").write_bytes(contacts().release.encode())
    key = make_key(os.urandom)
    write_private_key(place / "analyst.key", key)
    (place / "public").write_text(public_line(key.public), encoding="utf-8")
    done = typed(place, "baseline", "freeze", "winter", "old.json", "--key", "analyst.key", "--out", "winter.baseline")
    assert "Frozen: Households assessed, 2024" in done
    return place


def invoked(folder, *words):
    before = os.getcwd()  # noqa: PTH109 - restored below
    os.chdir(folder)
    try:
        return CliRunner().invoke(app, list(words))
    finally:
        os.chdir(before)


def typed(folder, *words):
    done = invoked(folder, *words)
    assert done.exit_code == 0, done.exception or done.output
    return done.output


def refused(folder, *words):
    error = invoked(folder, *words).exception
    assert isinstance(error, FederatedError), error
    assert error.remedy
    return str(error)


RUNS = {
    "rate": ("analyse", "rate", "new.json"),
    "share": ("analyse", "share", "new.json"),
    "difference": ("analyse", "change", "old.json", "new.json"),
    "uniformity": ("analyse", "uniformity", "week.json", "--expected", "days", "--draws", "499"),
    "reconcile": ("analyse", "reconcile", "assessed.json"),
    "map": ("analyse", "map", "regions.json", "--select", "main_sex=female"),
    "ratio": ("analyse", "change", "old.json", "new.json", "--measure", "ratio"),
    "difference_in_differences": (
        *("analyse", "difference-in-differences", "sex_old.json", "sex.json"),
        *("--axis", "main_sex", "--one", "female", "--other", "male"),
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_an_analysis_is_printed_given_as_json_and_written(folder, name):
    printed = typed(folder, *RUNS[name])
    assert f"{'70 of 70' if name == 'map' else '12 of 12'} councils are in the figures." in printed
    assert "95% interval" in printed
    assert "not official statistics" in printed
    found = json.loads(typed(folder, *RUNS[name], "--json", "--out", f"out_{name}"))
    assert found["version"] == 1
    assert len(found["releases"]) == (2 if "change" in RUNS[name] or "sex.json" in RUNS[name] else 1)
    [written] = (folder / f"out_{name}").glob("*.csv")
    assert json.loads(written.with_suffix(".json").read_text(encoding="utf-8")) == found
    with written.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found["cells"])
    lows = [None if row["low"] == "" else float(row["low"]) for row in rows]
    assert lows == [cell["low"] for cell in found["cells"]]


def test_published_figures_come_from_a_file_too(folder):
    (folder / "own.csv").write_text("assessment_outcome,published\nrelief_owed,10\n", encoding="utf-8")
    own = ("analyse", "reconcile", "new.json", "--published", "own.csv", "--rounded-to", "10")
    printed = typed(folder, *own)
    assert "WARNING: 1 of 1 gaps" in printed
    assert "not judged" in printed
    assert "up to 5" in printed


def test_a_baseline_is_checked_and_named(folder):
    public = (folder / "public").read_text(encoding="utf-8")
    held = ("--baseline", "winter.baseline", "--signed-by", public)
    assert "frozen baseline 'winter'" in typed(folder, *RUNS["difference"], *held)
    assert "not checked against a frozen baseline" in typed(folder, *RUNS["difference"])
    assert "not the one frozen as 'winter'" in refused(folder, "analyse", "change", "new.json", "old.json", *held)
    other = public_line(make_key(os.urandom).public)
    assert "trusted signatures" in refused(folder, *RUNS["difference"], *held[:3], other)
    assert "only by the key" in refused(folder, *RUNS["difference"], *held[:2])


def test_a_map_is_drawn_on_boundaries_of_the_users_own(folder):
    codes = regional().table.axes[0].codes
    place = {"type": "Point", "coordinates": [-1.6, 55.0]}
    features = [{"type": "Feature", "properties": {"RGN": code}, "geometry": place} for code in codes]
    own = folder / "boundaries.json"
    own.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    words = (*RUNS["map"], "--rate", "--boundaries", "boundaries.json", "--code-property", "RGN")
    printed = typed(folder, *words, "--out", "drawn")
    assert "main_sex_map.geojson" in printed
    drawn = json.loads((folder / "drawn" / "main_sex_map.geojson").read_text(encoding="utf-8"))
    table = json.loads((folder / "drawn" / "main_sex_map.json").read_text(encoding="utf-8"))
    assert [item["properties"]["estimate"] for item in drawn["features"]] == [c["estimate"] for c in table["cells"]]
    assert "is a file" in refused(folder, *words)
    assert "no boundary for" in refused(folder, *words[:-2], "--out", "undrawn")
    assert not (folder / "undrawn").exists()


def test_a_design_is_printed(folder):
    assert "Association only" in typed(folder, *RUNS["difference"])
    assert "Association only" not in typed(folder, *RUNS["difference"], "--design", "A pilot")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("analyse", "rate", "nowhere.json"), "cannot be read"),
        (("analyse", "rate", "analyst.key"), "not a release"),
        (("analyse", "rate", "new.json", "--table", "x"), "no table 'x'"),
        (("analyse", "rate", "new.json", "--denominators", "public"), "must have the columns"),
        (("analyse", "share", "new.json", "--along", "x"), "no axis 'x'"),
        (("analyse", "change", "new.json", "new.json"), "one and the same"),
        (("analyse", "change", "old.json", "new.json", "--measure", "log"), "no measure 'log'"),
        (("analyse", "uniformity", "week.json", "--expected", "nowhere.csv"), "cannot be read"),
        (("analyse", "uniformity", "week.json", "--along", "x"), "no axis 'x'"),
        (("analyse", "reconcile", "old.json"), "2025-01-01 to 2025-03-31"),
        (("analyse", "reconcile", "new.json", "--published", "public"), "column 'published'"),
        (("analyse", "map", "new.json"), "not of regions"),
        (("analyse", "map", "regions.json", "--select", "main_sex"), "written axis=code"),
        (("baseline", "freeze", "A B", "old.json", "--key", "analyst.key"), "cannot be a baseline's name"),
    ],
)
def test_a_mistake_gets_a_sentence_and_a_remedy(folder, words, said):
    assert said in refused(folder, *words)
