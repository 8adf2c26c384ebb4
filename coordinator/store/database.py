"""Opening the store: one database, brought to the form this software knows, or refused in one sentence."""

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from coordinator.store.acceptances import AcceptanceBook
from coordinator.store.accounts import AccountBook
from coordinator.store.audit import AuditBook
from coordinator.store.book import plain_database_errors
from coordinator.store.desk import DeskBook
from coordinator.store.drafts import DraftBook
from coordinator.store.inbox import InboxBook
from coordinator.store.membership import MembershipBook
from coordinator.store.migration import migrate
from coordinator.store.outcomes import OutcomeBook
from coordinator.store.papers import PaperBook
from coordinator.store.proposals import ProposalBook
from coordinator.store.releases import ReleaseBook
from coordinator.store.rounds import RoundBook
from coordinator.store.sign_ins import SignInBook
from coordinator.store.tokens import TokenBook
from federated.errors import FileProblem

__all__ = ["Store", "open_store"]

BUSY_TIMEOUT_MS: Final = 10_000
_PATIENCE: Final = {"connect_timeout": 10, "tcp_user_timeout": 20_000}
"""Of PostgreSQL's client: seconds to connect, and milliseconds until what was sent must have arrived."""
IDLE_TIMEOUT_S: Final = 10
"""Longest pause within a transaction on PostgreSQL; then the database undoes it and lets go of its locks."""
_PRAGMAS: Final = (
    # First, because the next one waits for other processes too.
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode=WAL",
    # FULL: a round's sid must survive a power cut before an invitation that names it leaves.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    # What is deleted is overwritten in the file, not only left out of it.
    "PRAGMA secure_delete=ON",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The coordinator's store: one book for each kind of thing it remembers.

    Every method of a book is one transaction, on the disk when it returns.
    """

    engine: Engine
    membership: MembershipBook
    proposals: ProposalBook
    rounds: RoundBook
    releases: ReleaseBook
    outcomes: OutcomeBook
    accounts: AccountBook
    sign_ins: SignInBook
    audit: AuditBook
    papers: PaperBook
    acceptances: AcceptanceBook
    inbox: InboxBook
    tokens: TokenBook = field(repr=False)
    desk: DeskBook
    drafts: DraftBook

    def at_desk(self, turn: int) -> Self:
        """The same store for the coordinator that has this turn at the desk: its moves are refused once it is over."""
        return replace(
            self,
            membership=MembershipBook(self.engine, turn),
            proposals=ProposalBook(self.engine, turn),
            releases=ReleaseBook(self.engine, turn),
            outcomes=OutcomeBook(self.engine, turn),
            inbox=InboxBook(self.engine, turn),
        )

    def tidy(self) -> None:
        """Let what was deleted leave SQLite's log of changes too; PostgreSQL vacuums by itself."""
        if self.engine.dialect.name == "sqlite":
            with plain_database_errors(self.engine), self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def open_store(url: str, *, read_only: bool = False) -> Store:
    """Open the database and bring it up to date.

    Args:
        url: An SQLAlchemy URL, for example ``sqlite:////var/lib/coordinator/store.db``.
        read_only: Let the database itself refuse every write once it is up to date.

    Raises:
        FileProblem: The URL has no driver here, the database cannot be used, or newer software has written it.
    """
    engine = _engine(url)
    with plain_database_errors(engine):
        migrate(engine)
    if read_only:
        engine.dispose()
        event.listen(engine, "connect", _refuse_writes_sqlite if _is_sqlite(engine) else _refuse_writes_postgresql)
    return Store(
        engine=engine,
        membership=MembershipBook(engine),
        proposals=ProposalBook(engine),
        rounds=RoundBook(engine),
        releases=ReleaseBook(engine),
        outcomes=OutcomeBook(engine),
        accounts=AccountBook(engine),
        sign_ins=SignInBook(engine),
        audit=AuditBook(engine),
        papers=PaperBook(engine),
        acceptances=AcceptanceBook(engine),
        inbox=InboxBook(engine),
        tokens=TokenBook(engine),
        desk=DeskBook(engine),
        drafts=DraftBook(engine),
    )


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(parsed)
        return _postgresql_engine(parsed)
    except (ArgumentError, NoSuchModuleError) as error:
        raise FileProblem(
            "The setting 'database' is not a database address this software knows.",
            remedy="Write it as sqlite:////path/store.db or postgresql+psycopg://host/name.",
        ) from error
    except ModuleNotFoundError as error:
        raise FileProblem(
            f"The driver '{error.name}' for the setting 'database' is not installed.",
            remedy="Install it beside the coordinator, or leave 'database' out to use the state folder.",
        ) from error


def _postgresql_engine(url: URL) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=_patience(url))
    event.listen(engine, "connect", _configure_postgresql)
    return engine


def _patience(url: URL) -> dict[str, int]:
    """So that no call hangs where the network swallows everything; what the operator's address says comes first."""
    if url.get_driver_name() != "psycopg":
        return {}
    return {name: value for name, value in _PATIENCE.items() if name not in url.query}


def _sqlite_engine(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        _create_private(Path(url.database))
    engine = create_engine(url, hide_parameters=True)  # an error would quote the row otherwise
    event.listen(engine, "connect", _configure_sqlite)
    return engine


def _create_private(path: Path) -> None:
    """Make the file before SQLite does, so that only this account can read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file that is there is not touched: closing it would let go of the locks that SQLite holds on it in this
        # process, and the next process to leave would take the log of changes away from under our connections.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise FileProblem(
            f"The database {path} cannot be opened ({error.strerror}).",
            remedy="Check that its folder exists and that the account that runs the coordinator may write to it.",
        ) from error


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _configure_postgresql(connection: Any, _record: object) -> None:
    # A coordinator that is stopped, not killed, in the middle of a write would keep its lock on the desk, and nobody
    # could take over; PostgreSQL (manual, "Client Connection Defaults") waits for it for ever unless told otherwise.
    cursor = connection.cursor()
    cursor.execute(f"SET SESSION idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S}s'")
    cursor.close()
    connection.commit()


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _refuse_writes_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON").close()


def _refuse_writes_postgresql(connection: Any, _record: object) -> None:
    connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    connection.commit()
