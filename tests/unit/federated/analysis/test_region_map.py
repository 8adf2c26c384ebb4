"""Maps: a figure for each region under its code, small noisy counts blank, and boundaries only from the user."""

import json

import numpy as np
import pytest

from federated.analysis import noisy_table
from federated.analysis.public_figures import shipped_households
from federated.analysis.rate import rate
from federated.analysis.region_map import zones, zones_geojson
from federated.errors import FileProblem, QueryError
from federated.outputs.geojson import read_boundaries
from federated.query import Dimension, Level, Measured, Table, Value
from federated.schema import load_schema
from tests.unit.federated.analysis.releases import planned, released

SCHEMA = load_schema()
SEXES = SCHEMA.dataset("case").column("main_sex").code_list
BY_SEX = Table(name="t", statistic="households", by=(Dimension(column="main_sex"),), level=Level.REGION)
PLAIN = Table(name="t", statistic="households", level=Level.REGION)
COUNCILS = 70  # the North East, and enough of others for more regions


def table(asked=BY_SEX, truth=None, **changes):
    plan = planned(asked, count=COUNCILS, **changes)
    shape = plan.tables[0].layout.shape
    truth = np.arange(1, np.prod(shape) + 1).reshape(shape) * 20 if truth is None else truth
    return noisy_table(released(plan, {"t": truth}, exact=True), "t")


@pytest.fixture(scope="module")
def source():
    return table()


def boundaries(*codes, name="RGN", **changes):
    features = [
        {
            "type": "Feature",
            "properties": {name: code},
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [number, 1], [1, 1], [0, 0]]]},
        }
        for number, code in enumerate(codes)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features} | changes).encode()


def test_each_region_has_the_figure_of_the_category_chosen(source):
    regions = source.table.axes[0].codes
    assert len(regions) > 1
    found = zones(source, chosen={"main_sex": "female"}, schema=SCHEMA)
    assert [cell.codes for cell in found.cells] == [(code,) for code in regions]
    assert [cell.estimate for cell in found.cells] == source.totals[:, SEXES.index("female")].tolist()
    assert [axis.name for axis in found.axes] == ["region"]
    assert found.as_csv().splitlines()[1].startswith(f"{regions[0]},")
    assert "main_sex female" in found.title


def test_rates_can_be_mapped_and_smallness_is_that_of_the_count(source):
    chosen = {"main_sex": "male"}
    found = zones(source, chosen=chosen, denominators=shipped_households(), smallest=0, schema=SCHEMA)
    of = rate(source, shipped_households(), SCHEMA)
    assert [cell.estimate for cell in found.cells] == [c.estimate for c in of.cells if c.codes[1] == "male"]
    counts = source.totals[:, SEXES.index("male")]
    cut = zones(source, chosen=chosen, denominators=shipped_households(), smallest=int(counts.max()), schema=SCHEMA)
    assert [cell.estimate is None for cell in cut.cells] == (counts < counts.max()).tolist()


def test_a_noisy_count_under_the_smallest_is_blank_and_named():
    source = table(PLAIN, truth=None)
    regions = source.table.axes[0].codes
    few = zones(source, smallest=21, schema=SCHEMA)
    assert [cell.estimate for cell in few.cells] == [None, *source.totals[1:].tolist()]
    blank = few.as_json()["cells"][0]
    assert {blank[name] for name in ("estimate", "standard_error", "low", "high")} == {None}
    assert few.notes[0] == f"Left blank, as the estimate is under 21: {regions[0]}."
    assert zones(source, smallest=20, schema=SCHEMA).cells[0].estimate == 20


def test_a_sum_below_zero_is_not_blank_for_that():
    measured = Measured(measure=Value(column="dependent_children_n"), low=-60, high=60)
    asked = Table(name="t", statistic="sum", measures=(measured,), level=Level.REGION)
    regions = len(table(PLAIN).table.axes[0].codes)
    truth = np.resize((-500, -9, 9, 500), regions)
    found = zones(table(asked, truth), schema=SCHEMA)
    assert [cell.estimate for cell in found.cells] == [None if abs(one) < 10 else one for one in truth]
    assert found.notes[0].startswith("Left blank, as the size of the estimate is under 10: ")


def test_boundaries_are_joined_by_code_and_passed_on_unchanged(source):
    regions = source.table.axes[0].codes
    given = boundaries(*reversed(regions), "E12000099")
    found = zones_geojson(
        zones(source, chosen={"main_sex": "female"}, schema=SCHEMA),
        read_boundaries(given, code_property="RGN", name="x"),
    )
    shapes = {item["properties"]["RGN"]: item["geometry"] for item in json.loads(given)["features"]}
    assert [item["properties"]["code"] for item in found["features"]] == list(regions)
    assert all(item["geometry"] == shapes[item["properties"]["code"]] for item in found["features"])
    first = found["features"][0]["properties"]
    assert (first["name"], first["estimate"]) == (source.table.axes[0].labels[0], source.totals[0, 1])
    assert "not official statistics" in found["note"]
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda regions: boundaries(*regions[1:]), "no boundary for 1 of the zones"),
        (lambda regions: boundaries(*regions, name="code"), "for [0-9]+ of the zones"),
        (lambda regions: boundaries(*regions, regions[0]), "two boundaries for E12"),
        (lambda regions: boundaries(*regions).replace(b"Polygon", b"\xff"), "not a GeoJSON"),
        (lambda regions: boundaries(*regions, features=[5]), "not a GeoJSON"),
        (lambda regions: boundaries(*regions, type="Feature"), "no boundary"),
        (lambda _: b"[]", "not a GeoJSON"),
        (lambda regions: boundaries(*regions).replace(b"[1, 1]", b"[NaN, 1]"), "not a GeoJSON"),
        (lambda regions: boundaries(*regions).replace(b"[[[0, 0]", b"[[[393000, 800000]"), "393000, 800000.*"),
        (lambda regions: boundaries(*regions).replace(b"[[[0, 0]", b"[[[0, 90.5]"), "not in longitude and latitude"),
        (lambda regions: boundaries(*regions).replace(b'"coordinates"', b'"places"'), "not a GeoJSON"),
        (
            lambda _: json.dumps(
                {"type": "FeatureCollection", "features": [{"properties": {"RGN": "E12000001"}, "geometry": None}]}
            ).encode(),
            "no boundary",
        ),
    ],
)
def test_boundaries_that_do_not_match_are_refused(source, given, said):
    made = zones(source, chosen={"main_sex": "female"}, schema=SCHEMA)
    with pytest.raises(FileProblem, match=said):
        zones_geojson(made, read_boundaries(given(source.table.axes[0].codes), code_property="RGN", name="x.json"))


@pytest.mark.parametrize(
    ("asked", "chosen", "said"),
    [
        (Table(name="t", statistic="households", by=BY_SEX.by), {"main_sex": "female"}, "not of regions"),
        (BY_SEX, {}, "has the other axes: main_sex"),
        (BY_SEX, {"main_sex": "x"}, "no category 'x'"),
        (BY_SEX, {"main_sex": "female", "age": "x"}, "has the other axes: main_sex"),
        (PLAIN, {"main_sex": "female"}, "has the other axes: none"),
    ],
)
def test_what_is_not_one_figure_for_each_region_is_refused(asked, chosen, said):
    with pytest.raises(QueryError, match=said):
        zones(table(asked), chosen=chosen, schema=SCHEMA)
