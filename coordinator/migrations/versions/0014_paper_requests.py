"""Papers that programs hand in: by which request each came, so that a key stands for one paper."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this form."""
    op.add_column("papers", sa.Column("request", sa.String(length=64), nullable=True))
    op.create_index("ix_papers_request", "papers", ["request"], unique=True)


def downgrade() -> None:
    """Take the step back: which key each paper came under is lost; the papers stay."""
    op.drop_index("ix_papers_request", table_name="papers")
    with op.batch_alter_table("papers") as papers:
        papers.drop_column("request")
