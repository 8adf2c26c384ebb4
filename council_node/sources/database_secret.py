"""The address of a database, with its password: in a file of its own, and nowhere else.

It never stands in the mapping file, in the environment, in a log or in an error.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from federated.errors import FileProblem

__all__ = ["DatabaseSecret", "read_secret"]

SECRET_BYTES: Final = 4096
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSecret:
    """Where a database is and who reads it.

    Attributes:
        path: The file it was read from; what messages call the database.
        url: The address.
    """

    path: Path
    url: URL = field(repr=False)


def read_secret(path: Path) -> DatabaseSecret:
    """Read the one line of a secret file.

    Raises:
        FileProblem: It cannot be read, others may read it, or it holds no address of a database.
    """
    try:
        content, mode = _content(path)
    except OSError as error:
        raise FileProblem(
            f"The file {path} with the address of the database cannot be read: {error.strerror}.",
            remedy="Check its name and permissions.",
        ) from error
    if os.name == "posix" and mode & _OTHERS:
        raise FileProblem(
            f"The file {path} with the address of the database can be read by other accounts.",
            remedy=f"Run 'chmod 600 {path}'. If others may have read it, change the password.",
        )
    try:
        url = make_url(content.decode("utf-8").strip())
    except (ArgumentError, ValueError):
        url = None
    if url is None or len(content) > SECRET_BYTES:
        # The words of the library quote what they could not read, password and all.
        raise FileProblem(
            f"The file {path} does not hold the address of a database.",
            remedy="Write one line like postgresql+psycopg://account:password@host/database; "
            "in a password write %40 for @ and %2F for /.",
        )
    return DatabaseSecret(path=path, url=url)


def _content(path: Path) -> tuple[bytes, int]:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # a pipe would keep the node waiting for ever
        return b"", mode
    # The rights are read from the open file, so that its name cannot be swapped in between.
    with path.open("rb") as file:
        return file.read(SECRET_BYTES + 1), os.fstat(file.fileno()).st_mode
