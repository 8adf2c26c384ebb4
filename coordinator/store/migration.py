"""The database's form: brought to the one this software knows, by one process at a time, or refused in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from federated.errors import FileProblem, InternalError

__all__ = ["alembic_config", "migrate", "migrating", "migration_scripts"]

PATIENCE_MS: Final = 600_000
"""How long a process waits on SQLite for another one that brings the same database up to date."""
_LOCK: Final = 0x636F6F7264
"""Number of PostgreSQL's advisory lock: the letters of "coord"; the same in every version of this software."""


def migrate(engine: Engine) -> None:
    """Bring the database to this software's form; waits while another process does.

    Raises:
        FileProblem: Newer software has written it.
    """
    head = migration_scripts().get_current_head()
    with engine.connect() as connection:
        if _form(connection) == head:  # the usual case needs no lock, so that commands never wait for one another
            return
    with migrating(engine) as config:
        command.upgrade(config, "head")


@contextmanager
def migrating(engine: Engine) -> Iterator[Config]:
    """Hold the database alone, in one transaction, for steps up or down.

    Yields:
        What Alembic's commands take.

    Raises:
        FileProblem: Newer software has written it.
        InternalError: After the steps a row refers to one that is not there; nothing is changed.
    """
    with _alone(engine) as connection:
        scripts = migration_scripts()
        found = _form(connection)
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise FileProblem(
                f"The database was written by newer software (form '{found}'); "
                f"this software knows forms up to '{scripts.get_current_head()}'.",
                remedy="Install the newer software again.",
            )
        config = alembic_config()
        config.attributes["connection"] = connection
        yield config


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            # Let go of when the transaction ends, also by a crash.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection
        return
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={PATIENCE_MS}")
        # SQLite changes a table by making it again, which would take the rows that refer to it along.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                raise InternalError("Bringing the database up to date would leave rows without what they refer to.")
            connection.commit()
        finally:
            connection.rollback()
            connection.invalidate()  # the next one is opened with the usual settings


def _form(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def migration_scripts() -> ScriptDirectory:
    """The migrations this software brings with it."""
    return ScriptDirectory.from_config(alembic_config())


def alembic_config() -> Config:
    """Where they are."""
    config = Config()
    # Alembic reads '%' as interpolation, and a folder's name may hold one.
    folder = str(Path(__file__).parent.parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
