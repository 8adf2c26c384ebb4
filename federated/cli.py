"""The command `federated`: for analysts, reviewers and people who sign."""

import typer

from federated.commands import (
    analyse,
    baseline,
    calendar,
    comparing,
    demo,
    files,
    groups,
    keys,
    manifest_review,
    planning,
    questions,
    remarks,
    review,
    signing,
    standing,
    suggestions,
)
from federated.shell import main_of, new_app

__all__ = ["app", "main"]

app: typer.Typer = new_app(
    "Ask England's councils national questions about homelessness, without a record leaving the building."
)
app.add_typer(keys.app, name="keys")
app.add_typer(files.roster, name="roster")
groups.register(files.agreement)
comparing.register_agreement(files.agreement)
app.add_typer(files.agreement, name="agreement")
manifest_review.register(files.manifest)
comparing.register_manifest(files.manifest)
app.add_typer(files.manifest, name="manifest")
planning.register(app)
questions.register(app)
signing.register(app)
app.add_typer(analyse.app, name="analyse")
app.add_typer(baseline.app, name="baseline")
review.register(app)
calendar.register(app)
app.add_typer(standing.app, name="standing")
app.add_typer(remarks.remarks, name="remarks")
app.add_typer(remarks.board, name="board")
app.add_typer(suggestions.app, name="suggestions")
demo.register(app)

main = main_of(app)
