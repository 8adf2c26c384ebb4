"""A simulated disk for each party: what the system shows, what a power cut would leave, and when it dies or fills up.

The real SQLite writes to it (`tests.simulation.faults.sqlite_files`). A crash falls on any request that changes
something: before it, half-way through it, or after it. From then on the machine is dead: nothing it does reaches its
disk, and nothing it says is heard.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

SECTOR: Final = 512


class Cut(StrEnum):
    """Where in a request to the disk the machine dies."""

    BEFORE = "before"
    HALF_WAY = "half-way"
    AFTER = "after"


class Loss(StrEnum):
    """What is left when a machine dies."""

    KILLED = "killed"
    """The process is gone; what the system had been given is written."""
    POWER = "power"
    """Only what was waited for is sure; any sector of the rest may have arrived."""


class Died(Exception):
    """The machine that the request came from is dead."""


class Full(Exception):
    """There is no room."""


@dataclass(slots=True)
class File:
    """A file as the system shows it, as it surely is on the disk, and the changes in between."""

    shown: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    later: list[tuple[int, bytes | None]] = field(default_factory=list)
    name_synced: bool = False

    def write(self, offset: int, content: bytes) -> None:
        """Write; beyond the end the gap is zeros."""
        _overlay(self.shown, offset, content)
        self.later.append((offset, content))

    def truncate(self, size: int) -> None:
        """Cut the end off."""
        del self.shown[size:]
        self.later.append((size, None))

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        if self.later:
            self.synced = bytes(self.shown)
            self.later.clear()
        self.name_synced = True

    def after_power_cut(self, chance: random.Random, share: float) -> bytes:
        """What was waited for and, of each later change, any sectors."""
        content = bytearray(self.synced)
        for offset, written in self.later:
            if written is None:
                if chance.random() < share:
                    del content[offset:]
                continue
            for start in range(0, len(written), SECTOR):
                if chance.random() < share:
                    _overlay(content, offset + start, written[start : start + SECTOR])
        return bytes(content)


def _overlay(content: bytearray, offset: int, written: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(written)] = written


class Disk:
    """One machine's disk, in one life of the machine.

    Args:
        images: Content of each file by path, all of it on the disk.
        died: Told once, the moment the machine dies at the disk.
    """

    def __init__(self, images: Mapping[str, bytes], *, died: Callable[[], None] = lambda: None) -> None:
        self.files: dict[str, File] = {
            name: File(shown=bytearray(content), synced=content, name_synced=True) for name, content in images.items()
        }
        self.alive = True
        self.full = False
        self.requests = 0
        self._gone: dict[str, File] = {}
        self._die_at: int | None = None
        self._cut = Cut.BEFORE
        self._died = died

    def die_in(self, requests: int, cut: Cut) -> None:
        """Have the machine die at the request with that number from now, counted from 1."""
        self._die_at = self.requests + requests
        self._cut = cut

    def die(self) -> None:
        """Die now."""
        if self.alive:
            self.alive = False
            self._died()

    def left(self, loss: Loss, chance: random.Random) -> dict[str, bytes]:
        """The files that a machine finds when it starts again."""
        if loss is Loss.KILLED:
            return {name: bytes(file.shown) for name, file in self.files.items()}
        share = chance.choice((0.0, 0.5, 1.0))
        found = {}
        for name, file in self.files.items():
            if file.name_synced or chance.random() < share:
                found[name] = file.after_power_cut(chance, share)
        for name, file in self._gone.items():
            if name not in found and file.name_synced and chance.random() >= share:
                found[name] = file.after_power_cut(chance, share)
        return found

    # Requests that change something

    def create(self, name: str) -> File:
        """Make an empty file."""
        self.check()
        return self.files.setdefault(name, File())

    def write(self, file: File, offset: int, content: bytes) -> None:
        """Write to a file."""
        if self.full:
            self.check()
            raise Full
        self._change(lambda: file.write(offset, content), lambda: file.write(offset, content[: len(content) // 2]))

    def truncate(self, file: File, size: int) -> None:
        """Cut a file."""
        self._change(lambda: file.truncate(size), lambda: None)

    def sync(self, file: File) -> None:
        """Wait for a file."""
        # Half of it: nothing is sure yet, which is what not having waited means.
        self._change(file.sync, lambda: None)

    def delete(self, name: str, *, wait: bool) -> None:
        """Delete a file; its name may come back after a power cut unless the folder is waited for."""

        def forget() -> None:
            file = self.files.pop(name)
            if not wait:
                self._gone[name] = file

        self._change(forget, lambda: None)

    def _change(self, whole: Callable[[], None], half: Callable[[], None]) -> None:
        self.check()
        self.requests += 1
        if self.requests != self._die_at:
            whole()
            return
        if self._cut is Cut.HALF_WAY:
            half()
        elif self._cut is Cut.AFTER:
            whole()
        self.die()
        raise Died

    def check(self) -> None:
        """Refuse a dead machine."""
        if not self.alive:
            raise Died
