"""Opens a file that is one: a pipe put in its place after it was looked at would keep the node waiting for ever."""

import errno
import io
import os
from pathlib import Path
from stat import S_ISREG

__all__ = ["open_regular"]

# A pipe is opened without waiting for its writer; Windows has no such pipes, but changes line ends unless told not to.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading its bytes.

    Raises:
        OSError: It cannot be read, or is no file.
    """
    descriptor = os.open(path, _FLAGS)
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return os.fdopen(descriptor, "rb")
