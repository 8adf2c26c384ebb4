"""The tables of the coordinator's store.

Times are text in the one form of `federated.timestamps`, digests and session ids are lower-case hexadecimal,
signed files are kept as the bytes that were signed. Every row says which form it is in (`version`).
Changing anything here needs a new step in `coordinator/migrations/versions`; a test compares the two.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "METADATA",
    "ONLY",
    "accounts",
    "agreements",
    "audit",
    "budget_statements",
    "decisions",
    "deliveries",
    "desk",
    "drafts",
    "enrolment_acceptances",
    "enrolments",
    "inbox",
    "openid_starts",
    "papers",
    "proposals",
    "release_reads",
    "releases",
    "rosters",
    "round_councils",
    "round_progress",
    "round_stages",
    "rounds",
    "sessions",
    "sign_in_attempts",
    "tokens",
]

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
HEX = 64
COUNCIL = 32
ADDRESS = 45
"""Longest text of an IPv6 address."""
TIME = 20
ONLY: Final = 1
"""Key of the one row of a table that has one."""


def _version() -> Column[Any]:
    return Column("version", Integer, nullable=False, server_default="1")


def _council_in_round() -> tuple[Column[Any] | PrimaryKeyConstraint, ...]:
    """How one council stands in a round, or what became of it there."""
    return (
        Column("sid", String(HEX), ForeignKey("rounds.sid"), nullable=False),
        Column("council", String(COUNCIL), nullable=False),
        Column("joined", Boolean, nullable=False),
        Column("outcome", String(16), nullable=False),
        Column("stage", String(24), nullable=False),
        Column("rule", String(64), nullable=False),
        Column("reason", Text, nullable=False),
        _version(),
        PrimaryKeyConstraint("sid", "council"),
    )


def _hex(name: str, **options: Any) -> Column[Any]:
    return Column(name, String(HEX), nullable=False, **options)


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, String(TIME), nullable=nullable)


desk = Table(
    "desk",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("owner", String(HEX), nullable=False),
    Column("turn", Integer, nullable=False),
    _time("until"),
    _time("taken_at"),
    _version(),
    CheckConstraint(f"number = {ONLY}", name="number"),
)

rosters = Table(
    "rosters",
    METADATA,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    _hex("digest", unique=True),
    Column("envelope", LargeBinary, nullable=False),
    _time("accepted_at"),
    _version(),
)

agreements = Table(
    "agreements",
    METADATA,
    _hex("digest", primary_key=True),
    Column("agreement_id", String(120), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    _time("added_at"),
    _version(),
)

proposals = Table(
    "proposals",
    METADATA,
    _hex("plan_digest", primary_key=True),
    _hex("query_digest"),
    _hex("agreement_digest"),
    Column("analyst", String(HEX), nullable=False),
    Column("plan_envelope", LargeBinary, nullable=False),
    Column("manifest_envelope", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    _time("received_at"),
    _time("changed_at"),
    # Of plan and manifest, so that repeats of a question and answers that came late are found without reading all.
    Column("manifest_id", String(60), nullable=False, server_default=""),
    _time("return_by", nullable=True),
    _version(),
    Index("ix_proposals_query_digest", "query_digest"),
    Index("ix_proposals_manifest_id", "manifest_id", "received_at", "plan_digest"),
    # In the order of the register, so that a page of it reads no more rows than it shows.
    Index("ix_proposals_received_at", "received_at", "plan_digest"),
    Index("ix_proposals_state", "state", "received_at", "plan_digest"),
)

decisions = Table(
    "decisions",
    METADATA,
    Column("plan_digest", String(HEX), ForeignKey("proposals.plan_digest"), nullable=False),
    Column("council", String(COUNCIL), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("extract_date", String(TIME), nullable=True),
    Column("envelope", LargeBinary, nullable=False),
    _time("received_at"),
    _version(),
    PrimaryKeyConstraint("plan_digest", "council"),
    CheckConstraint("decision IN ('approved', 'refused', 'pending')", name="decision"),
)

rounds = Table(
    "rounds",
    METADATA,
    _hex("sid", primary_key=True),
    Column("plan_digest", String(HEX), ForeignKey("proposals.plan_digest"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("stage", String(24), nullable=False),
    _time("started_at"),
    _time("ended_at", nullable=True),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    _version(),
    # However often a plan is handed in: one round for each of its attempts.
    UniqueConstraint("plan_digest", "attempt"),
    Index("ix_rounds_plan_digest", "plan_digest"),
    Index("ix_rounds_outcome", "outcome"),
    Index("ix_rounds_started_at", "started_at", "sid"),
)

round_councils = Table(
    "round_councils",
    METADATA,
    *_council_in_round(),
    Index("ix_round_councils_council", "council", "sid"),
)

# How the councils stand in a round under way, at the end of its last stage; gone when the round has ended.
round_progress = Table(
    "round_progress",
    METADATA,
    *_council_in_round(),
)

round_stages = Table(
    "round_stages",
    METADATA,
    Column("sid", String(HEX), ForeignKey("rounds.sid"), nullable=False),
    Column("stage", String(24), nullable=False),
    Column("microseconds", BigInteger, nullable=False),
    Column("asked", Integer, nullable=False),
    Column("answered", Integer, nullable=False),
    _version(),
    PrimaryKeyConstraint("sid", "stage"),
)

releases = Table(
    "releases",
    METADATA,
    _hex("digest", primary_key=True),
    _hex("query_digest"),
    Column("plan_digest", String(HEX), ForeignKey("proposals.plan_digest"), nullable=False),
    Column("sid", String(HEX), ForeignKey("rounds.sid"), nullable=False, unique=True),
    Column("agreement_id", String(120), nullable=False),
    Column("title", Text, nullable=False),
    Column("contributed", Integer, nullable=False),
    Column("asked", Integer, nullable=False),
    Column("data_cut_off", String(TIME), nullable=True),
    Column("content", LargeBinary, nullable=False),
    _time("created_at"),
    _time("deleted_at", nullable=True),
    _version(),
    Index("ix_releases_query_digest", "query_digest"),
    Index("ix_releases_plan_digest", "plan_digest"),
    Index("ix_releases_created_at", "created_at", "digest"),
    Index("ix_releases_later", "query_digest", "agreement_id", "data_cut_off"),
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("release_digest", String(HEX), ForeignKey("releases.digest"), nullable=False),
    Column("council", String(COUNCIL), nullable=False),
    Column("receipt", LargeBinary, nullable=True),
    _time("received_at", nullable=True),
    _version(),
    PrimaryKeyConstraint("release_digest", "council"),
    Index("ix_deliveries_council", "council"),
)

budget_statements = Table(
    "budget_statements",
    METADATA,
    Column("council", String(COUNCIL), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    _time("received_at"),
    _version(),
)

enrolments = Table(
    "enrolments",
    METADATA,
    Column("public_key", String(HEX), primary_key=True),
    Column("council", String(COUNCIL), nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("state", String(16), nullable=False),
    _time("requested_at"),
    _time("decided_at", nullable=True),
    _version(),
    Index("ix_enrolments_council", "council"),
    CheckConstraint("state IN ('pending', 'accepted', 'rejected')", name="state"),
)

release_reads = Table(
    "release_reads",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("release_digest", String(HEX), ForeignKey("releases.digest"), nullable=False),
    Column("reader", String(HEX), nullable=False),
    Column("how", String(24), nullable=False),
    _time("read_at"),
    _version(),
)

papers = Table(
    "papers",
    METADATA,
    _hex("digest", primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("agreement_id", String(120), nullable=False),
    Column("subject", String(HEX), nullable=False),
    Column("author", String(HEX), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    _time("received_at"),
    _time("hidden_at", nullable=True),
    Column("hidden_reason", Text, nullable=False),
    Column("request", String(HEX), nullable=True),
    _version(),
    Index("ix_papers_kind", "kind", "received_at", "digest"),
    Index("ix_papers_request", "request", unique=True),
    Index("ix_papers_subject", "subject", "kind"),
    CheckConstraint("kind IN ('comment', 'outcome', 'minutes', 'series', 'suggestion')", name="kind"),
)

# Sign-in to the pages. Of every token only the SHA-256 is here, so that a copy of the store lets nobody in.

accounts = Table(
    "accounts",
    METADATA,
    Column("name", String(HEX), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("state", String(8), nullable=False),
    Column("roles", String(120), nullable=False),
    Column("agreements", Text, nullable=False),
    Column("password_hash", Text, nullable=True),
    Column("subject_hash", String(HEX), nullable=True),
    Column("code_hash", String(HEX), nullable=True),
    _time("code_until", nullable=True),
    _time("created_at"),
    _time("changed_at"),
    _version(),
    CheckConstraint("kind IN ('local', 'openid')", name="kind"),
    CheckConstraint("state IN ('active', 'locked', 'removed')", name="state"),
)

sessions = Table(
    "sessions",
    METADATA,
    _hex("token_hash", primary_key=True),
    Column("account", String(HEX), ForeignKey("accounts.name"), nullable=False),
    Column("address", String(ADDRESS), nullable=False),
    _time("started_at"),
    _time("seen_at"),
    _version(),
    Index("ix_sessions_account", "account"),
)

tokens = Table(
    "tokens",
    METADATA,
    _hex("token_hash", primary_key=True),
    Column("account", String(HEX), ForeignKey("accounts.name"), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("label", String(60), nullable=False),
    Column("scope", String(8), nullable=False),
    Column("made_by", String(HEX), nullable=False),
    _time("created_at"),
    _time("until"),
    _time("revoked_at", nullable=True),
    _time("used_at", nullable=True),
    _version(),
    Index("ix_tokens_account", "account"),
    CheckConstraint("scope IN ('read', 'ask')", name="scope"),
)

sign_in_attempts = Table(
    "sign_in_attempts",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("pigeonhole", String(4), nullable=False),
    Column("address", String(ADDRESS), nullable=False),
    Column("succeeded", Boolean, nullable=False),
    _time("tried_at"),
    _version(),
    Index("ix_sign_in_attempts_pigeonhole", "pigeonhole"),
    Index("ix_sign_in_attempts_address", "address"),
)

openid_starts = Table(
    "openid_starts",
    METADATA,
    _hex("state_hash", primary_key=True),
    Column("next_path", Text, nullable=False),
    _time("started_at"),
    _version(),
)

audit = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True),
    _time("done_at"),
    Column("who", String(HEX), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("object", String(120), nullable=False),
    _version(),
    Index("ix_audit_object", "object"),
    Index("ix_audit_who", "who", "number"),
    CheckConstraint("outcome IN ('done', 'refused')", name="outcome"),
)

inbox = Table(
    "inbox",
    METADATA,
    Column("number", Integer, primary_key=True),
    _hex("plan_digest"),
    _hex("body_digest"),
    Column("plan_envelope", LargeBinary, nullable=False),
    Column("manifest_envelope", LargeBinary, nullable=False),
    Column("refresh", Boolean, nullable=False),
    Column("account", String(HEX), ForeignKey("accounts.name"), nullable=False),
    Column("agreement_id", String(120), nullable=False),
    Column("key", String(HEX), nullable=True),
    Column("state", String(8), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("watch_digest", String(HEX), nullable=True),
    _time("received_at"),
    _time("taken_at", nullable=True),
    _time("settled_at", nullable=True),
    _version(),
    # Where no key is given the databases let any number stand beside one another.
    UniqueConstraint("account", "key"),
    Index("ix_inbox_state", "state", "number"),
    Index("ix_inbox_plan_digest", "plan_digest"),
    CheckConstraint("state IN ('waiting', 'taken', 'settled')", name="state"),
)

enrolment_acceptances = Table(
    "enrolment_acceptances",
    METADATA,
    Column("public_key", String(HEX), ForeignKey("enrolments.public_key"), primary_key=True),
    Column("asked_by", String(HEX), ForeignKey("accounts.name"), nullable=False),
    _time("asked_at"),
    _version(),
)

# What analysts are still writing. Nothing here is asked of anybody.

drafts = Table(
    "drafts",
    METADATA,
    Column("draft", String(HEX), primary_key=True),
    Column("account", String(HEX), ForeignKey("accounts.name"), nullable=False),
    Column("agreement_id", String(120), nullable=False),
    Column("question", Text, nullable=False),
    Column("manifest", Text, nullable=False),
    _time("created_at"),
    _time("changed_at"),
    _version(),
    Index("ix_drafts_account", "account", "changed_at"),
)
