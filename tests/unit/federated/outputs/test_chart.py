"""Charts can be read without seeing colours, or without seeing them at all."""

import csv
import io
import re
import struct
from xml.etree import ElementTree as ET

from federated.outputs import chart as chart_module
from federated.outputs.chart import MAX_CHART_CELLS, chart, chart_png, chart_texts, chart_words
from federated.outputs.formats import files_of
from federated.outputs.quotes import where_and_when
from tests.unit.federated.outputs.answers import LABEL, release

SVG = "{http://www.w3.org/2000/svg}"


def texts_of(picture):
    return ["".join(item.itertext()) for item in ET.fromstring(picture).iter(f"{SVG}text")]


def test_a_screen_reader_gets_title_and_words():
    table = release().table("reasons")
    root = ET.fromstring(chart(release(), table))
    title, described = chart_words(release(), table)
    assert root.get("role") == "img"
    ids = root.get("aria-labelledby").split()
    assert [(item.get("id"), item.text) for item in (root.find(f"{SVG}title"), root.find(f"{SVG}desc"))] == list(
        zip(ids, (title, described), strict=True)
    )
    # The largest and its interval, what is not shown, and where the figures are.
    assert f"Largest: {LABEL}, 1,234,570 (95% interval 1,234,563 to 1,234,572)" in described
    assert "Not shown: 3." in described
    assert "'reasons'" in described


def test_a_period_is_told_as_people_write_it():
    table = release().table("reasons")
    words = where_and_when(release())
    assert re.search(r", \d+ [A-Z][a-z]+ \d{4} to \d+ [A-Z][a-z]+ \d{4}$", words)
    assert any(f"{words}." in text for text in texts_of(chart(release(), table)))
    assert words in chart_words(release(), table)[1]


def test_ids_of_two_charts_on_a_page_are_different():
    first, second = (chart(release(), release().table(name)) for name in ("reasons", "children"))
    assert ET.fromstring(first).get("aria-labelledby") != ET.fromstring(second).get("aria-labelledby")


def test_marks_are_told_apart_by_shape_and_words():
    picture = chart(release(), release().table("reasons"))
    assert {"margin within 20%", "margin above 20% [u]"} <= set(texts_of(picture))
    looks = chart_module.LOOKS
    assert len(set(looks["shape"])) == len(looks["shape"]) == 2
    shapes = {
        item.get("d")
        for item in ET.fromstring(picture).iter(f"{SVG}path")
        if item.get("aria-roledescription") == "point"
    }
    assert len(shapes) == 2


def marks(picture):
    return sum(item.get("aria-roledescription") == "point" for item in ET.fromstring(picture).iter(f"{SVG}path"))


def test_what_is_not_printed_is_not_drawn_but_keeps_its_line():
    table = release().table("reasons")
    picture = chart(release(), table)
    assert marks(picture) == len(table.cells) - 3
    assert sum(text.endswith("[c]") for text in texts_of(picture)) == 2
    assert sum(text.endswith("[x]") for text in texts_of(picture)) == 1


def test_labels_that_are_the_same_are_told_apart_by_their_codes():
    table = release().table("children")
    (axis,) = table.axes
    twins = axis.model_copy(update={"labels": ("Same", "Same", *axis.labels[2:])})
    drawn = texts_of(chart(release(), table.model_copy(update={"axes": (twins,)})))
    same = [text.removesuffix(" [u]") for text in drawn if text.startswith("Same")]
    assert same == [f"Same ({code})" for code in axis.codes[:2]]


def test_a_png_is_sharp_and_has_its_words_beside_it():
    table = release().table("children")
    picture = chart_png(release(), table)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, _ = struct.unpack(">II", picture[16:24])
    svg = ET.fromstring(chart(release(), table))
    assert width == 2 * int(svg.get("width"))
    made = {item.name: item.content for item in files_of(release(), ("png",))}
    rows = list(csv.DictReader(io.StringIO(made["chart-texts.csv"].decode())))
    assert {row["picture"] for row in rows} == {name for name in made if name.endswith(".png")}
    for row in rows:
        assert (row["title"], row["text_alternative"]) == chart_words(release(), release().table(row["table"]))


def test_a_table_of_too_many_figures_has_no_chart():
    table = release().table("children")
    long = table.model_copy(update={"cells": table.cells[:1] * (MAX_CHART_CELLS + 1)})
    found = release().model_copy(update={"tables": (long,)})
    assert [item.name for item in files_of(found, ("svg",))] == []
    assert chart_texts(found).count("\n") == 1
    fits = release().model_copy(update={"tables": (table,)})
    assert [item.name for item in files_of(fits, ("svg",))] == ["children.svg"]


def test_words_carry_a_caveat():
    crossing = release().table("crossing")
    assert crossing.caveat
    assert crossing.caveat in chart_words(release(), crossing)[1]


def test_entries_of_the_legend_stay_apart_also_in_a_wider_font():
    """A browser without the font that the texts were measured with takes another, up to three tenths wider."""
    table = release().table("children")
    legend = chart(release(), table).partition("role-legend-entry")[2].partition("role-title")[0]
    entry = r'translate\(([0-9.]+),0\)"><path class="background"[^>]* d="M0,0h([0-9.]+)v'
    (first, width), (second, _) = [(float(x), float(size)) for x, size in re.findall(entry, legend) if float(size)]
    (text,) = {float(x) for x in re.findall(r'<text text-anchor="start" transform="translate\(([0-9.]+),', legend)}
    assert second - first > text + 1.3 * (width - text)
