"""Where later answers to the identical question are looked up."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.create_index("ix_releases_later", "releases", ["query_digest", "agreement_id", "data_cut_off"])


def downgrade() -> None:
    """Take the step back; nothing is lost."""
    op.drop_index("ix_releases_later", table_name="releases")
