"""Files of answers are made once and kept, within a limit."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from coordinator.console.guard import Closed
from coordinator.console.made_files import MOST_WAITING, MadeFiles


def test_a_file_is_made_once_and_again_only_when_it_had_to_go():
    made, files = [], MadeFiles(most=10)

    def make(name):
        def makes():
            made.append(name)
            return b"x" * 4

        return makes

    for name in ("a", "b", "a", "c", "a", "b"):
        assert files.get("d", name, make(name)) == b"xxxx"
    assert made == ["a", "b", "c", "b"]
    assert files.get("e", "a", make("other")) == b"xxxx"
    assert made[-1] == "other"


def test_a_file_that_is_larger_than_all_that_is_kept_is_given_all_the_same():
    assert MadeFiles(most=1).get("d", "a", lambda: b"xx") == b"xx"


def test_more_than_a_few_who_wait_are_sent_away():
    """Each holds a thread: forty that wait for pictures would leave none for other pages."""
    files, go = MadeFiles(), threading.Event()
    assert files.get("d", "kept", lambda: b"k") == b"k"

    def slow():
        go.wait(20)
        return b"x"

    with ThreadPoolExecutor(MOST_WAITING) as pool:
        waiting = [pool.submit(files.get, "d", str(number), slow) for number in range(MOST_WAITING)]
        for _ in range(200):
            if files._places._value == 0:
                break
            time.sleep(0.01)
        with pytest.raises(Closed) as caught:
            files.get("d", "more", slow)
        assert caught.value.status == 503
        assert files.get("d", "kept", slow) == b"k"  # without waiting for what is being made
        go.set()
        assert [one.result() for one in waiting] == [b"x"] * MOST_WAITING
    assert files.get("d", "more", slow) == b"x"


def test_a_file_that_cannot_be_made_is_tried_again():
    files = MadeFiles()

    def fail():
        raise MemoryError

    for _ in range(2):
        try:
            files.get("d", "a", fail)
        except MemoryError:
            continue
        raise AssertionError
    assert files.get("d", "a", lambda: b"x") == b"x"
