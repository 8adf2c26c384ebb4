"""No copy of a process's memory on a disk, and no look into it: for every command, before anything else.

A council node's memory holds cases, a coordinator's the masked figures and its keys, and a person's the key they sign
with. A core file holds all of that.
"""

import ctypes
import faulthandler
import sys
from typing import Final

__all__ = ["forbid_dumps"]

PR_SET_DUMPABLE: Final = 4
"""`prctl(2)`: whether a core file may be written and another process of the user may attach."""


def forbid_dumps() -> None:
    """Forbid core files and looking into this process; and the tracebacks of a crash in a library of C.

    Core files by limit and by flag: the limit is not obeyed where core files go through a pipe.
    """
    faulthandler.disable()
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - there is none on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
