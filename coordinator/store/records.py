"""One row of each table as a frozen value, and the one way rows are read into it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from federated.timestamps import parse_time, time_text
from protocols.identifiers import CouncilId, Digest, RoundId

__all__ = [
    "AcceptanceRow",
    "AccountRow",
    "AgreementRow",
    "AuditRow",
    "BudgetRow",
    "DecisionRow",
    "DeliveryRow",
    "DeskRow",
    "DraftRow",
    "EnrolmentRow",
    "InboxRow",
    "PaperRow",
    "ProposalRow",
    "ReleaseRow",
    "RosterRow",
    "RoundCouncilRow",
    "RoundRow",
    "SessionRow",
    "StageRow",
    "StartRow",
    "TokenRow",
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
    manifest_id: str = ""
    return_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """A signed paper of governance: what was said of an answer, minutes, a series, or a suggested question.

    Attributes:
        digest: SHA-256 of what was signed.
        kind: See `federated.papers.PaperKind`.
        subject: Digest of the release in hexadecimal, id of the series, day of a meeting, or year of a suggestion.
        author: Code of the council, or id of the first key that signed.
        hidden_at: Since when an operator shows it no more; it is never altered.
        hidden_reason: Why, for everybody.
        request: Digest of the account and the idempotency key by which a program brought it, if it gave one.
    """

    digest: Digest
    kind: str
    agreement_id: str
    subject: str
    author: str
    envelope: bytes = field(repr=False)
    received_at: datetime
    hidden_at: datetime | None = None
    hidden_reason: str = ""
    request: str | None = None


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
    """What became of one council in one round, or how it stands in one under way; `joined` when it was in U1."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """A person who may sign in to the pages.

    Attributes:
        name: Of a local account as given; of one of an OpenID provider made from the provider's subject.
        kind: `local` or `openid`.
        state: `active`, `locked`, or `removed`; a name is never given to somebody else.
        roles: Parted by spaces.
        agreements: Their ids, parted by spaces.
        password_hash: By argon2, with its own salt and parameters; none until the code was used.
        subject_hash: Of issuer and subject at an OpenID provider.
        code_hash: Of the one-time code for a first or new password.
        code_until: Until when that code is good.
    """

    name: str
    kind: str
    state: str = "active"
    roles: str
    agreements: str = ""
    password_hash: str | None = field(default=None, repr=False)
    subject_hash: bytes | None = None
    code_hash: bytes | None = field(default=None, repr=False)
    code_until: datetime | None = None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A browser that somebody signed in with; of its token only the hash."""

    token_hash: bytes = field(repr=False)
    account: str
    address: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token with which a program asks in the name of an account; of the token only the hash.

    Attributes:
        token_hash: SHA-256 of it.
        account: Whose it is.
        prefix: Its first characters, by which the owner knows it again.
        label: What it is for, in the owner's words.
        scope: What it may do at most: `read`, or `ask` as well.
        made_by: Name of the account, or `command line`.
        until: Good before then.
        revoked_at: When it was taken back.
        used_at: When it was last used, to the minute.
    """

    token_hash: bytes = field(repr=False)
    account: str
    prefix: str
    label: str
    scope: str
    made_by: str
    created_at: datetime
    until: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRow:
    """A sign-in that was sent to the OpenID provider and has not come back."""

    state_hash: bytes = field(repr=False)
    next_path: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """Who did what, to what, and when.

    Attributes:
        done_at: Time.
        who: Name of the account, or `command line`.
        operation: From a closed list; see `coordinator.sign_in.audit`.
        outcome: `done` or `refused`.
        object: A digest or public key in hexadecimal, or the name of an account.
    """

    done_at: datetime
    who: str
    operation: str
    outcome: str = "done"
    object: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRow:
    """An enrolment that one operator wants accepted, until another confirms it."""

    public_key: bytes
    asked_by: str
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRow:
    """A question that an account is still writing.

    Attributes:
        draft: Its id: random, hexadecimal.
        account: Whose it is.
        agreement_id: The agreement it is to be asked under.
        question: The question as YAML.
        manifest: The manifest as YAML, as far as it is written; empty until it is begun.
    """

    draft: str
    account: str
    agreement_id: str
    question: str = field(repr=False)
    manifest: str = field(repr=False)
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """A signed plan that came over the web, and what became of it.

    Attributes:
        number: In the order in which they came.
        plan_digest: Of the plan.
        body_digest: Of everything that was handed in; tells a repetition from another question under the same key.
        plan_envelope: As signed; empty once settled, as what is taken is kept with the proposal.
        manifest_envelope: As signed; empty once settled.
        refresh: Ask afresh, at a new charge.
        account: Who handed it in.
        agreement_id: What the plan is under.
        key: Idempotency key, if one was given.
        state: `waiting`, `taken` by the coordinator that acts, or `settled`.
        rule: Why it was not taken; empty otherwise.
        message: The same in a sentence.
        watch_digest: Of the plan whose run to watch, once it is settled and was taken.
        received_at: When it came.
        taken_at: When the coordinator took it.
        settled_at: When it was known what became of it.
    """

    number: int = 0
    plan_digest: Digest
    body_digest: bytes
    plan_envelope: bytes = field(repr=False)
    manifest_envelope: bytes = field(repr=False)
    refresh: bool
    account: str
    agreement_id: str
    key: str | None = None
    state: str = "waiting"
    rule: str = ""
    message: str = ""
    watch_digest: Digest | None = None
    received_at: datetime
    taken_at: datetime | None = None
    settled_at: datetime | None = None


_TIMES = frozenset(
    {
        "accepted_at",
        "added_at",
        "asked_at",
        "changed_at",
        "code_until",
        "created_at",
        "decided_at",
        "done_at",
        "deleted_at",
        "ended_at",
        "hidden_at",
        "received_at",
        "requested_at",
        "return_by",
        "revoked_at",
        "seen_at",
        "settled_at",
        "started_at",
        "taken_at",
        "until",
        "used_at",
    }
)
_BYTES_AS_TEXT = frozenset(
    {
        "agreement_digest",
        "body_digest",
        "code_hash",
        "digest",
        "plan_digest",
        "public_key",
        "query_digest",
        "release_digest",
        "sid",
        "state_hash",
        "subject_hash",
        "token_hash",
        "watch_digest",
    }
)


def read_row(kind: type[RowT], row: Mapping[Any, Any]) -> RowT:
    """Turn a row into its value: hexadecimal text to bytes, times to aware datetimes."""
    values: dict[str, Any] = {}
    for one in fields(kind):  # type: ignore[arg-type]  # every kind is a dataclass of this module
        value = row[one.name]
        if value is not None and one.name in _TIMES:
            value = parse_time(value) if value else None
        elif value is not None and one.name in _BYTES_AS_TEXT:
            value = bytes.fromhex(value)
        values[one.name] = value
    return kind(**values)


def row_values(record: object) -> dict[str, Any]:
    """The reverse of `read_row`: what is written for a value."""
    values: dict[str, Any] = {}
    for one in fields(record):  # type: ignore[arg-type]  # every record is a dataclass of this module
        values[one.name] = column_value(one.name, getattr(record, one.name))
    return values


def column_value(name: str, value: Any) -> Any:
    """One value as its column holds it."""
    if isinstance(value, datetime):
        return time_text(value)
    return value.hex() if isinstance(value, bytes) and name in _BYTES_AS_TEXT else value
