"""`council-node status` and `receipt`: what this node has done and what waits."""

import json
from typing import Annotated

import typer

from council_node.commands.options import DEFAULT, AsJson, Node
from council_node.node_store import NodeStore
from council_node.receipts import find_receipt, receipt_text
from council_node.settings import read_settings
from council_node.status import node_status, print_status
from federated.shell import now_utc, output

__all__ = ["register"]


def status(settings: Node = DEFAULT, *, as_json: AsJson = False) -> None:
    """Show what waits for a decision, what was decided, and what has been spent. Works while the node runs.

    Example: council-node status
    """
    found = node_status(read_settings(settings), now_utc())
    if as_json:
        output.print_json(json.dumps(found.as_json()))
    else:
        print_status(found)


def receipt(
    sid: Annotated[str | None, typer.Argument(help="Round id, or its first digits; the latest when left out.")] = None,
    settings: Node = DEFAULT,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the receipt of a question: what was read, what left the building, what it cost.

    Example: council-node receipt
    """
    with NodeStore.open(read_settings(settings).store_file) as store:
        found = find_receipt(store, sid)
    output.print(found.encode().decode() if as_json else receipt_text(found), markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(receipt)
