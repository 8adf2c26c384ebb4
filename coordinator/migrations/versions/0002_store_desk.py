"""One desk for all coordinators of a database, instead of a lease for each round."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_table(
        "desk",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("until", sa.String(length=20), nullable=False),
        sa.Column("taken_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("number = 1", name=op.f("ck_desk_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk")),
    )
    with op.batch_alter_table("rounds") as rounds:
        rounds.drop_column("lease_owner")
        rounds.drop_column("lease_until")
        rounds.create_unique_constraint(op.f("uq_rounds_plan_digest"), ["plan_digest", "attempt"])


def downgrade() -> None:
    """Take the step back: who sat at the desk is lost.

    Rounds under way come back without a lease, which that form's software takes for abandoned: it ends them.
    """
    with op.batch_alter_table("rounds") as rounds:
        rounds.drop_constraint(op.f("uq_rounds_plan_digest"), type_="unique")
        rounds.add_column(sa.Column("lease_owner", sa.String(length=64), nullable=True))
        rounds.add_column(sa.Column("lease_until", sa.String(length=20), nullable=True))
    op.drop_table("desk")
