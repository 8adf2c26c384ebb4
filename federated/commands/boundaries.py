"""Boundaries as commands take them: a GeoJSON file of the person's own, and the property that holds the code."""

from pathlib import Path
from typing import Annotated, Final

import typer

from federated.commands.files import read_file
from federated.outputs.geojson import Boundaries, read_boundaries

__all__ = ["CODE_PROPERTY", "CodeProperty", "boundaries_of"]

CODE_PROPERTY: Final = "code"
CodeProperty = Annotated[str, typer.Option("--code-property", help="Property of the boundaries that holds the code.")]


def boundaries_of(path: Path, code_property: str) -> Boundaries:
    """The boundaries of a file.

    Raises:
        FileProblem: It cannot be read, or is not GeoJSON in longitude and latitude.
    """
    return read_boundaries(read_file(path, "file of boundaries"), code_property=code_property, name=str(path))
