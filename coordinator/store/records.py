"""One row of each table as a frozen value, and the one way rows are read into it."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import RowMapping

from federated.timestamps import parse_time, time_text
from protocols.identifiers import CouncilId, Digest, RoundId

__all__ = [
    "AgreementRow",
    "BudgetRow",
    "DecisionRow",
    "DeliveryRow",
    "DeskRow",
    "EnrolmentRow",
    "ProposalRow",
    "ReleaseRow",
    "RosterRow",
    "RoundCouncilRow",
    "RoundRow",
    "StageRow",
    "column_value",
    "read_row",
    "row_values",
]

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRow:
    """Which coordinator acts; see `coordinator.store.desk`. `until` is None once it has left."""

    owner: str
    turn: int
    until: datetime | None
    taken_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRow:
    """A roster as its signers signed it."""

    epoch: int
    digest: Digest
    envelope: bytes
    accepted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """An agreement as its signers signed it."""

    digest: Digest
    agreement_id: str
    envelope: bytes
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRow:
    """A signed plan and where it stands; see `coordinator.proposal_states`."""

    plan_digest: Digest
    query_digest: Digest
    agreement_digest: Digest
    analyst: str
    plan_envelope: bytes
    manifest_envelope: bytes
    state: str
    rule: str = ""
    reason: str = ""
    received_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """The current signed decision of one council on one proposal."""

    plan_digest: Digest
    council: CouncilId
    decision: str
    rule: str
    reason: str
    extract_date: str | None
    envelope: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRow:
    """A round, and how it ended (`running`, `released` or `aborted`)."""

    sid: RoundId
    plan_digest: Digest
    attempt: int
    stage: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = "running"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCouncilRow:
    """What became of one council in one round; `joined` when it was in U1."""

    sid: RoundId
    council: CouncilId
    joined: bool
    outcome: str
    stage: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """How long one stage of a round took, and how many councils were asked and answered."""

    sid: RoundId
    stage: str
    microseconds: int
    asked: int
    answered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """A release as published; once `deleted_at` is set, its content is empty."""

    digest: Digest
    query_digest: Digest
    plan_digest: Digest
    sid: RoundId
    agreement_id: str
    title: str
    contributed: int
    asked: int
    data_cut_off: str | None
    content: bytes
    created_at: datetime
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A release owed to a contributing council; settled once its signed receipt is here."""

    release_digest: Digest
    council: CouncilId
    receipt: bytes | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """The latest signed budget statement of one council."""

    council: CouncilId
    envelope: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRow:
    """A council's request to be put into a roster, by its public key."""

    public_key: bytes
    council: CouncilId
    fingerprint: str
    state: str
    requested_at: datetime
    decided_at: datetime | None = None


_TIMES = frozenset(
    {
        "accepted_at",
        "added_at",
        "changed_at",
        "created_at",
        "decided_at",
        "deleted_at",
        "ended_at",
        "received_at",
        "requested_at",
        "started_at",
        "taken_at",
        "until",
    }
)
_BYTES_AS_TEXT = frozenset(
    {"digest", "query_digest", "plan_digest", "agreement_digest", "release_digest", "sid", "public_key"}
)


def read_row(kind: type[RowT], row: RowMapping) -> RowT:
    """Turn a row into its value: hexadecimal text to bytes, times to aware datetimes."""
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # every kind is a dataclass of this module
        value = row[field.name]
        if value is not None and field.name in _TIMES:
            value = parse_time(value) if value else None
        elif value is not None and field.name in _BYTES_AS_TEXT:
            value = bytes.fromhex(value)
        values[field.name] = value
    return kind(**values)


def row_values(record: object) -> dict[str, Any]:
    """The reverse of `read_row`: what is written for a value."""
    values: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type]  # every record is a dataclass of this module
        values[field.name] = column_value(field.name, getattr(record, field.name))
    return values


def column_value(name: str, value: Any) -> Any:
    """One value as its column holds it."""
    if isinstance(value, datetime):
        return time_text(value)
    return value.hex() if isinstance(value, bytes) and name in _BYTES_AS_TEXT else value
