"""The computer a node runs on: clock, disk, memory, account, and who may read what."""

import ctypes
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from council_node.checks.findings import Area, Finding, Verdict
from council_node.ledger import Ledger
from council_node.settings import Settings
from federated.errors import FederatedError
from protocols.identifiers import CouncilId

__all__ = ["check_clock", "check_computer"]

MIB: Final = 1024 * 1024
LEAST_DISK_MIB: Final = 200
"""Below this a ledger entry might not be written."""
ENOUGH_DISK_MIB: Final = 1024
NODE_MIB: Final = 150
"""Memory of the node beside what `limits.memory_mib` gives to counting."""
SLACK: Final = timedelta(minutes=5)
CLOCK_UNSYNCHRONISED: Final = 5
"""What `adjtimex` answers while no time service keeps the clock (TIME_ERROR)."""
CONTAINER_MARKS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
TIMEX_BYTES: Final = 512
"""Room for the kernel's `struct timex`, of about 208 bytes, whose first word says that nothing is to be set."""


def check_computer(settings: Settings, settings_file: Path, now: datetime) -> Iterator[Finding]:
    """Look at the computer.

    Args:
        settings: Of the node.
        settings_file: Where they stand.
        now: Time by this computer's clock, UTC.
    """
    yield check_clock(settings, now)
    yield _disk(settings.state)
    yield from _memory(settings.limits.memory_mib)
    yield _account()
    yield from _root_file_system()
    yield _state(settings.state)
    yield from _writable_by_others(settings, settings_file)


def _finding(check: str, verdict: Verdict, said: str, *, where: str = "", remedy: str = "") -> Finding:
    return Finding(area=Area.COMPUTER, check=check, verdict=verdict, said=said, where=where, remedy=remedy)


def check_clock(settings: Settings, now: datetime) -> Finding:
    """Whether the clock can be believed, without asking any host.

    It may not stand before anything this node has written, and a time service should keep it. The coordinator's
    certificate and the list of councils have days of their own, which other checks hold against it.
    """
    remedy = "Set the clock, and let a time service keep it."
    latest = _last_written(settings)
    if latest is not None and now < latest - SLACK:
        said = f"The clock says {now:%Y-%m-%d %H:%M} UTC, but the ledger was written to at {latest:%Y-%m-%d %H:%M}."
        return _finding("clock", Verdict.MEND, said, remedy=remedy)
    if _kept_by_time_service() is False:
        return _finding("clock", Verdict.LOOK, "No time service keeps this computer's clock.", remedy=remedy)
    return _finding("clock", Verdict.GOOD, f"The clock says {now:%Y-%m-%d %H:%M} UTC, and nothing contradicts it.")


def _last_written(settings: Settings) -> datetime | None:
    if not settings.ledger_file.exists() or not settings.ledger_file.stat().st_size:
        return None
    try:
        with Ledger.read_only(settings.ledger_file, CouncilId(settings.council.id)) as ledger:
            last = ledger.entries()[-1]
    except FederatedError:
        return None  # the check of the ledger says what is wrong with it
    return datetime.fromisoformat(str(last.body["time"])).astimezone(UTC)


def _kept_by_time_service() -> bool | None:
    """What the kernel says; None where it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError, TypeError):
        return None
    state: int = adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    return None if state < 0 else state != CLOCK_UNSYNCHRONISED


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free // MIB
    except OSError as error:
        said = f"The folder's disk cannot be looked at: {error.strerror}."
        return _finding("disk", Verdict.MEND, said, where=str(folder), remedy="Check the folder in the settings.")
    said = f"{free:,} MiB are free for the ledger and the receipts."
    if free >= ENOUGH_DISK_MIB:
        return _finding("disk", Verdict.GOOD, said, where=str(folder))
    verdict = Verdict.MEND if free < LEAST_DISK_MIB else Verdict.LOOK
    return _finding("disk", verdict, said, where=str(folder), remedy="Free some space: 1 GiB is plenty.")


def _memory(counting_mib: int) -> Iterator[Finding]:
    needed = counting_mib + NODE_MIB
    found = _memory_mib()
    if found is None:
        return
    said = f"{found:,} MiB of memory can be had; the node needs up to {needed:,}."
    remedy = "Give it more, or lower limits.memory_mib in the settings."
    enough = found >= needed
    yield _finding("memory", Verdict.GOOD if enough else Verdict.LOOK, said, remedy="" if enough else remedy)


def _memory_mib() -> int | None:
    """What the machine has left, or the limit of this container where that is less."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) // 1024
    except (OSError, ValueError, KeyError):
        return None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        return min(free, int(limit) // MIB) if limit.isdigit() else free
    except OSError:
        return free


def _account() -> Finding:
    if not hasattr(os, "geteuid"):
        return _finding("account", Verdict.GOOD, "The account cannot be told on this system.")
    if os.geteuid() == 0:
        return _finding(
            "account",
            Verdict.LOOK,
            "This runs as the administrator (root).",
            remedy="Run the node under an account of its own; it needs no rights but to its own folder.",
        )
    return _finding("account", Verdict.GOOD, f"This runs under an ordinary account (user id {os.geteuid()}).")


def _root_file_system() -> Iterator[Finding]:
    """Only a container is meant to have one that cannot be written to."""
    if not any(mark.exists() for mark in CONTAINER_MARKS):
        return
    if os.statvfs("/").f_flag & os.ST_RDONLY:
        yield _finding("root_file_system", Verdict.GOOD, "The container's own files cannot be changed.")
    else:
        said = "The container's own files can be changed."
        yield _finding("root_file_system", Verdict.LOOK, said, remedy="Start it with a read-only root.")


def _state(folder: Path) -> Finding:
    if not folder.is_dir():
        said, remedy = "The folder is not there.", "Make it, or correct `state` in the settings."
        return _finding("state", Verdict.MEND, said, where=str(folder), remedy=remedy)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        remedy = "Give the account that runs the node read and write access to it."
        said = "This account may not write to the folder."
        return _finding("state", Verdict.MEND, said, where=str(folder), remedy=remedy)
    if _mode(folder) & (stat.S_IRWXG | stat.S_IRWXO):
        said = "Other accounts of this computer may look into the folder of decisions and receipts."
        remedy = f"chmod 700 {folder}"
        return _finding("state", Verdict.LOOK, said, where=str(folder), remedy=remedy)
    return _finding("state", Verdict.GOOD, "Only this account may look into it.", where=str(folder))


def _writable_by_others(settings: Settings, settings_file: Path) -> Iterator[Finding]:
    """Whoever may change these files decides in the council's name."""
    files = {
        "settings": settings_file,
        "policy": settings.policy,
        "agreements": settings.agreements,
        **{f"data.{name}": path for name, path in settings.data.items()},
    }
    open_ones = [(name, path) for name, path in files.items() if path.exists() and _mode(path) & stat.S_IWOTH]
    for name, path in open_ones:
        said = f"Every account of this computer may change what the setting '{name}' names."
        yield _finding("rights", Verdict.MEND, said, where=str(path), remedy=f"chmod o-w {path}")
    if not open_ones:
        yield _finding("rights", Verdict.GOOD, "Settings, policy, agreements and mappings are not open to everybody.")


def _mode(path: Path) -> int:
    # On Windows these bits say nothing; there the folder's own rights decide.
    return path.stat().st_mode if os.name == "posix" else 0
