"""Records of deletion: when a question's rows and a round's secrets went, and how that is known (requirement R24).

One signed record for each round that this council's ledger knows, made when the round ends here. It says only what
was looked at: the database engine is asked what it still holds, and the session of the round where it stands. Where
the node no longer has that session, the record says so and no more. After a restart nothing can be asked, and the
record says that the process, and its memory, had ended.
"""

from datetime import datetime
from typing import Final, Protocol

from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.settings import Settings
from federated.errors import InternalError
from federated.keys import SigningKey
from federated.ledger_entries import LedgerRound, RoundState
from federated.signing import sign_statement
from federated.timestamps import time_text
from protocols.encoding import Json
from protocols.identifiers import CouncilId, RoundId
from protocols.secagg import ParticipantSession
from protocols.secagg.transitions import ParticipantState

__all__ = ["DELETION_KIND", "keep_deletion_record", "settle_after_restart"]

DELETION_KIND: Final = "deletion-record"
"""Kind of signed statement."""
_KEPT: Final = (
    "the receipt of the round",
    "the entries of the privacy ledger",
    "the answer, if one came, until its time is over",
)


class Desk(Protocol):
    """What is needed of the council's station."""

    settings: Settings
    store: NodeStore
    ledger: Ledger
    key: SigningKey

    def rows_held(self) -> int | None:
        """Bytes of rows that the database engine still holds; None when there is no engine."""

    def rest(self) -> None:
        """Close the database engine."""


def keep_deletion_record(desk: Desk, sid: RoundId, session: ParticipantSession | None, now: datetime) -> bool:
    """Look at what is left of a round that has ended here, and keep a signed record of it. Run by the node.

    Args:
        desk: The council's station.
        sid: The round; one that the ledger does not know has read nothing and needs no record.
        session: The council's end of the round, already ended; None when it was not in memory.
        now: Time, UTC.

    Returns:
        Whether a record was made: of each round there is one.

    Raises:
        InternalError: Secrets are still there: the record would be false.
    """
    charged = desk.ledger.round(sid)
    if charged is None or desk.store.latest(DocumentKind.DELETION, sid.hex()) is not None:
        return False
    if session is not None and session.state is not ParticipantState.ENDED:
        raise InternalError("A round that is over has not let go of its secrets.")
    ended = "The node's session of the round was ended, and looked at afterwards: it holds no key and no mask."
    _keep(
        desk,
        charged,
        _rows(charged, _emptied(desk), now),
        _secrets(ended if session is not None else _NO_SESSION, now),
        now,
    )
    return True


# It may have ended here before a record could be written, or with an earlier process: which one is not known.
_NO_SESSION: Final = "When this record was made, the node had no session of this round any more."
_RESTARTED: Final = "The process that held them has ended: the node started again since."


def settle_after_restart(desk: Desk, now: datetime) -> None:
    """Make the records of rounds that a stopped process left without one. Run when the node starts.

    Args:
        desk: The council's station, with no round under way.
        now: Time, UTC.
    """
    recorded = {document.name for document in desk.store.all_latest(DocumentKind.DELETION)}
    for charged in desk.ledger.rounds():
        if charged.state is not RoundState.RESERVED and charged.sid.hex() not in recorded:
            _keep(desk, charged, _rows(charged, _RESTARTED, now), _secrets(_RESTARTED, now), now)


def _emptied(desk: Desk) -> str:
    """How it is known that the rows are gone; an engine that still holds some is closed with all it holds."""
    held = desk.rows_held()
    if held != 0:
        desk.rest()
        return "The database engine was closed with all it held."
    return "The database engine was asked afterwards, and said that it holds 0 bytes of rows in memory or on disk."


def _rows(charged: LedgerRound, how: str, now: datetime) -> dict[str, Json]:
    what = "the rows read from the extract for this question"
    if charged.state is not RoundState.SPENT:
        return _item(what, "None were read: the charge was given back, and data is read after the charge only.", now)
    return _item(what, how, now)


def _secrets(how: str, now: datetime) -> dict[str, Json]:
    return _item("the keys, masks and parts of keys of this round", how, now)


def _item(what: str, how: str, now: datetime) -> dict[str, Json]:
    return {"what": what, "gone_by": time_text(now), "how_it_is_known": how}


def _keep(desk: Desk, charged: LedgerRound, rows: dict[str, Json], secrets: dict[str, Json], now: datetime) -> None:
    body: dict[str, Json] = {
        "version": 1,
        "council": CouncilId(desk.settings.council.id),
        "sid": charged.sid.hex(),
        "plan_digest": charged.plan_digest.hex(),
        "title": charged.title,
        "time": time_text(now),
        "removed": [rows, secrets],
        "kept": list(_KEPT),
    }
    desk.store.put(DocumentKind.DELETION, charged.sid.hex(), sign_statement(DELETION_KIND, body, desk.key), now)
