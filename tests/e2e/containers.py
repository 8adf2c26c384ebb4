"""Starting commands from an image's files, and finding out by looking at a process whether it is locked in."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

RUNTIME = Path(__file__).with_name("container_runtime.py")
USER = 10001
PROGRAM = "/opt/council-node/bin/council-node"
PYTHON = "/opt/council-node/bin/python"
LISTENING = "0A"
ESTABLISHED = "01"


@dataclass(frozen=True)
class Container:
    """How to start a command from an image; the options that a careless operator could get wrong are fields.

    Attributes:
        root: The image's files.
        binds: What it may see besides: source, place inside, whether it may write there.
    """

    root: Path
    binds: tuple[tuple[str, str, bool], ...] = ()
    user: int = USER
    read_only: bool = True
    keep_capabilities: bool = False
    environment: dict[str, str] = field(
        default_factory=lambda: {
            "PATH": "/opt/council-node/bin:/usr/bin",
            "HOME": "/nonexistent",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }
    )

    def command(self, *arguments: str) -> list[str]:
        """What to run on this machine to have the command run inside."""
        wanted = {
            "root": str(self.root),
            "binds": [list(bind) for bind in self.binds],
            "user": self.user,
            "read_only": self.read_only,
            "keep_capabilities": self.keep_capabilities,
            "environment": self.environment,
            "command": list(arguments),
        }
        return [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            sys.executable,
            "-I",
            str(RUNTIME),
            json.dumps(wanted),
        ]

    def but(self, **changes: object) -> "Container":
        return replace(self, **changes)


def violations(pid: int, *, writable: Sequence[str], remote: str | None = None) -> list[str]:
    """What is wrong with a process that should be locked in, one line each, as the kernel tells it.

    Args:
        pid: The process.
        writable: The places where it may write.
        remote: The one address it may be connected to; None where that is not looked at.
    """
    status = dict(
        line.split(":\t", maxsplit=1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    found = [
        f"{name} is {status[name].strip()}"
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        if int(status[name], 16)
    ]
    found += [
        f"{name} is {status[name].split()}"
        for name, expected in (
            ("Uid", [str(USER)] * 4),
            ("Gid", [str(USER)] * 4),
            ("Groups", []),
            ("NoNewPrivs", ["1"]),
        )
        if status[name].split() != expected
    ]
    found += [f"{place} can be written to" for place in writable_mounts(pid) if place not in writable]
    found += [f"listens on {address}" for address in sockets(pid, LISTENING, end="local")]
    if remote is not None:
        found += [
            f"is connected to {address}" for address in sockets(pid, ESTABLISHED, end="remote") if address != remote
        ]
    return found


def writable_mounts(pid: int) -> list[str]:
    """Where a process sees a file system that is not read-only."""
    rows = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    # Seen from a chroot, the table holds what lies below its root.
    return [row[4] for row in rows if "rw" in row[5].split(",")]


def sockets(pid: int, state: str, *, end: str) -> list[str]:
    """Addresses of the TCP sockets in that state which this process itself holds."""
    held = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held |= set(re.findall(r"socket:\[(\d+)\]", str(link.readlink())))
        except FileNotFoundError:  # closed meanwhile
            continue
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    place = 1 if end == "local" else 2
    return [_address(row[place]) for row in rows if row[9] in held and row[3] == state]


def _address(text: str) -> str:
    host, _, port = text.partition(":")
    last = bytes.fromhex(host[-8:])[::-1]  # of IPv6, the part that holds an IPv4 address
    return f"{'.'.join(str(part) for part in last)}:{int(port, 16)}"


TRY_TO_WRITE = """
import errno, os, sys
written, loose = [], []
for folder, names, files in os.walk("/"):
    if folder in {"/proc", "/sys", "/dev"}:
        names.clear()
        continue
    if not os.statvfs(folder).f_flag & os.ST_RDONLY:
        loose.append(folder)
    for path in [os.path.join(folder, "planted"), *(os.path.join(folder, name) for name in files[:3])]:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        except OSError:
            continue
        os.close(descriptor)
        written.append(folder)
        break
import json
print(json.dumps({"written": sorted(written), "loose": sorted(loose)}))
"""
"""Tries to write in every folder, and to every third file or so, from inside."""
