"""`mask-holder init`, `accept` and `run`: from nothing to a mask holder that answers."""

from pathlib import Path
from typing import Annotated

import typer

from council_node.commands.accepting import accept_shown
from federated.agreement import Agreement
from federated.keys import fingerprint, public_line, read_private_key
from federated.mask_holder import holder_identity
from federated.shell import output
from mask_holder.commands.options import SettingsFile
from mask_holder.service import run_holder
from mask_holder.settings import DEFAULT_FILE, MASK_HOLDER, Settings, read_settings
from mask_holder.setup import NewHolder, make_holder

__all__ = ["register"]


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    holder_id: Annotated[str, typer.Option("--id", help="Short name that agreements will give it, such as lga.")],
    name: Annotated[str, typer.Option("--name", help="The body's name.")],
    coordinator: Annotated[str, typer.Option("--coordinator", help="Id of the coordinator.")],
    address: Annotated[str, typer.Option("--address", help="Its host and port.")],
    trust: Annotated[Path, typer.Option("--trust", help="YAML file with the public keys to believe.")],
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="Certificate authority of the coordinator.")] = None,
    server_name: Annotated[str | None, typer.Option("--server-name", help="Name its certificate is for.")] = None,
) -> None:
    """Make a mask holder: settings, key and folders.

    Example: mask-holder init holder --id lga --name "Local Government Association" --coordinator pilot
    --address coordinator.example:443 --trust trust.yaml
    """
    new = NewHolder(
        folder=folder,
        id=holder_id,
        name=name,
        coordinator=coordinator,
        address=address,
        trust=trust,
        ca_file=ca_file,
        server_name=server_name,
    )
    settings, key = make_holder(new)
    output.print(f"Made a mask holder for {settings.holder.name} in {folder}.", markup=False)
    output.print(f"Public key: {public_line(key.public)}")
    output.print(f"Fingerprint, to read out by telephone: {fingerprint(key.public)}")
    output.print("Next: give the public key to whoever drafts the agreement; accept it once it is signed, then run.")


def accept(
    agreements: Annotated[list[Path], typer.Argument(help="Signed agreements, one or more.")],
    settings: SettingsFile = DEFAULT_FILE,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Accept without asking, when you have read it already.")] = False,
) -> None:
    """Read signed agreements in plain words, and accept them for this mask holder.

    The list of councils needs no command: the coordinator brings it, and it counts once the pinned people signed it.

    Example: mask-holder accept agreement.dsse
    """
    own = read_settings(settings)
    for path in agreements:
        accepted = accept_shown(path, own, MASK_HOLDER, yes=yes)
        if accepted is not None:
            _say_whom_it_names(accepted, own)


def _say_whom_it_names(agreement: Agreement, settings: Settings) -> None:
    named, key = holder_identity(agreement), read_private_key(settings.keys.identity)
    if named is None or named.id != settings.holder.id:
        output.print("It names no mask holder with this one's id: no round under it will be held here.")
    elif named.key != key.public:
        output.print(
            "It names this mask holder with another key than it has: no round under it will be held here before a new "
            f"version names {public_line(key.public)}."
        )


def run(settings: SettingsFile = DEFAULT_FILE) -> None:
    """Connect to the coordinator, hold rounds and open their sums, until stopped.

    Example: mask-holder run --settings mask-holder.yaml
    """
    run_holder(settings)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(accept)
    app.command()(run)
