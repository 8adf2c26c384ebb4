"""`council-node key`: a new key in the place of one that was lost or stolen."""

import typer

from council_node.commands.options import DEFAULT, Node
from council_node.settings import read_settings
from council_node.setup import replace_key
from federated.keys import fingerprint, public_line
from federated.shell import new_app, now_utc, output

__all__ = ["app"]

app: typer.Typer = new_app("The council's own key, which signs all that its node sends.")


@app.command("new")
def key_new(settings: Node = DEFAULT) -> None:
    """Make a new key where the old one was lost or stolen. Stop the node first; the ledger and all else stay.

    Example: council-node key new --settings node/node.yaml
    """
    key, old = replace_key(read_settings(settings), now_utc())
    if old is not None:
        output.print(f"The old key is now {old}. Destroy it once the new one is on the list.", markup=False)
    output.print(f"Public key: {public_line(key.public)}")
    output.print(f"Fingerprint, to read out by telephone: {fingerprint(key.public)}")
    output.print("Next: council-node enrol. No other council answers this node before the list has the new key.")
