"""Questions that councils suggest: one more kind of paper."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BEFORE = "'comment', 'outcome', 'minutes', 'series'"


def upgrade() -> None:
    """Bring the database to this form."""
    _allow(f"{BEFORE}, 'suggestion'")


def downgrade() -> None:
    """Take the step back: suggestions are lost."""
    op.execute("DELETE FROM papers WHERE kind = 'suggestion'")
    _allow(BEFORE)


def _allow(kinds: str) -> None:
    with op.batch_alter_table("papers") as papers:
        papers.drop_constraint(op.f("ck_papers_kind"), type_="check")
        papers.create_check_constraint(op.f("ck_papers_kind"), f"kind IN ({kinds})")
