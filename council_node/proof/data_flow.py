"""The data flow as a picture: SVG with a title, a description and real text, readable aloud and without colour."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Final
from xml.etree import ElementTree as ET

from council_node.proof.facts import Facts
from council_node.proof.pack_words import flow_steps
from federated.timestamps import day

__all__ = ["FACTS_ID", "data_flow_svg"]

FACTS_ID: Final = "facts"
SVG: Final = "http://www.w3.org/2000/svg"
WIDTH: Final = 720
BOX_LEFT: Final = 40
BOX_WIDTH: Final = 640
LINE: Final = 22
GAP: Final = 46
CHARACTERS: Final = 74
INSIDE: Final = 3
"""Steps that happen inside the council."""
_INK: Final = "#0b0c0c"
_STYLE: Final = "font-family: arial, sans-serif; font-size: 16px"


def data_flow_svg(facts: Facts, made_on: str, embedded: str) -> str:
    """The picture.

    Args:
        facts: Sections `council`, `coordinator`, `data` and `agreements`.
        made_on: Day, as ``2026-01-31``.
        embedded: The facts as text, kept in the picture's metadata for `council-node pack check`.
    """
    steps = flow_steps(facts)
    title = f"How data flows at {facts['council']['name']}"
    told = " ".join(f"Step {n}: {s['title']} ({s['where']}). {s['text']}" for n, s in enumerate(steps, start=1))
    root = ET.Element("svg", {"xmlns": SVG, "role": "img", "aria-labelledby": "title description"})
    ET.SubElement(root, "title", {"id": "title"}).text = title
    ET.SubElement(root, "desc", {"id": "description"}).text = f"{told} Arrows lead from each step to the next."
    ET.SubElement(root, "metadata", {"id": FACTS_ID}).text = embedded
    _arrowhead(root)
    _text(root, BOX_LEFT, 36, title, "font-size: 22px; font-weight: bold")
    _text(root, BOX_LEFT, 62, f"Made on {day(made_on)} from the node's settings")
    bottom = _steps(root, steps, facts["council"]["name"], top=92)
    root.attrib |= {"viewBox": f"0 0 {WIDTH} {bottom + 20}", "width": str(WIDTH), "height": str(bottom + 20)}
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _steps(root: ET.Element, steps: Sequence[dict[str, str]], council: str, *, top: int) -> int:
    """Boxes from top to bottom with an arrow between; gives the lowest edge."""
    boundary = ET.SubElement(root, "rect", _outline(BOX_LEFT - 20, top, BOX_WIDTH + 40, dashed=True))
    _text(root, BOX_LEFT, top + 24, f"Inside {council}", "font-weight: bold")
    y = top + 40
    for number, step in enumerate(steps, start=1):
        lines = wrap(f"{step['text']}", CHARACTERS)
        height = LINE * (len(lines) + 1) + 18
        ET.SubElement(root, "rect", _outline(BOX_LEFT, y, BOX_WIDTH) | {"height": str(height)})
        _text(root, BOX_LEFT + 14, y + 24, f"{number}. {step['title']}: {step['where']}", "font-weight: bold")
        for row, line in enumerate(lines, start=1):
            _text(root, BOX_LEFT + 14, y + 24 + LINE * row, line)
        y += height
        if number == INSIDE:
            boundary.set("height", str(y + 16 - top))
        if number < len(steps):
            crosses = number == INSIDE
            label = "what leaves: figures with noise under masks, and the keys for that" if crosses else ""
            down = y + (GAP + 24 if crosses else GAP - 14)
            _arrow(root, y, down, label)
            y = down
    return y + 20


def _outline(x: int, y: int, width: int, *, dashed: bool = False) -> dict[str, str]:
    style = {"stroke-dasharray": "8 5"} if dashed else {}
    return {
        "x": str(x), "y": str(y), "width": str(width), "fill": "#ffffff", "fill-opacity": "0" if dashed else "1",
        "stroke": _INK, "stroke-width": "2", **style,
    }  # fmt: skip


def _arrow(root: ET.Element, top: int, bottom: int, label: str) -> None:
    x = str(BOX_LEFT + 60)
    ends = {"x1": x, "x2": x, "y1": str(top), "y2": str(bottom - 4)}
    ET.SubElement(root, "line", {**ends, "stroke": _INK, "stroke-width": "2", "marker-end": "url(#head)"})
    if label:
        _text(root, BOX_LEFT + 80, bottom - 20, label, "font-style: italic")


def _arrowhead(root: ET.Element) -> None:
    marker = {"id": "head", "viewBox": "0 0 10 10", "refX": "9", "refY": "5", "markerWidth": "7", "markerHeight": "7"}
    head = ET.SubElement(ET.SubElement(root, "defs"), "marker", {**marker, "orient": "auto"})
    ET.SubElement(head, "path", {"d": "M 0 0 L 10 5 L 0 10 z", "fill": _INK})


def _text(root: ET.Element, x: int, y: int, words: str, style: str = "") -> None:
    place = {"x": str(x), "y": str(y), "fill": _INK, "style": f"{_STYLE}; {style}".removesuffix("; ")}
    ET.SubElement(root, "text", place).text = words
