"""The bundle that `flwr run` hands to every SuperNode: a pointer at the app in the image, and nothing else.

A bundle is how Flower sends code. Ours holds the names of two modules that both sides have installed already; a
council's executor compares its hash and never opens it (:mod:`council_node.flower_executor`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from federated.errors import FileProblem

__all__ = ["BUNDLE_FILES", "BUNDLE_SHA256", "connection_file", "write_bundle"]

BUNDLE_SHA256: Final = "92e5b5064a01c25a99c42feceb8c5218f7e323825885770d96fecb0a347e1c68"
"""Of the bundle that `flwr` packs from the files below; what a council's executor answers to."""

BUNDLE_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pyproject.toml": """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "council-federation-app"
version = "1.0.0"
description = "Points at the app that coordinator and councils have installed; holds no code of its own."
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "council-federation"

[tool.flwr.app.components]
serverapp = "council_federation_app.server:app"
clientapp = "council_federation_app.client:app"

[tool.flwr.app.config]
settings = ""
ready-file = ""
""",
        "council_federation_app/__init__.py": '"""Points at what is installed."""\n',
        "council_federation_app/server.py": """\
from coordinator.flower_app import app

__all__ = ["app"]
""",
        "council_federation_app/client.py": """\
from council_node.flower_app import app

__all__ = ["app"]
""",
    }
)


def write_bundle(folder: Path, files: Mapping[str, str] = BUNDLE_FILES) -> None:
    """Write a bundle's files, for `flwr run` to pack.

    Raises:
        FileProblem: The folder cannot be written to.
    """
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise FileProblem(f"{folder}: the app bundle cannot be written ({error.strerror}).") from error


def connection_file(home: Path, *, address: str, ca_file: Path | None) -> Path:
    """Write Flower's own configuration, so that `flwr` reaches this coordinator's SuperLink.

    Args:
        home: Flower's folder.
        address: ``host:port`` of the SuperLink.
        ca_file: Authority its certificate is verified against; None where it serves plain HTTP on this machine.
    """
    trusted = "insecure = true" if ca_file is None else f"root-certificates = {json.dumps(str(ca_file.resolve()))}"
    name = ["[superlink]", 'default = "coordinator"', ""]
    lines = [*name, "[superlink.coordinator]", f"address = {json.dumps(address)}", trusted]
    path = home / "config.toml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileProblem(f"{path}: Flower's configuration cannot be written ({error.strerror}).") from error
    return path
