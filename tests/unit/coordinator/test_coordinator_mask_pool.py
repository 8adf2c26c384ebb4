"""Masks summed on several processes are the masks summed on one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from coordinator.mask_pool import MaskPool, _shared_out
from protocols.identifiers import CouncilId
from protocols.key_agreement import private_key, public_bytes
from protocols.ring import Ring
from protocols.secagg import sum_masks
from protocols.secagg.mask_removal import DanglingMasks, SelfMask
from protocols.suite import Suite
from tests.integration.coordinator_federation import seeded

CELLS = 1000


def work():
    draw = seeded(5)
    peers = tuple((CouncilId(f"E{at}"), public_bytes(private_key(draw(32))), b"") for at in range(9))
    survivors = [SelfMask(seed=draw(32), info=draw(8)) for _ in range(7)]
    lost = [
        DanglingMasks(owner=owner, private=draw(32), h2=draw(32), plan_digest=draw(32), suite=Suite.X25519, peers=peers)
        for owner in (CouncilId("E4A"), CouncilId("E6A"))
    ]
    return [*survivors, *lost]


@pytest.mark.parametrize("bits", [32, 64])
def test_several_processes_give_the_sum_that_one_gives(bits):
    ring = Ring(bits=bits)
    expected = sum_masks(work(), ring, CELLS)
    pool = MaskPool(2, worthwhile_bytes=0)
    try:
        assert np.array_equal(pool(work(), ring, CELLS), expected)
        assert pool._pool is not None
    finally:
        pool.close()
    assert pool._pool is None


def test_a_killed_process_costs_time_and_not_the_round():
    ring = Ring(bits=64)
    pool = MaskPool(2, worthwhile_bytes=0)
    pool(work(), ring, CELLS)
    for process in pool._pool._processes.values():
        process.kill()
        process.join()
    assert np.array_equal(pool(work(), ring, CELLS), sum_masks(work(), ring, CELLS))
    assert pool._pool is None


def test_a_small_round_starts_no_process():
    for pool in (MaskPool(2), MaskPool(1, worthwhile_bytes=0)):
        assert np.array_equal(pool(work(), Ring(bits=64), CELLS), sum_masks(work(), Ring(bits=64), CELLS))
        assert pool._pool is None
        pool.close()


def test_every_mask_is_dealt_out_once_and_evenly():
    parts = list(_shared_out(work(), 3))
    keys = [key for part in parts for item in part for key in item.keys()]  # noqa: SIM118 - no dictionary
    expected = [key for item in work() for key in item.keys()]  # noqa: SIM118 - no dictionary
    assert sorted((key.key, key.sign) for key in keys) == sorted((key.key, key.sign) for key in expected)
    assert {sum(len(list(item.keys())) for item in part) for part in parts} <= {8, 9}


def test_rounds_that_finish_together_start_the_processes_once_and_each_gets_its_own_sum(monkeypatch):
    started = []
    start = MaskPool._started

    def counting(pool):
        before = pool._pool
        found = start(pool)
        started.extend([found] * (found is not before))
        return found

    monkeypatch.setattr(MaskPool, "_started", counting)
    ring = Ring(bits=64)
    rounds = [work()[: 3 + number] for number in range(6)]
    pool = MaskPool(2, worthwhile_bytes=0)
    try:
        with ThreadPoolExecutor(6) as threads:
            found = list(threads.map(lambda items: pool(items, ring, CELLS), rounds))
    finally:
        pool.close()
    assert all(np.array_equal(one, sum_masks(items, ring, CELLS)) for one, items in zip(found, rounds, strict=True))
    assert len(started) == 1
