"""Drafts of questions that analysts write on the pages."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_table(
        "drafts",
        sa.Column("draft", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("changed_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name=op.f("fk_drafts_account")),
        sa.PrimaryKeyConstraint("draft", name=op.f("pk_drafts")),
    )
    op.create_index("ix_drafts_account", "drafts", ["account", "changed_at"], unique=False)


def downgrade() -> None:
    """Take the step back: drafts are lost."""
    op.drop_table("drafts")
