"""Tokens of programs, and indexes by which answers are listed and what was refused to somebody is counted."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_table(
        "tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("label", sa.String(length=60), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("until", sa.String(length=20), nullable=False),
        sa.Column("revoked_at", sa.String(length=20), nullable=True),
        sa.Column("used_at", sa.String(length=20), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("scope IN ('read', 'ask')", name=op.f("ck_tokens_scope")),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name=op.f("fk_tokens_account")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_tokens")),
    )
    op.create_index("ix_tokens_account", "tokens", ["account"], unique=False)
    op.create_index("ix_releases_created_at", "releases", ["created_at", "digest"], unique=False)
    op.create_index("ix_audit_who", "audit", ["who", "number"], unique=False)


def downgrade() -> None:
    """Take the step back: every token is lost."""
    op.drop_index("ix_releases_created_at", table_name="releases")
    op.drop_index("ix_audit_who", table_name="audit")
    op.drop_table("tokens")
