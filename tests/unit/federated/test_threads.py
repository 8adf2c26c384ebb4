"""Tasks in threads: all of them done, side by side, and a failure told."""

from threading import Barrier, get_ident

import numpy as np
import pytest

from federated.threads import threads
from protocols.masks import MaskKey, add_masks
from protocols.ring import Ring


def test_masks_made_in_threads_are_the_same():
    ring, keys = Ring(bits=64), [MaskKey(key=bytes([at]) * 32, sign=1) for at in range(5)]
    alone, together = ring.zeros(200_000), ring.zeros(200_000)
    add_masks(alone, keys, ring)
    add_masks(together, keys, ring, threads(2))
    assert np.array_equal(alone, together)


def test_tasks_run_side_by_side():
    meeting = Barrier(2, timeout=20)  # breaks unless both are there
    threads(2).run([meeting.wait, meeting.wait])


def test_one_task_needs_no_thread():
    seen = []
    threads(2).run([lambda: seen.append(get_ident())])
    assert seen == [get_ident()]


def test_a_failed_task_is_told():
    with pytest.raises(ZeroDivisionError):
        threads(2).run([lambda: None, lambda: 1 // 0])
