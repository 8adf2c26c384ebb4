"""Removing masks on every core, part of step 7 of 8: worth it only for long vectors with councils lost.

A survivor costs one mask, a lost council one for each survivor, so 31 lost of 310 are some 9,000 masks. Agreeing on
their keys holds the interpreter's lock, which processes of our own do not share. They are given the rebuilt seeds of
one round over a pipe, keep nothing, and open no file.
"""

import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Final

from protocols.ring import Ring, RingVector
from protocols.secagg import MaskWork, sum_masks
from protocols.secagg.mask_removal import DanglingMasks, SelfMask

__all__ = ["MaskPool"]

WORTHWHILE_BYTES: Final = 1_000_000_000
"""Mask bytes below which one process is done sooner than others have started (about a fifth of a second)."""


class MaskPool:
    """Sums masks in several processes when there are enough of them; its processes start when first needed.

    Args:
        processes: How many work at once, this one included.
        worthwhile_bytes: Least mask bytes for which the others are used.
    """

    def __init__(self, processes: int, *, worthwhile_bytes: int = WORTHWHILE_BYTES) -> None:
        self._processes = processes
        self._worthwhile_bytes = worthwhile_bytes
        self._pool: ProcessPoolExecutor | None = None
        # Rounds that finish together come from several threads; the processes work for one of them at a time.
        self._turn = threading.Lock()

    def __call__(self, work: Sequence[MaskWork], ring: Ring, cells: int) -> RingVector:
        """Sum the masks of every item; see `protocols.secagg.sum_masks`, whose result this is.

        Shapes:
            `(cells,)`, a ring vector.
        """
        masks = sum(len(item.peers) if isinstance(item, DanglingMasks) else 1 for item in work)
        if self._processes < 2 or masks * cells * ring.width < self._worthwhile_bytes:  # noqa: PLR2004 - one more than us
            return sum_masks(work, ring, cells)
        with self._turn:
            try:
                return self._on_every_core(work, ring, cells)
            except BrokenProcessPool:
                # A process was killed, for want of memory perhaps. The councils have spent their budgets: do it slowly.
                self.close()
                return sum_masks(work, ring, cells)

    def _on_every_core(self, work: Sequence[MaskWork], ring: Ring, cells: int) -> RingVector:
        ours, *others = _shared_out(work, self._processes)
        pool = self._started()
        sums = [pool.submit(sum_masks, part, ring, cells) for part in others]
        total = sum_masks(ours, ring, cells)
        for part in sums:
            total += part.result()
        return total

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not forked: a copy of a process with running threads may stop at a lock that nobody will open.
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes - 1, mp_context=spawn)
        return self._pool


def _shared_out(work: Sequence[MaskWork], parts: int) -> Iterator[list[MaskWork]]:
    """Deal every item's masks out evenly: one lost council is as much work as all survivors together."""
    own: list[MaskWork] = [item for item in work if isinstance(item, SelfMask)]
    lost = [item for item in work if isinstance(item, DanglingMasks)]
    for part in range(parts):
        yield [*own[part::parts], *(replace(item, peers=item.peers[part::parts]) for item in lost)]
