"""The command `council-node`: everything a council does with its node."""

import typer

from council_node.commands import (
    checking,
    commenting,
    deciding,
    flower,
    health,
    joining,
    keys,
    ledger,
    mapping,
    page,
    proof,
    showing,
    suggesting,
)
from council_node.crash_safety import tell_without_values
from federated.shell import main_of, new_app

__all__ = ["app", "main"]

app: typer.Typer = new_app(
    "A council's node: answers approved questions from the council's own extract. No record leaves."
)
joining.register(app)
deciding.register(app)
showing.register(app)
commenting.register(app)
suggesting.register(app)
mapping.register(app)
health.register(app)
checking.register(app)
page.register(app)
proof.register(app)
flower.register(app)
app.add_typer(keys.app, name="key")
app.add_typer(ledger.app, name="ledger")

_run = main_of(app)


def main() -> None:
    """The command, with nothing left behind when it fails."""
    tell_without_values()
    _run()
