"""Plays the part of a container runtime: starts a command from an image's files, locked in as `docker/compose.yaml` says.

Run by `unshare --mount`, as root, with one JSON argument. It mounts what the container may see, makes the rest
read-only, gives up every right, and becomes the command. Only the standard library: nothing of ours runs before.
"""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITIES = 64


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def bind(source: str, target: Path, *, writable: bool) -> None:
    mount("--bind", source, str(target))
    mount("-o", f"remount,bind,{'rw' if writable else 'ro'},nosuid,nodev,noexec", str(target))


def mount_all(root: Path, wanted: dict) -> None:
    mount("--bind", str(root), str(root))
    for source, target, writable in wanted["binds"]:
        bind(source, root / target.lstrip("/"), writable=writable)
    mount("-t", "tmpfs", "-o", "size=64m,mode=1777,nosuid,nodev,noexec", "tmpfs", str(root / "tmp"))
    mount("-t", "proc", "-o", "ro,nosuid,nodev,noexec", "proc", str(root / "proc"))
    mount("-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", str(root / "dev"))
    for name in ("null", "zero", "random", "urandom"):
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", str(root / "dev" / name))
        mount("-o", "remount,bind,ro,nosuid,noexec", str(root / "dev" / name))
    mount("-o", "remount,ro,nosuid,noexec", str(root / "dev"))
    if wanted["read_only"]:
        mount("-o", "remount,bind,ro", str(root))


def give_up_rights(user: int, *, keep_capabilities: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not keep_capabilities:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        for number in range(CAPABILITIES):
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def main() -> None:
    wanted = json.loads(sys.argv[1])
    root = Path(wanted["root"])
    mount_all(root, wanted)
    os.chroot(root)
    os.chdir("/node")
    give_up_rights(wanted["user"], keep_capabilities=wanted["keep_capabilities"])
    os.execve(wanted["command"][0], wanted["command"], wanted["environment"])


if __name__ == "__main__":
    main()
