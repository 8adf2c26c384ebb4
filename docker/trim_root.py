"""Takes everything out of a Debian root folder that Python does not need: shells, package tools, set-user-id programs.

Runs inside the build, as root, with the base's own Python. What stays is decided by Debian's own list of what depends
on what, so that nothing is kept or lost by a list of ours: the packages of `ROOTS` and all that they depend on.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOTS: Final = ("base-files", "libstdc++6", "netbase", "python3")
"""Python; what compiled wheels are linked with; the names of protocols; the licences and `os-release`."""
NOT_TO_RUN: Final = frozenset({"debconf", "debianutils", "dpkg", "mawk", "media-types", "perl-base", "readline-common"})
"""Named as dependencies for setting packages up, which is over."""
LEFT_ALONE: Final = ("dev", "proc", "sys")
LEFT_OUT: Final = ("usr/share/doc-base", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man")
MADE_AT_INSTALLATION: Final = ("etc/ld.so.cache", "usr/lib/python3", "usr/lib/python3.11")
"""Kept whole: no package's list names the compiled modules."""

Stanza = dict[str, str]


def stanzas(status: Path) -> dict[str, Stanza]:
    """Every installed package, by name."""
    found = {}
    for text in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ ]?(.*(?:\n[ \t].*)*)", text, re.MULTILINE))
        if fields:
            found[fields["Package"]] = fields | {"": text}
    return found


def closure(installed: dict[str, Stanza]) -> set[str]:
    """The roots and all that they depend on."""
    provided = {
        virtual: name
        for name, fields in installed.items()
        for virtual in re.findall(r"[a-z0-9][a-z0-9.+-]+", fields.get("Provides", ""))
    }
    kept: set[str] = set()
    waiting: list[str] = [name for name in ROOTS if name in installed]
    while waiting:
        name = waiting.pop()
        if name in kept or name in NOT_TO_RUN:
            continue
        kept.add(name)
        wanted = ",".join(installed[name].get(field, "") for field in ("Pre-Depends", "Depends"))
        for one in re.split(r"[,|]", wanted):
            needed = re.split(r"[\s:(]", one.strip())[0]
            actual = needed if needed in installed else provided.get(needed, "")
            if actual:
                waiting.append(actual)
    return kept


def files_of(root: Path, packages: set[str]) -> set[Path]:
    """Every path that these packages brought, where it really lies: `/lib` is a link to `/usr/lib`."""
    found = set()
    for listed in (root / "var/lib/dpkg/info").glob("*.list"):
        if listed.stem.split(":")[0] in packages:
            for line in listed.read_text(encoding="utf-8").splitlines():
                path = root / line.lstrip("/")
                found.add(path.parent.resolve() / path.name)
    return found


def walk(folder: Path) -> Iterator[Path]:
    """Every file and folder below, the deepest first; links are not followed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)
        yield path


def trim(root: Path) -> None:
    """Take out what is not needed, and keep the list of packages true for those who scan the image."""
    status = root / "var/lib/dpkg/status"
    installed = stanzas(status)
    kept = closure(installed)
    wanted = files_of(root, kept)
    whole = tuple(root / name for name in (*MADE_AT_INSTALLATION, *LEFT_ALONE))
    out = tuple(root / name for name in LEFT_OUT)
    for path in walk(root):
        stays = path in wanted or any(path.is_relative_to(folder) for folder in whole)
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()) and not stays:
                path.rmdir()
            else:
                path.chmod(path.stat().st_mode & ~0o6000)  # nothing runs with another's rights
        elif not stays or any(path.is_relative_to(folder) for folder in out):
            path.unlink()
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text("\n\n".join(installed[name][""].strip() for name in sorted(kept)) + "\n", encoding="utf-8")


def name_user(root: Path, name: str, number: int) -> None:
    """Name the one user of the image; nobody can log in, there is nothing to log in with."""
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text(
        f"root:x:0:0:root:/:/nonexistent\n{name}:x:{number}:{number}::/:/nonexistent\n", encoding="ascii"
    )
    (root / "etc/group").write_text(f"root:x:0:\n{name}:x:{number}:\n", encoding="ascii")
    for folder in ("data", "dev", "node", "proc", "run", "sys", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    trim(place)
    name_user(place, sys.argv[2], int(sys.argv[3]))
    shutil.rmtree(place / "var/lib/dpkg/info", ignore_errors=True)
