"""The command `council-node`: everything a council does with its node."""

import typer

from council_node.commands import checking, deciding, joining, ledger, proof, showing
from federated.shell import main_of, new_app

__all__ = ["app", "main"]

app: typer.Typer = new_app(
    "A council's node: answers approved questions from the council's own extract. No record leaves."
)
joining.register(app)
deciding.register(app)
showing.register(app)
checking.register(app)
proof.register(app)
app.add_typer(ledger.app, name="ledger")

main = main_of(app)
