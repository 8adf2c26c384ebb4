"""Releases whose content was deleted when its time was over."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    with op.batch_alter_table("releases") as releases:
        releases.add_column(sa.Column("deleted_at", sa.String(length=20), nullable=True))


def downgrade() -> None:
    """Take the step back: when contents were deleted is lost; their lines stay, with no content, as they were."""
    with op.batch_alter_table("releases") as releases:
        releases.drop_column("deleted_at")
