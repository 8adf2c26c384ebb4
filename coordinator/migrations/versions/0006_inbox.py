"""Signed plans that come over the web."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_table(
        "inbox",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("plan_envelope", sa.LargeBinary(), nullable=False),
        sa.Column("manifest_envelope", sa.LargeBinary(), nullable=False),
        sa.Column("refresh", sa.Boolean(), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("watch_digest", sa.String(length=64), nullable=True),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.Column("taken_at", sa.String(length=20), nullable=True),
        sa.Column("settled_at", sa.String(length=20), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'taken', 'settled')", name=op.f("ck_inbox_state")),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name=op.f("fk_inbox_account")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_inbox")),
        sa.UniqueConstraint("account", "key", name=op.f("uq_inbox_account")),
    )
    op.create_index("ix_inbox_state", "inbox", ["state", "number"], unique=False)
    op.create_index("ix_inbox_plan_digest", "inbox", ["plan_digest"], unique=False)


def downgrade() -> None:
    """Take the step back: questions that wait, and what became of the others, are lost."""
    op.drop_table("inbox")
