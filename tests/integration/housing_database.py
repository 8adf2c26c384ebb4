"""A real PostgreSQL server for a council's extract, as `make setup-system` installs it: on a socket, without a port."""

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import psycopg

PASSWORD = "CANARY-PASSWORD"


def _programs():
    found = shutil.which("pg_ctl")
    everywhere = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    assert everywhere, "no PostgreSQL server is installed: run `make setup-system`"
    return everywhere[0].resolve().parent


@contextmanager
def running_server():
    """A server in a folder of its own, with a schema `housing` and an account `reader` that may look into it.

    It writes dates in the American way unless it is told otherwise, and logs every statement.
    """
    # Not in pytest's folder, which any other run of pytest closes to all accounts but its own.
    with tempfile.TemporaryDirectory(prefix="housing-") as name, _running(Path(name)) as folder:
        yield folder


@contextmanager
def _running(folder):
    programs, account = _programs(), []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        name = next((n for n in ("postgres", "nobody") if n in {entry.pw_name for entry in pwd.getpwall()}), None)
        account = ["runuser", "-u", name, "--"]
        shutil.chown(folder, name)

    def run(program, *arguments):
        command = [*account, str(programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=folder, timeout=60)

    run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "owner", "--no-sync", "-E", "UTF8", "--locale=C")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c datestyle='SQL, MDY' -c log_statement=all"
    run("pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        with as_owner(folder) as owner:
            owner.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            owner.execute("CREATE SCHEMA housing")
            owner.execute("GRANT USAGE ON SCHEMA housing TO reader")
        yield folder
    finally:
        run("pg_ctl", "-D", str(folder / "data"), "-m", "fast", "-w", "stop")


def as_owner(server):
    return psycopg.connect(host=str(server), user="owner", dbname="postgres", autocommit=True)


def secret_file(folder, server, *, user="reader", database="postgres", rights=0o600):
    """The file with the database's address; its name, as a mapping file says it."""
    path = folder / "cases.url"
    path.write_text(f"postgresql+psycopg://{user}:{PASSWORD}@/{database}?host={server}\n")
    path.chmod(rights)
    return path.name


def statements(server):
    """Everything the server was asked so far."""
    return (server / "log").read_text(errors="replace")
