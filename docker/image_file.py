"""The file of an image, without what differs from one build to the next."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import IO, Final

from protocols.encoding import canonical_json

__all__ = ["COMMIT_LABEL", "settle"]

COMMIT_LABEL: Final = "org.opencontainers.image.revision"
"""Of the annotations that the Open Container Initiative's image specification names."""
OF_ONE_BUILD: Final = ("container", "container_config")
"""Buildah names the container that a build ran in, which is another each time; nothing that runs an image reads it."""


def settle(pushed: Path, archive: Path, commit: str | None = None) -> str:
    """Write an image's file again: its files and its settings, and of the container that made it nothing.

    Args:
        pushed: A `docker-archive`, as `buildah push` writes it.
        archive: Where the new one goes; it is loaded in the same ways (`docker load`, `podman load`).
        commit: That it was made from, for its label. Here, as an image that is there already is not made again for one.

    Returns:
        The image's id, ``sha256:`` and the digest of its settings: what it is called once it is loaded.
    """
    with tarfile.open(pushed) as old, tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as new:
        (entry,) = json.loads(_file(old, "manifest.json").read())
        settings = json.loads(_file(old, entry["Config"]).read())
        for name in OF_ONE_BUILD:
            settings.pop(name, None)
        settings["config"]["Hostname"] = ""
        if commit is not None:
            settings["config"]["Labels"] = {**(settings["config"].get("Labels") or {}), COMMIT_LABEL: commit}
        # Buildah writes into the history the digests of folders as they were copied, with the dates they had then.
        step = {"created": settings["created"], "created_by": "docker.build_images"}
        settings["history"] = [step] * len(entry["Layers"])
        content = canonical_json(settings)
        digest = hashlib.sha256(content).hexdigest()
        entry["Config"] = f"{digest}.json"
        _add(new, entry["Config"], io.BytesIO(content), len(content))
        for layer in entry["Layers"]:
            _add(new, layer, _file(old, layer), old.getmember(layer).size)
        manifest = canonical_json([entry])
        _add(new, "manifest.json", io.BytesIO(manifest), len(manifest))
    return f"sha256:{digest}"


def _file(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found is not None, name  # a folder has no place in a docker-archive under these names
    return found


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o444
    archive.addfile(member, content)
