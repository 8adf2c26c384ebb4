"""A process that stays looks for garbage less often, and not among what it started with."""

import gc

import pytest

from federated.shell import NEW_OBJECTS, settle_in


@pytest.fixture(autouse=True)
def as_before():
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_what_start_up_made_is_looked_through_no_more():
    made_at_start = [[] for _ in range(1000)]
    before = gc.get_freeze_count()
    settle_in()
    assert gc.get_freeze_count() >= before + len(made_at_start)
    assert gc.get_threshold()[0] == NEW_OBJECTS


def test_garbage_of_questions_is_still_found():
    settle_in()
    found = []
    gc.callbacks.append(lambda phase, _: found.append(phase))
    try:
        kept = [[] for _ in range(NEW_OBJECTS + 1000)]
    finally:
        gc.callbacks.pop()
    assert len(kept) > NEW_OBJECTS
    assert "stop" in found
