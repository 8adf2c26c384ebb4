"""What an image is made of: its list of parts in CycloneDX, and which part takes how much room.

Both are read from the image's own files, not from what somebody meant to put in.
"""

import re
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

__all__ = ["bill_of_materials", "python_packages", "size_report"]

OURS: Final = "council-federation"


def normal(name: str) -> str:
    """A package's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_packages(root: Path, folder: str) -> dict[str, Distribution]:
    """The Python packages in the image."""
    (site,) = (root / folder).glob("lib/python3*/site-packages")
    return {normal(found.metadata["Name"]): found for found in distributions(path=[str(site)])}


def debian_packages(root: Path) -> list[dict[str, str]]:
    """The Debian packages in the image."""
    stanzas = (root / "var/lib/dpkg/status").read_text(encoding="utf-8").strip().split("\n\n")
    return [dict(re.findall(r"^([A-Za-z-]+):[ ]?(.*)$", stanza, re.MULTILINE)) for stanza in stanzas]


def hashes(requirements: Path) -> dict[str, list[str]]:
    """SHA-256 digests of the files of each package that may be installed, by its name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            name = normal(match[1])
            found[name] = []
        found.get(name, []).extend(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return found


def bill_of_materials(root: Path, folder: str, requirements: Path) -> str:
    """The list of parts, as CycloneDX JSON.

    Args:
        root: The image's files.
        folder: Where the Python packages are in it.
        requirements: The hashed requirements it was made from.
    """
    # No day and no number by chance: whoever makes the image again makes the same list.
    bom = Bom(metadata=BomMetaData(timestamp=datetime.fromtimestamp(0, UTC)))
    known = hashes(requirements)
    for name, found in sorted(python_packages(root, folder).items()):
        digests = known.get(name, [])
        component = Component(
            type=ComponentType.APPLICATION if name == OURS else ComponentType.LIBRARY,
            name=name,
            version=found.version,
            purl=PackageURL("pypi", None, name, found.version),
            bom_ref=f"pypi:{name}",
        )
        if len(digests) == 1:
            component.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digests[0]))
        else:  # one of these: which one depends on the processor
            component.properties.update(Property(name="sha256 of an allowed file", value=one) for one in digests)
        if name == OURS:
            bom.metadata.component = component
        else:
            bom.components.add(component)
    for fields in debian_packages(root):
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        bom.components.add(
            Component(
                type=ComponentType.LIBRARY,
                name=name,
                version=version,
                purl=PackageURL("deb", "debian", name, version, {"arch": architecture, "distro": "bookworm"}),
                bom_ref=f"deb:{name}",
            )
        )
    if bom.metadata.component is not None:
        bom.register_dependency(bom.metadata.component, bom.components)
    named = " ".join(sorted(f"{part.purl}" for part in bom.components))
    bom.serial_number = uuid5(NAMESPACE_URL, named)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def size_report(root: Path, folder: str) -> dict[str, object]:
    """Bytes by part, largest first: Debian's files, and each top-level folder of the Python packages."""
    sizes: dict[str, int] = defaultdict(int)
    packages = root / folder
    (site,) = packages.glob("lib/python3*/site-packages")
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        size = path.lstat().st_size
        if path.is_relative_to(site):
            sizes[f"packages: {path.relative_to(site).parts[0].removesuffix('.libs')}"] += size
        elif path.is_relative_to(packages):
            sizes["packages: commands"] += size
        elif path.is_relative_to(root / "usr/lib/python3.11"):
            sizes["base: Python and its library"] += size
        else:
            sizes["base: Debian"] += size
    ordered = dict(sorted(sizes.items(), key=lambda item: -item[1]))
    return {"version": 1, "total": sum(sizes.values()), "parts": ordered}
