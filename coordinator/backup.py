"""`coordinator backup` and `coordinator restore`: every row of the store in one file, whichever database keeps it.

The file is lines of JSON: a heading, each table's name and rows, and an end with the count and the SHA-256 of all lines
before it. It is read in one transaction, so it is consistent while the coordinator serves. Who sits at the desk is left
out: that is true of a moment and not of a copy. The file holds what the database holds, and no private key.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from alembic import command
from sqlalchemy import Connection, Engine, MetaData, Table, delete, func, select, text, update

from coordinator.proposal_states import WAITING, ProposalEvent, ProposalState, next_state
from coordinator.store.book import plain_database_errors
from coordinator.store.migration import migrating, migration_scripts
from coordinator.store.tables import (
    METADATA,
    accounts,
    desk,
    enrolment_acceptances,
    inbox,
    openid_starts,
    proposals,
    round_progress,
    rounds,
    sessions,
    sign_in_attempts,
    tokens,
)
from federated.errors import FileProblem, InternalError
from federated.timestamps import parse_time, time_text

__all__ = ["Backup", "Restored", "backup", "restore"]

VERSION: Final = 1
_ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup's heading and end.

    Attributes:
        coordinator: Id of the coordinator it is of.
        made_at: When, UTC.
        form: The database's form, as `coordinator/migrations` names it.
        rows: Rows in all tables.
    """

    coordinator: str
    made_at: datetime
    form: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came back.

    Attributes:
        copy: The backup.
        rounds_ended: Rounds that were under way when it was made.
        plans_ended: Plans on which councils were deciding then.
        accounts_locked: Accounts that could sign in then; nobody can until they are unlocked or reset.
    """

    copy: Backup
    rounds_ended: int
    plans_ended: int
    accounts_locked: int


# --- making one ---


def backup(engine: Engine, path: Path, *, coordinator: str, now: datetime) -> Backup:
    """Write every row to a file that does not exist yet; the coordinator may go on serving.

    Raises:
        FileProblem: The file exists or cannot be written, or the database cannot be read.
    """
    form = str(migration_scripts().get_current_head())
    heading = {"backup": VERSION, "coordinator": coordinator, "form": form, "made_at": time_text(now)}
    with _new_file(path) as out, plain_database_errors(engine), _snapshot(engine) as connection:
        digest, rows = hashlib.sha256(), 0
        for line in _lines(connection, heading):
            rows += line.startswith(b"[")
            digest.update(line)
            out.write(line)
        out.write(_line({"end": VERSION, "rows": rows, "sha256": digest.hexdigest()}))
    return Backup(coordinator=coordinator, made_at=now, form=form, rows=rows)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name once it is whole and on the disk, and never in another's place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.link(beside, path)  # unlike a renaming, this fails where there is a file already
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except FileExistsError as error:
        raise FileProblem(
            f"{path}: there is already a file here, and a backup is never overwritten.", remedy="Name another file."
        ) from error
    except OSError as error:
        raise FileProblem(f"{path}: the backup cannot be written ({error.strerror}).") from error
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the database as it is now, whatever is written meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
            # Nobody waits for what only reads, and a disk that is slow to take the backup must not break it off.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield connection.execution_options(yield_per=_ROWS_AT_ONCE)
        connection.rollback()


_FLEETING: Final = frozenset({desk, round_progress, sessions, sign_in_attempts, openid_starts, tokens})
"""Not in a backup. A session that was ended, or a token that was taken back after it, must not come back with it."""


def _lines(connection: Connection, heading: Mapping[str, object]) -> Iterator[bytes]:
    yield _line(heading)
    for table in METADATA.sorted_tables:
        if table in _FLEETING:
            continue
        yield _line({"table": table.name, "columns": [column.name for column in table.columns]})
        for row in connection.execute(select(table).order_by(*table.primary_key.columns)):
            yield _line([_written(value) for value in row])


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def _written(value: Any) -> Any:
    return {"bytes": base64.b64encode(value).decode("ascii")} if isinstance(value, bytes) else value


def _read(value: Any) -> Any:
    return base64.b64decode(value["bytes"], validate=True) if isinstance(value, dict) else value


# --- taking one back ---


def restore(engine: Engine, path: Path, *, coordinator: str, now: datetime) -> Restored:
    """Fill an empty database from a backup, in one transaction.

    What was under way is ended, with a reason that its analyst sees: after the backup it may have ended otherwise, and
    been charged, so nothing may begin again by itself.

    Args:
        engine: The database, with tables and no row.
        path: The backup.
        coordinator: Id of this coordinator.
        now: The time, UTC.

    Raises:
        FileProblem: The backup is damaged, of another coordinator or of newer software, or the database is not empty.
    """
    found = _verified(path)
    if found.coordinator != coordinator:
        raise FileProblem(
            f"{path}: this is a backup of the coordinator '{found.coordinator}', not of '{coordinator}'.",
            remedy="Check the settings.",
        )
    if found.form not in {script.revision for script in migration_scripts().walk_revisions()}:
        raise FileProblem(
            f"{path}: the backup is of newer software (form '{found.form}').", remedy="Install the newer software."
        )
    with plain_database_errors(engine), migrating(engine) as config:
        connection: Connection = config.attributes["connection"]
        _require_empty(connection)
        # Without rows a step down loses nothing; then an old backup takes the steps up that its database would have.
        command.downgrade(config, found.form)
        _fill(connection, path)
        command.upgrade(config, "head")
        _count_on(connection)
        rounds_ended, plans_ended = _end_what_was_under_way(connection, found, now)
        locked = _take_back_rights(connection, now)
    return Restored(copy=found, rounds_ended=rounds_ended, plans_ended=plans_ended, accounts_locked=locked)


def _verified(path: Path) -> Backup:
    """Read a backup through and hold it against its own checksum, before anything is written."""
    digest, rows, heading, end = hashlib.sha256(), 0, b"", b""
    for line in _lines_of(path):
        if end:
            digest.update(end)
            rows += end.startswith(b"[")
        heading, end = heading or line, line
    try:
        first, last = json.loads(heading), json.loads(end)
        whole = (last["end"], last["rows"], last["sha256"]) == (VERSION, rows, digest.hexdigest())
        if not whole or not end.endswith(b"\n"):
            raise _damaged(path)
        if first["backup"] != VERSION:
            raise FileProblem(
                f"{path}: this software reads backups of version {VERSION}, and this is version {first['backup']}.",
                remedy="Use the software that made it, or a newer one.",
            )
        made_at = parse_time(first["made_at"])
        return Backup(coordinator=first["coordinator"], made_at=made_at, form=first["form"], rows=rows)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> FileProblem:
    return FileProblem(f"{path}: this is not a whole, undamaged backup.", remedy="Take an earlier one.")


def _lines_of(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as content:
            yield from content
    except OSError as error:
        raise FileProblem(f"{path}: the backup cannot be read ({error.strerror}).") from error


def _require_empty(connection: Connection) -> None:
    for table in METADATA.sorted_tables:
        if connection.execute(select(table).limit(1)).first() is not None:
            raise FileProblem(
                "The database is not empty, and a backup is only restored into an empty one.",
                remedy="Name a new database in the settings, or move the old one away.",
            )


def _fill(connection: Connection, path: Path) -> None:
    tables = MetaData()
    tables.reflect(connection)
    table: Table | None = None
    columns: list[str] = []
    waiting: list[dict[str, Any]] = []

    def write() -> None:
        if table is not None and waiting:
            connection.execute(table.insert(), waiting)
            waiting.clear()

    for line in _lines_of(path):
        item = json.loads(line)
        if isinstance(item, list):
            waiting.append(dict(zip(columns, map(_read, item), strict=True)))
            if len(waiting) == _ROWS_AT_ONCE:
                write()
        elif "table" in item:
            write()
            table, columns = tables.tables[item["table"]], item["columns"]
    write()


def _count_on(connection: Connection) -> None:
    """Have PostgreSQL number on from the highest number there is, as SQLite does by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in METADATA.sorted_tables:
        column = table.autoincrement_column
        highest = None if column is None else connection.execute(select(func.max(column))).scalar()
        if column is not None and highest is not None:
            sequence = text("SELECT setval(pg_get_serial_sequence(:table, :column), :highest)")
            connection.execute(sequence, {"table": table.name, "column": column.name, "highest": highest})


