"""Targets with a fault, so that a test can see that it is found."""

import time

from tests.fuzz.table import Target, declared

__all__ = ["PLANTED", "SLOW"]


def _beyond(content: bytes) -> None:
    from tests.fuzz.planted_decoder import decode  # watched by the fuzzer only when it is imported by it

    with declared(ValueError):
        decode(content)


def _slow(content: bytes) -> None:
    end = time.process_time() + len(content) / 10
    while time.process_time() < end:
        pass


PLANTED = Target(name="planted", feed=_beyond, covers=("tests.fuzz.planted_decoder:decode",))
SLOW = Target(name="slow", feed=_slow, covers=("tests.fuzz.planted_decoder:decode",))
