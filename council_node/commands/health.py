"""`council-node health`: whether the node is well, for whatever watches it."""

import json
from datetime import timedelta
from typing import Annotated

import typer

from council_node.commands.options import DEFAULT, AsJson, Node
from council_node.health import check_health, health_file
from council_node.party import COUNCIL, Party, PartySettings
from council_node.settings import read_settings
from federated.shell import now_utc, output
from federated.timestamps import time_text

__all__ = ["register", "tell_health"]


def health(
    settings: Node = DEFAULT,
    *,
    minutes: Annotated[
        int, typer.Option("--minutes", min=0, help="Longest time without contact that is still well.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Say whether the node runs and has had contact with the coordinator; the exit status says it to a program.

    Example: council-node health --minutes 10
    """
    tell_health(read_settings(settings), COUNCIL, minutes=minutes, as_json=as_json)


def tell_health(settings: PartySettings, party: Party, *, minutes: int, as_json: bool) -> None:
    """Read a party's note of contact and print how it is.

    Args:
        settings: Where the note is.
        party: Whose it is, in sentences.
        minutes: Longest time without contact that is still well.
        as_json: For a program.

    Raises:
        FederatedError: It is not well.
    """
    now = now_utc()
    found = check_health(health_file(settings), now, patience=timedelta(minutes=minutes), party=party)
    last = now if found.last is None else found.last
    if as_json:
        output.print_json(
            json.dumps({"version": 1, "healthy": True, "connected": found.connected, "last_contact": time_text(last)})
        )
    else:
        output.print("Well: connected." if found.connected else f"Well: last connected at {time_text(last)}.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(health)
