"""How the councils stand in a round that is under way."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_table(
        "round_progress",
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("council", sa.String(length=32), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=24), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["sid"], ["rounds.sid"], name=op.f("fk_round_progress_sid")),
        sa.PrimaryKeyConstraint("sid", "council", name=op.f("pk_round_progress")),
    )


def downgrade() -> None:
    """Take the step back: how the councils stand in rounds under way is lost to those who watch."""
    op.drop_table("round_progress")
