"""The boundaries that the settings name, for the maps of answers: refused as a whole if one is missing."""

from pathlib import Path

from coordinator.settings import Settings
from federated.errors import FileProblem
from federated.outputs.geojson import MOST_BYTES, Boundaries, read_boundaries
from federated.schema import Schema

__all__ = ["load_boundaries"]


def load_boundaries(settings: Settings, schema: Schema) -> Boundaries | None:
    """The boundaries, or None where the settings name none.

    Args:
        settings: Of the coordinator.
        schema: Says which regions there are.

    Raises:
        FileProblem: The file cannot be read, is not GeoJSON in longitude and latitude, has no shape for a region, or
            has more detail than a file to take away can hold.
    """
    named = settings.boundaries
    if named is None:
        return None
    try:
        content = Path(named.file).read_bytes()
    except OSError as error:
        raise FileProblem(
            f"{named.file}: the file of boundaries cannot be read ({error.strerror}).",
            remedy="Name another under `boundaries` in the settings, or leave that out: maps then have no geometry.",
        ) from error
    found = read_boundaries(content, code_property=named.code_property, name=named.file, source=named.source)
    regions = [region.code for region in schema.regions]
    found.require(regions)
    if found.size(regions) > MOST_BYTES:
        raise FileProblem(
            f"{named.file}: the shapes of the regions take more than {MOST_BYTES:,} bytes.",
            remedy="Give generalised boundaries: a map of regions needs no more.",
        )
    return found
