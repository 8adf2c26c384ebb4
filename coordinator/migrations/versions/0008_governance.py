"""Signed papers of governance, and two facts of each question by which repeats and late answers are found."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form. Questions from before are not counted as repeats, nor as late or on time."""
    op.create_table(
        "papers",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.Column("hidden_at", sa.String(length=20), nullable=True),
        sa.Column("hidden_reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("kind IN ('comment', 'outcome', 'minutes', 'series')", name=op.f("ck_papers_kind")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_papers")),
    )
    op.create_index("ix_papers_kind", "papers", ["kind", "received_at", "digest"], unique=False)
    op.create_index("ix_papers_subject", "papers", ["subject", "kind"], unique=False)
    with op.batch_alter_table("proposals") as proposals:
        proposals.add_column(sa.Column("manifest_id", sa.String(length=60), server_default="", nullable=False))
        proposals.add_column(sa.Column("return_by", sa.String(length=20), nullable=True))
        proposals.create_index("ix_proposals_manifest_id", ["manifest_id", "received_at", "plan_digest"], unique=False)


def downgrade() -> None:
    """Take the step back: the papers are lost, and by when an answer was promised is in its plan alone."""
    with op.batch_alter_table("proposals") as proposals:
        proposals.drop_index("ix_proposals_manifest_id")
        proposals.drop_column("return_by")
        proposals.drop_column("manifest_id")
    op.drop_index("ix_papers_subject", table_name="papers")
    op.drop_index("ix_papers_kind", table_name="papers")
    op.drop_table("papers")
