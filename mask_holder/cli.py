"""The command `mask-holder`: everything a body does that holds masks."""

import typer

from council_node.crash_safety import tell_without_values
from federated.shell import main_of, new_app
from mask_holder.commands import joining, showing

__all__ = ["app", "main"]

app: typer.Typer = new_app(
    "A mask holder: a second body without whose part in it no answer can be opened. It has no data and sees no figure."
)
joining.register(app)
showing.register(app)

_run = main_of(app)


def main() -> None:
    """The command, with nothing left behind when it fails."""
    tell_without_values()
    _run()
