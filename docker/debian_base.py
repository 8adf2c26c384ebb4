"""The base of both images: Debian 12 with Python, made by debootstrap from the archive that this machine's apt uses.

Debootstrap checks the signatures of the archive with Debian's own keys; the fixes of its security archive are put in
on top.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Final

from docker.tools import BuildError, buildah, run

__all__ = ["BASE", "base_packages", "ensure_base", "label_of"]

SUITE: Final = "bookworm"
BASE: Final = "localhost/council-federation-base"
BASE_PACKAGES: Final = "python3,netbase"
PACKAGES_LABEL: Final = "council-federation.packages"
SOURCES: Final = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))


def apt_sources() -> list[tuple[str, str, str]]:
    """The Debian archives of this machine's apt for the suite: address, suite, components.

    Raises:
        BuildError: There is none.
    """
    found = []
    places = [SOURCES[0], *sorted(SOURCES[1].glob("*"))] if SOURCES[1].is_dir() else [SOURCES[0]]
    for path in places:
        if path.suffix == ".sources":
            found += _deb822(path.read_text(encoding="utf-8"))
        elif path.is_file() and path.suffix in {".list", ""}:
            lines = re.findall(
                r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE
            )
            found += lines
    ours = [item for item in found if item[1] == SUITE or item[1].startswith(f"{SUITE}-")]
    ours = [item for item in ours if "main" in item[2].split() and "debian" in item[0]]
    if not any(suite == SUITE for _, suite, _ in ours):
        raise BuildError(
            f"The base: apt on this machine names no archive of Debian {SUITE}; give another with --mirror."
        )
    return ours


def _deb822(text: str) -> list[tuple[str, str, str]]:
    found = []
    for stanza in text.split("\n\n"):
        lines = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
        fields = dict(re.findall(r"^([A-Za-z-]+):[ ]*(.*)$", lines, re.MULTILINE))
        if "deb" in fields.get("Types", "").split():
            found += [
                (address, suite, fields.get("Components", ""))
                for address in fields.get("URIs", "").split()
                for suite in fields.get("Suites", "").split()
            ]
    return found


def ensure_base(*, mirror: str | None, fresh: bool) -> None:
    """Make the base unless it is there: about a minute. `fresh` makes it again, with today's security fixes."""
    if not fresh and base_packages():
        return
    sources = [(mirror, SUITE, "main")] if mirror else apt_sources()
    container = buildah("from", "scratch", step="The base")
    try:
        root = Path(buildah("mount", container, step="The base"))
        first = next(address for address, suite, _ in sources if suite == SUITE)
        run(
            ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", SUITE, str(root), first], step="The base"
        )
        _upgrade(root, sources)
        packages = hashlib.sha256((root / "var/lib/dpkg/status").read_bytes()).hexdigest()
        buildah("config", "--label", f"{PACKAGES_LABEL}={packages}", container, step="The base")
        buildah("umount", container, step="The base")
        buildah("commit", "--quiet", container, BASE, step="The base")
    finally:
        buildah("rm", container, step="The base")


def _upgrade(root: Path, sources: list[tuple[str, str, str]]) -> None:
    """Put in the fixes since the suite came out: from its updates and security archives."""
    (root / "etc/apt/sources.list").write_text(
        "".join(f"deb {address} {suite} main\n" for address, suite, _ in sources), encoding="utf-8"
    )
    authorities = Path("/etc/ssl/certs/ca-certificates.crt")
    if authorities.is_file():  # where the way to the archive is over TLS
        (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(authorities, root / "etc/ssl/certs/ca-certificates.crt")
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    inside = ["chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    run([*inside, "update"], step="The base's security fixes")
    run([*inside, "-y", "upgrade"], step="The base's security fixes")
    run([*inside, "clean"], step="The base's security fixes")


def base_packages() -> str:
    """Digest of the list of the base's packages, which is all that an image gets from it; empty when there is none.

    The base's own digest will not do: its logs and caches tell when it was made, and no image takes them over.
    """
    return label_of(BASE, PACKAGES_LABEL)


def label_of(image: str, name: str) -> str:
    """A label of an image in the local storage; empty when there is no such image or label."""
    if not buildah("images", "--quiet", "--filter", f"reference={image}", step="The image"):
        return ""
    shown = json.loads(buildah("inspect", "--type", "image", image, step="The image"))
    labels: dict[str, str] = shown["OCIv1"]["config"].get("Labels") or {}
    return labels.get(name, "")
