"""The first form of the store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_table(
        "agreements",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_agreements")),
    )
    op.create_table(
        "budget_statements",
        sa.Column("council", sa.String(length=32), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("council", name=op.f("pk_budget_statements")),
    )
    op.create_table(
        "enrolments",
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("council", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("requested_at", sa.String(length=20), nullable=False),
        sa.Column("decided_at", sa.String(length=20), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("state IN ('pending', 'accepted', 'rejected')", name=op.f("ck_enrolments_state")),
        sa.PrimaryKeyConstraint("public_key", name=op.f("pk_enrolments")),
    )
    op.create_index("ix_enrolments_council", "enrolments", ["council"], unique=False)
    op.create_table(
        "proposals",
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("query_digest", sa.String(length=64), nullable=False),
        sa.Column("agreement_digest", sa.String(length=64), nullable=False),
        sa.Column("analyst", sa.String(length=64), nullable=False),
        sa.Column("plan_envelope", sa.LargeBinary(), nullable=False),
        sa.Column("manifest_envelope", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.Column("changed_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("plan_digest", name=op.f("pk_proposals")),
    )
    op.create_index("ix_proposals_query_digest", "proposals", ["query_digest"], unique=False)
    op.create_index("ix_proposals_state", "proposals", ["state"], unique=False)
    op.create_table(
        "rosters",
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_rosters")),
        sa.UniqueConstraint("digest", name=op.f("uq_rosters_digest")),
    )
    op.create_table(
        "decisions",
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("council", sa.String(length=32), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("extract_date", sa.String(length=20), nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("decision IN ('approved', 'refused', 'pending')", name=op.f("ck_decisions_decision")),
        sa.ForeignKeyConstraint(["plan_digest"], ["proposals.plan_digest"], name=op.f("fk_decisions_plan_digest")),
        sa.PrimaryKeyConstraint("plan_digest", "council", name=op.f("pk_decisions")),
    )
    op.create_table(
        "rounds",
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=24), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.String(length=20), nullable=True),
        sa.Column("started_at", sa.String(length=20), nullable=False),
        sa.Column("ended_at", sa.String(length=20), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["plan_digest"], ["proposals.plan_digest"], name=op.f("fk_rounds_plan_digest")),
        sa.PrimaryKeyConstraint("sid", name=op.f("pk_rounds")),
    )
    op.create_index("ix_rounds_outcome", "rounds", ["outcome"], unique=False)
    op.create_index("ix_rounds_plan_digest", "rounds", ["plan_digest"], unique=False)
    op.create_table(
        "releases",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("query_digest", sa.String(length=64), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("agreement_id", sa.String(length=120), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("contributed", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("data_cut_off", sa.String(length=20), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["plan_digest"], ["proposals.plan_digest"], name=op.f("fk_releases_plan_digest")),
        sa.ForeignKeyConstraint(["sid"], ["rounds.sid"], name=op.f("fk_releases_sid")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_releases")),
        sa.UniqueConstraint("sid", name=op.f("uq_releases_sid")),
    )
    op.create_index("ix_releases_plan_digest", "releases", ["plan_digest"], unique=False)
    op.create_index("ix_releases_query_digest", "releases", ["query_digest"], unique=False)
    op.create_table(
        "round_councils",
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("council", sa.String(length=32), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=24), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["sid"], ["rounds.sid"], name=op.f("fk_round_councils_sid")),
        sa.PrimaryKeyConstraint("sid", "council", name=op.f("pk_round_councils")),
    )
    op.create_table(
        "round_stages",
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=24), nullable=False),
        sa.Column("microseconds", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["sid"], ["rounds.sid"], name=op.f("fk_round_stages_sid")),
        sa.PrimaryKeyConstraint("sid", "stage", name=op.f("pk_round_stages")),
    )
    op.create_table(
        "deliveries",
        sa.Column("release_digest", sa.String(length=64), nullable=False),
        sa.Column("council", sa.String(length=32), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.String(length=20), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["release_digest"], ["releases.digest"], name=op.f("fk_deliveries_release_digest")),
        sa.PrimaryKeyConstraint("release_digest", "council", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_council", "deliveries", ["council"], unique=False)
    op.create_table(
        "release_reads",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("release_digest", sa.String(length=64), nullable=False),
        sa.Column("reader", sa.String(length=64), nullable=False),
        sa.Column("how", sa.String(length=24), nullable=False),
        sa.Column("read_at", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["release_digest"], ["releases.digest"], name=op.f("fk_release_reads_release_digest")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_release_reads")),
    )


def downgrade() -> None:
    """Take the step back: everything is lost, as there is no form before this one."""
    op.drop_table("release_reads")
    op.drop_table("deliveries")
    op.drop_table("round_stages")
    op.drop_table("round_councils")
    op.drop_table("releases")
    op.drop_table("rounds")
    op.drop_table("decisions")
    op.drop_table("rosters")
    op.drop_table("proposals")
    op.drop_table("enrolments")
    op.drop_table("budget_statements")
    op.drop_table("agreements")
