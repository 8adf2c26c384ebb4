"""Indexes by which the console reads long lists a page at a time."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_index("ix_proposals_received_at", "proposals", ["received_at", "plan_digest"], unique=False)
    op.drop_index("ix_proposals_state", table_name="proposals")
    op.create_index("ix_proposals_state", "proposals", ["state", "received_at", "plan_digest"], unique=False)
    op.create_index("ix_round_councils_council", "round_councils", ["council", "sid"], unique=False)
    op.create_index("ix_rounds_started_at", "rounds", ["started_at", "sid"], unique=False)


def downgrade() -> None:
    """Take the step back: nothing is lost but speed."""
    op.drop_index("ix_rounds_started_at", table_name="rounds")
    op.drop_index("ix_round_councils_council", table_name="round_councils")
    op.drop_index("ix_proposals_state", table_name="proposals")
    op.create_index("ix_proposals_state", "proposals", ["state"], unique=False)
    op.drop_index("ix_proposals_received_at", table_name="proposals")
