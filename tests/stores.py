"""Databases for the coordinator's store: SQLite in a folder, or one of a real PostgreSQL server's own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

__all__ = ["PostgresqlServer", "running_postgresql"]

_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class PostgresqlServer:
    """A server of our own, on a socket in a folder of ours, without a port."""

    folder: Path

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh, empty database; its address as the setting `database` takes it."""
        name = f"store_{next(_NUMBERS)}"
        self._run("CREATE DATABASE {}", name)
        try:
            yield f"postgresql+psycopg://coordinator@/{name}?host={self.folder}"
        finally:
            self._run("DROP DATABASE {} WITH (FORCE)", name)

    def _run(self, statement: str, name: str) -> None:
        with psycopg.connect(host=str(self.folder), user="coordinator", dbname="postgres", autocommit=True) as owner:
            owner.execute(sql.SQL(statement).format(sql.Identifier(name)))


def _programs() -> Path:
    found = shutil.which("pg_ctl")
    everywhere = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    assert everywhere, "no PostgreSQL server is installed: run `make setup-system`"
    return everywhere[0].resolve().parent


@contextmanager
def running_postgresql(*, fsync: bool = False) -> Iterator[PostgresqlServer]:
    """A server, as `make setup-system` installs it.

    Args:
        fsync: Wait for the disk; only what kills the server itself needs that.
    """
    # Not in pytest's folder, which any other run of pytest closes to all accounts but its own.
    with tempfile.TemporaryDirectory(prefix="store-") as name:
        folder, programs, account = Path(name), _programs(), []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            known = {entry.pw_name for entry in pwd.getpwall()}
            user = next(one for one in ("postgres", "nobody") if one in known)
            account = ["runuser", "-u", user, "--"]
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            command = [*account, str(programs / program), *arguments]
            # No pipes: the server would keep them open.
            quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
            subprocess.run(command, check=True, cwd=folder, timeout=120, **quiet)

        data = str(folder / "data")
        run("initdb", "-D", data, "-A", "trust", "-U", "coordinator", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-k {folder} -c listen_addresses='' -c fsync={'on' if fsync else 'off'}"
        run("pg_ctl", "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
        try:
            yield PostgresqlServer(folder)
        finally:
            run("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")
