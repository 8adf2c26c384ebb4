"""Puts the files of a release into a folder: the one place that writes them."""

from collections.abc import Iterable
from pathlib import Path

from federated.errors import FileProblem
from federated.manifest import Manifest
from federated.outputs.formats import FORMATS, files_of
from federated.outputs.geojson import Boundaries
from federated.release import Release

__all__ = ["export_release"]


def export_release(
    release: Release,
    folder: Path,
    formats: Iterable[str] = FORMATS,
    *,
    manifest: Manifest | None = None,
    boundaries: Boundaries | None = None,
) -> tuple[Path, ...]:
    """Write a release into a folder, which is made where there is none.

    Args:
        release: The release.
        folder: Where.
        formats: Which of `federated.outputs.formats.FORMATS`.
        manifest: Of its question.
        boundaries: For the maps.

    Raises:
        FileProblem: The folder cannot be written, the manifest is not the release's, or a region has no boundary.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for made in files_of(release, formats, manifest=manifest, boundaries=boundaries):
            path = folder / made.name
            path.write_bytes(made.content)
            written.append(path)
    except OSError as error:
        raise FileProblem(f"{folder}: the release cannot be written there ({error.strerror}).") from error
    return tuple(written)
