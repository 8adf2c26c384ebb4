"""What memory a process has taken, as the kernel counts it."""

from pathlib import Path

__all__ = ["peak_mib"]


def peak_mib(pid: int | str = "self") -> int:
    """The most memory a running process has had, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
