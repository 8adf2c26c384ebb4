"""Accounts, sessions and the audit of the pages."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ONLY_ADDED_TO = {
    "sqlite": (
        (
            "CREATE TRIGGER audit_keeps_its_words BEFORE UPDATE ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
        ),
        (
            "CREATE TRIGGER audit_keeps_its_lines BEFORE DELETE ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
        ),
    ),
    "postgresql": (
        (
            "CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit is only added to'; END $$"
        ),
        (
            "CREATE TRIGGER audit_keeps_its_lines BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to()"
        ),
    ),
}


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("roles", sa.String(length=120), nullable=False),
        sa.Column("agreements", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("subject_hash", sa.String(length=64), nullable=True),
        sa.Column("code_hash", sa.String(length=64), nullable=True),
        sa.Column("code_until", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("changed_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("kind IN ('local', 'openid')", name=op.f("ck_accounts_kind")),
        sa.CheckConstraint("state IN ('active', 'locked', 'removed')", name=op.f("ck_accounts_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_accounts")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("started_at", sa.String(length=20), nullable=False),
        sa.Column("seen_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name=op.f("fk_sessions_account")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_account", "sessions", ["account"], unique=False)
    op.create_table(
        "sign_in_attempts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("pigeonhole", sa.String(length=4), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.Column("tried_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sign_in_attempts")),
    )
    op.create_index("ix_sign_in_attempts_pigeonhole", "sign_in_attempts", ["pigeonhole"], unique=False)
    op.create_index("ix_sign_in_attempts_address", "sign_in_attempts", ["address"], unique=False)
    op.create_table(
        "openid_starts",
        sa.Column("state_hash", sa.String(length=64), nullable=False),
        sa.Column("next_path", sa.Text(), nullable=False),
        sa.Column("started_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_openid_starts")),
    )
    op.create_table(
        "enrolment_acceptances",
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["asked_by"], ["accounts.name"], name=op.f("fk_enrolment_acceptances_asked_by")),
        sa.ForeignKeyConstraint(
            ["public_key"], ["enrolments.public_key"], name=op.f("fk_enrolment_acceptances_public_key")
        ),
        sa.PrimaryKeyConstraint("public_key", name=op.f("pk_enrolment_acceptances")),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.String(length=20), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("operation", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("object", sa.String(length=120), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("outcome IN ('done', 'refused')", name=op.f("ck_audit_outcome")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_object", "audit", ["object"], unique=False)
    for statement in ONLY_ADDED_TO[op.get_context().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Take the step back: accounts, sessions and the audit are lost."""
    op.drop_table("audit")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_is_only_added_to")
    op.drop_table("enrolment_acceptances")
    op.drop_table("openid_starts")
    op.drop_table("sign_in_attempts")
    op.drop_table("sessions")
    op.drop_table("accounts")
