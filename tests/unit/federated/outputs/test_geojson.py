"""Maps: a feature for each row of a table by region, on boundaries that somebody gave, or on none."""

import json
from math import inf

import pytest

from federated.errors import FileProblem
from federated.outputs import geojson
from federated.outputs.facts import facts_of
from federated.outputs.formats import files_of
from federated.outputs.geojson import WITHOUT, read_boundaries, table_geojson
from tests.e2e.typed_commands import typed_in
from tests.unit.federated.outputs.answers import release

REGIONS = release().table("regions")
CODES = REGIONS.axes[0].codes


def square(east):
    return {"type": "Polygon", "coordinates": [[[east, 50], [east + 1, 50], [east + 1, 51], [east, 50]]]}


def written(*codes, name="RGN24CD"):
    features = [
        {"type": "Feature", "properties": {name: code, "shown": "no"}, "geometry": square(-number)}
        for number, code in enumerate(codes)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def boundaries(*codes, source=""):
    return read_boundaries(written(*codes), code_property="RGN24CD", name="regions.json", source=source)


def made(table=REGIONS, given=None, of=None):
    return json.loads(table_geojson(of or release(), table, given))


def changed(**changes):
    """The release with another first figure of its regions."""
    first, *others = REGIONS.cells
    table = REGIONS.model_copy(update={"cells": (first.model_copy(update=changes), *others)})
    tables = tuple(table if one.name == table.name else one for one in release().tables)
    return release().model_copy(update={"tables": tables}), table


def test_each_feature_has_the_shape_of_its_region_as_it_was_given():
    found = made(given=boundaries("E12000099", *CODES, source="Office for National Statistics, 2024"))
    shapes = dict(zip(CODES, (square(-1 - place) for place in range(len(CODES))), strict=True))
    assert len(found["features"]) == len(REGIONS.cells) > len(CODES) > 1
    assert all(feature["geometry"] == shapes[feature["properties"]["region"]] for feature in found["features"])
    assert found["boundaries"] == "Office for National Statistics, 2024"
    assert WITHOUT not in found["note"]
    without = made()
    assert [one["properties"] for one in without["features"]] == [one["properties"] for one in found["features"]]
    assert "boundaries" not in without
    assert WITHOUT in without["note"]


def test_marks_stand_beside_the_estimate_and_an_open_end_is_null():
    of, table = changed(estimate=4.0, low=1.0, high=inf)
    first = made(table, of=of)["features"][0]["properties"]
    assert (first["estimate"], first["low"], first["high"], first["presented"]) == (4.0, 1.0, None, "[c]")
    assert first["region"] == CODES[0]
    assert first["region_label"] == table.axes[0].labels[0]
    of, table = changed(estimate=None, standard_error=None, low=-inf, high=inf)
    first = made(table, of=of)["features"][0]["properties"]
    assert (first["estimate"], first["low"], first["presented"]) == (None, None, "[x]")


def test_a_caveat_is_in_every_feature():
    table = REGIONS.model_copy(update={"caveat": "Say this."})
    assert {one["properties"]["caveat"] for one in made(table)["features"]} == {"Say this."}


def test_a_region_without_a_boundary_is_refused():
    with pytest.raises(FileProblem, match=f"regions.json has no boundary for 1 of the zones: {CODES[0]}"):
        made(given=boundaries(*CODES[1:]))


def test_shapes_that_a_long_table_would_repeat_too_often_are_left_out_and_that_is_said(monkeypatch):
    given = boundaries(*CODES)
    size = given.size(cell.codes[0] for cell in REGIONS.cells)
    monkeypatch.setattr(geojson, "MOST_BYTES", size)
    assert made(given=given)["features"][0]["geometry"] is not None
    monkeypatch.setattr(geojson, "MOST_BYTES", size - 1)
    found = made(given=given)
    assert {one["geometry"] for one in found["features"]} == {None}
    assert WITHOUT in found["note"]
    assert "boundaries" not in found


@pytest.mark.parametrize(
    "geometry",
    [
        "[]",
        "{}",
        "7",
        '{"coordinates": []}',
        '{"coordinates": "ab"}',
        '{"coordinates": {"0": 1}}',
        '{"coordinates": [[1e999, 50]]}',
        '{"coordinates": [[1, 50], [Infinity, 50]]}',
        '{"coordinates": [[1, 50], [-1e999, 50]]}',
        f'{{"coordinates": [1{"0" * 400}, 50]}}',
        f'{{"coordinates": [1, 50, 1{"0" * 400}]}}',
        f'{{"coordinates": [1, 50], "bbox": [-1{"0" * 400}, 50]}}',
        f'{{"coordinates": [1, 50], "bbox": [1{"0" * 5000}, 50]}}',
        '{"coordinates": [true, 50]}',
        '{"coordinates": [1, false]}',
        '{"coordinates": [[1, 50], [2, true]]}',
        '{"coordinates": [1, 50, true]}',
        '{"coordinates": [[1, 50], [2]]}',
        '{"coordinates": [[1, 50], []]}',
        '{"coordinates": [[1, 50], 7]}',
        '{"coordinates": [[1, 50], [2, [3]]]}',
        '{"coordinates": [[1, 50], "ab"]}',
        f'{{"coordinates": {"[" * 100_000}',
    ],
)
def test_a_shape_that_is_none_is_refused_with_a_sentence(geometry):
    content = (
        f'{{"type": "FeatureCollection", "features": [{{"properties": {{"code": "E1"}}, "geometry": {geometry}}}]}}'
    )
    with pytest.raises(FileProblem, match="x is not a GeoJSON feature collection"):
        read_boundaries(content.encode(), code_property="code", name="x")


def one_shape(coordinates):
    feature = {"type": "Feature", "properties": {"code": "E1"}, "geometry": {"coordinates": coordinates}}
    content = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
    return read_boundaries(content, code_property="code", name="x").shapes["E1"]["coordinates"]


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("other", [[393000, 800000], [393000.5, 50], [1, 90.5], [-180.5, 50], [1, -(10**300)]])
def test_every_position_of_a_shape_is_in_degrees(place, other):
    ring = [[-1.5, 54.5], [-1.4, 54.5], [-1.4, 54.6, 12], [-1.5, 54.5]]
    for shape in (ring[0], ring, [ring], [[ring], [ring]]):
        assert one_shape(shape) == shape
    ring[place] = other
    for shape in ([ring], [[[[-1, 54], [-1, 55], [-2, 55], [-1, 54]]], [ring]]):
        with pytest.raises(FileProblem, match="not in longitude and latitude"):
            one_shape(shape)


def test_whole_numbers_as_large_as_programs_read_are_kept_as_they_are():
    largest = 2**63
    assert one_shape([180, -90, largest]) == [180, -90, largest]
    content = written("E1").replace(b'"shown": "no"', b'"shown": %d' % largest)
    assert read_boundaries(content, code_property="RGN24CD", name="x").shapes


def test_other_boundaries_have_another_mark():
    first = boundaries(*CODES)
    assert boundaries(*CODES).mark == first.mark
    assert first.mark not in {boundaries(*CODES[1:]).mark, boundaries(*CODES, source="Somebody").mark}


def test_only_a_table_by_region_has_such_a_file_and_the_note_tells_what_it_needs():
    assert [file.name for file in files_of(release(), ("geojson",))] == ["regions.geojson"]
    said = " ".join(line for fact in facts_of(release(), None) for line in fact.lines)
    assert "regions.geojson" in said
    assert "join them to boundaries by that code" in said
    kept = tuple(table for table in release().tables if table.name != "regions")
    question = release().plan["question"]
    plan = release().plan | {
        "question": question | {"tables": [one for one in question["tables"] if one["name"] != "regions"]}
    }
    without = release().model_copy(update={"tables": kept, "plan": plan})
    assert list(files_of(without, ("geojson",))) == []
    assert "GeoJSON" not in " ".join(line for fact in facts_of(without, None) for line in fact.lines)


def test_the_command_puts_figures_on_boundaries_and_says_where_there_is_nothing_to_map(tmp_path):
    (tmp_path / "release.json").write_bytes(release().encode())
    (tmp_path / "shapes.json").write_bytes(written(*CODES))
    choice = ("export", "release.json", "--format", "geojson")
    on = ("--boundaries", "shapes.json", "--code-property", "RGN24CD", "--out", "maps")
    typed_in(tmp_path, "federated", *choice, *on)
    (file,) = files_of(release(), ("geojson",), boundaries=boundaries(*CODES))
    assert (tmp_path / "maps" / "regions.geojson").read_bytes() == file.content
    done = typed_in(tmp_path, "federated", *choice, "--boundaries", "shapes.json", "--out", "none", status=3)
    assert "no boundary for" in done.stderr
    plain = release().model_copy(update={"tables": release().tables[:1]})
    (tmp_path / "release.json").write_bytes(plain.encode())
    done = typed_in(tmp_path, "federated", *choice, "--out", "none", status=3)
    assert "No table of this release has a file of that format" in done.stderr
