"""GeoJSON for maps (RFC 7946): figures as features of the regions they are of, on boundaries that somebody gives.

Boundaries belong to others: none is held or made here. Without them the features have no geometry, which the form
allows, and a mapping program joins them to boundaries of its own by the region's code. So the file is there for every
table by region, and not only where somebody has set up boundaries.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from federated.errors import FileProblem
from federated.outputs.csv_metadata import table_metadata
from federated.outputs.figures import Value, columns_of, rows_of
from federated.release import Release, TableRecord
from protocols.encoding import sha256

__all__ = ["MOST_BYTES", "WITHOUT", "Boundaries", "feature_collection", "read_boundaries", "table_geojson"]

SIZE_LIMIT: Final = 256 * 1024 * 1024
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of all shapes of a file together: a table with other breakdowns repeats a region's shape in each of its rows."""
MOST_NAMED: Final = 5
LONGITUDE, LATITUDE = 180, 90
WITHOUT: Final = "The features have no geometry: join them to boundaries by the code of the region."


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundaries:
    """Shapes by GSS code.

    Attributes:
        name: Of the file they were read from.
        shapes: Geometries as they stood there.
        sizes: Bytes that each takes in a file.
        source: Whom to name wherever they are shown; empty where nobody asked for it.
        mark: Tells them apart from others, hexadecimal.
    """

    name: str
    shapes: Mapping[str, Mapping[str, Any]] = field(repr=False)
    sizes: Mapping[str, int] = field(repr=False)
    source: str = ""
    mark: str

    def require(self, codes: Iterable[str]) -> None:
        """See that each of these has a shape.

        Raises:
            FileProblem: Names those that have none.
        """
        lost = sorted(set(codes) - self.shapes.keys())
        if lost:
            raise FileProblem(
                f"{self.name} has no boundary for {len(lost)} of the zones: {', '.join(lost[:MOST_NAMED])}.",
                remedy="Say which property holds the code, or give boundaries of the same codes; none is made up.",
            )

    def size(self, codes: Iterable[str]) -> int:
        """Bytes that the shapes of these take, each as often as it is named."""
        return sum(self.sizes[code] for code in codes)


def read_boundaries(content: bytes, *, code_property: str, name: str, source: str = "") -> Boundaries:
    """Read boundaries; each is kept as it is.

    Args:
        content: A GeoJSON feature collection, UTF-8, in longitude and latitude.
        code_property: Property of its features that holds the GSS code.
        name: Of the file, for messages.
        source: Whom to name wherever they are shown.

    Raises:
        FileProblem: Not such a file, or a code twice.
    """
    if len(content) > SIZE_LIMIT:
        raise FileProblem(f"{name} has more than {SIZE_LIMIT:,} bytes.", remedy="Give simpler boundaries.")
    shapes: dict[str, Mapping[str, Any]] = {}
    sizes: dict[str, int] = {}
    try:
        document = json.loads(
            content.decode("utf-8-sig"), parse_constant=_number, parse_float=_number, parse_int=_whole
        )
        features = document["features"] if document["type"] == "FeatureCollection" else ()
        for feature in features:
            code, shape = feature["properties"].get(code_property), feature["geometry"]
            if code in shapes:
                raise FileProblem(f"{name} has two boundaries for {code}.", remedy="Keep one of them.")
            if isinstance(code, str) and shape is not None:
                _require_degrees(shape, name)
                sizes[code] = len(_text(shape).encode())  # not half a pair of surrogates, which JSON can only read
                shapes[code] = shape
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise FileProblem(
            f"{name} is not a GeoJSON feature collection.", remedy="Save the boundaries as GeoJSON, UTF-8."
        ) from error
    mark = sha256(source.encode() + content).hex()
    return Boundaries(name=name, shapes=shapes, sizes=sizes, source=source, mark=mark)


def feature_collection(
    members: Mapping[str, object],
    rows: Iterable[tuple[str, Mapping[str, object]]],
    boundaries: Boundaries | None,
) -> dict[str, Any]:
    """Figures as features.

    Args:
        members: What is said of all of them.
        rows: For each feature the code of its zone and its properties.
        boundaries: Their shapes; without them the features have no geometry.

    Raises:
        FileProblem: A zone has no boundary.

    References:
        RFC 7946, sections 3.2 (geometry may be null) and 6.1 (members of our own).
    """
    found = tuple(rows)
    if boundaries is not None:
        boundaries.require(code for code, _ in found)
    return {
        "type": "FeatureCollection",
        **members,
        **({"boundaries": boundaries.source} if boundaries is not None and boundaries.source else {}),
        "features": [
            {
                "type": "Feature",
                "properties": dict(properties),
                "geometry": None if boundaries is None else boundaries.shapes[code],
            }
            for code, properties in found
        ],
    }


def table_geojson(release: Release, table: TableRecord, boundaries: Boundaries | None = None) -> bytes:
    """A table by region: a feature for each row of the tidy file, with the row's columns as its properties.

    Marks stand beside the estimate as they do there. An end that the noise leaves open is null, as JSON has no number
    for it.

    Raises:
        FileProblem: A region has no boundary.
    """
    names = [column.name for column in columns_of(table)]
    codes = [cell.codes[0] for cell in table.cells]
    rows = [{name: _closed(value) for name, value in zip(names, row, strict=True)} for row in rows_of(release, table)]
    if boundaries is not None:
        boundaries.require(codes)
        if boundaries.size(codes) > MOST_BYTES:
            boundaries = None
    members = {
        "name": table.name,
        "title": f"{release.title} – {table.name}",
        "note": release.note if boundaries is not None else f"{release.note} {WITHOUT}",
        "csvw": table_metadata(release, table),
    }
    made = feature_collection(members, zip(codes, rows, strict=True), boundaries)
    return _text(made).encode() + b"\n"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _closed(value: Value) -> Value:
    return None if isinstance(value, float) and not isfinite(value) else value


def _number(text: str) -> float:
    """A number that JSON can hold too: Python reads infinities, and what a program that follows the form cannot."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def _whole(text: str) -> int:
    """A whole number that is a number elsewhere too: one of hundreds of digits is an infinity to other programs."""
    _number(text)
    return int(text)


def _require_degrees(shape: Mapping[str, Any], name: str) -> None:
    """See that every position of a shape is in longitude and latitude, the only ones that the form knows.

    Raises:
        FileProblem: One is outside their bounds.
        ValueError: What stands in a position is no number; other errors of reading it where it is no position at all.

    References:
        RFC 7946, section 4: World Geodetic System 1984, in decimal degrees.
    """
    for place in _positions(shape["coordinates"]):
        # To Python a truth value is a number too.
        if any(type(value) not in {int, float} for value in place):
            raise ValueError(place)
        if abs(place[0]) > LONGITUDE or abs(place[1]) > LATITUDE:
            raise FileProblem(
                f"{name} is not in longitude and latitude: one of its positions is {place[0]:g}, {place[1]:g}.",
                remedy="Save it with positions in degrees, not on the National Grid; GeoJSON knows no other.",
            )


def _positions(coordinates: list[Any]) -> Iterator[list[Any]]:
    """The positions within coordinates, however deep they stand."""
    waiting = [coordinates]
    while waiting:
        part = waiting.pop()
        if isinstance(part[0], list):
            waiting.extend(part)
        else:
            yield part
