"""What an input may take, and what it breaks."""

import resource
import time

from tests.fuzz.table import Finding, Target

__all__ = ["MOST_MIB", "SLOW_S", "fault_of"]

SLOW_S = 2.0
"""Seconds of processor time that no input may take."""
MOST_MIB = 512
"""MiB that no input may add."""


def fault_of(target: Target, content: bytes) -> Exception | None:
    """What an input breaks; None when it is met as declared, in reasonable time and memory."""
    before, at = _peak_mib(), time.process_time()
    try:
        target.feed(content)
    except Exception as error:  # noqa: BLE001 - all that is not declared is what we look for
        return error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of a library in Rust, which is no Exception
            raise
        return Finding(f"a library panicked: {error}")
    if (took := time.process_time() - at) > SLOW_S:
        return Finding(f"slow: {took:.1f} s of processor time")
    if _peak_mib() - before > MOST_MIB:
        return Finding(f"large: more than {MOST_MIB} MiB")
    return None


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