def _take_back_rights(connection: Connection, now: datetime) -> int:
    """Lock every account, and let operators ask anew: rights may have been taken away after the backup was made.

    Returns:
        Accounts that were locked.
    """
    connection.execute(delete(enrolment_acceptances))
    shut = {"state": "locked", "password_hash": None, "code_hash": None, "code_until": None}
    change = update(accounts).where(accounts.c.state == "active")
    return connection.execute(change.values(**shut, changed_at=time_text(now))).rowcount


def _end_what_was_under_way(connection: Connection, found: Backup, now: datetime) -> tuple[int, int]:
    reason = (
        f"The coordinator was restored from a backup of {time_text(found.made_at)}, and what was under way then is "
        "ended. What was spent stays spent. Plan the question again."
    )
    said = {"rule": "coordinator_stopped", "reason": reason, "changed_at": time_text(now)}
    ended = update(rounds).where(rounds.c.outcome == "running")
    number = connection.execute(ended.values(outcome="aborted", reason=reason, ended_at=time_text(now))).rowcount
    unsettled = update(inbox).where(inbox.c.state != "settled")
    settled = {"state": "settled", "settled_at": time_text(now), "rule": "coordinator_stopped", "message": reason}
    connection.execute(unsettled.values(**settled, plan_envelope=b"", manifest_envelope=b""))
    moves = {state: next_state(state, ProposalEvent.OVERTAKEN) for state in WAITING}
    moves[ProposalState.RUNNING] = next_state(ProposalState.RUNNING, ProposalEvent.ROUND_FAILED)
    moved = 0
    for before, after in moves.items():
        change = update(proposals).where(proposals.c.state == before.value).values(state=after.value, **said)
        moved += connection.execute(change).rowcount
    if moved < number:
        raise InternalError("The backup holds a round under way whose plan is not.")
    return number, moved - number
