"""`council-node page`: the council's own pages, in a browser on the same computer."""

import os
from typing import Annotated

import typer

from council_node.commands.options import DEFAULT, Node
from federated.shell import now_utc, output

__all__ = ["register"]


def page(
    settings: Node = DEFAULT,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on this computer; 0 for any.")] = 0,
) -> None:
    """Show in your browser what waits, what was answered and what is left. For you alone, until you stop it.

    Example: council-node page
    """
    # Imported here: a web server is a second's work that no other command waits for.
    from council_node.page import serve_page  # noqa: PLC0415

    def tell(line: str) -> None:
        output.print(line, markup=False)
        output.file.flush()

    serve_page(settings, port=port, tell=tell, clock=now_utc, rng=os.urandom)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(page)
