"""`council-node init`, `enrol`, `accept` and `run`: from nothing to a node that answers."""

from pathlib import Path
from typing import Annotated

import typer

from council_node.commands.accepting import accept_shown
from council_node.commands.options import DEFAULT, Node
from council_node.party import COUNCIL
from council_node.policy_file import Class2
from council_node.service import enrol_node, run_node
from council_node.settings import read_settings
from council_node.setup import NewNode, make_node
from federated.keys import fingerprint, public_line
from federated.shell import output

__all__ = ["register"]


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    council: Annotated[str, typer.Option("--council", help="The council's GSS code, for example E06000001.")],
    coordinator: Annotated[str, typer.Option("--coordinator", help="Id of the coordinator.")],
    address: Annotated[str, typer.Option("--address", help="Its host and port.")],
    trust: Annotated[Path, typer.Option("--trust", help="YAML file with the public keys to believe.")],
    mapping: Annotated[Path, typer.Option("--mapping", help="Mapping file of the case extract.")],
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="Certificate authority of the coordinator.")] = None,
    server_name: Annotated[str | None, typer.Option("--server-name", help="Name its certificate is for.")] = None,
    *,
    automatic: Annotated[
        bool, typer.Option("--automatic", help="Answer what passes every check without asking.")
    ] = False,
    class_2: Annotated[
        Class2, typer.Option("--class-2", help="The most sensitive columns an agreement allows: ask a person, or not.")
    ] = Class2.PERSON,
    enrol_now: Annotated[bool, typer.Option("--enrol", help="Send the new public key to the coordinator too.")] = False,
    agreement: Annotated[
        Path | None, typer.Option("--agreement", help="Accept this signed agreement too; you have read it.")
    ] = None,
) -> None:
    """Make a node: settings, key, policy and folders.

    Example: council-node init node --council E06000001 --coordinator pilot --address coordinator.example:443
    --trust trust.yaml --mapping case-mapping.yaml
    """
    new = NewNode(
        folder=folder,
        council=council,
        coordinator=coordinator,
        address=address,
        trust=trust,
        mapping=mapping,
        ca_file=ca_file,
        server_name=server_name,
        automatic=automatic,
        class_2=class_2,
    )
    settings, key = make_node(new)
    output.print(f"Made a node for {settings.council.name} in {folder}.", markup=False)
    output.print(f"Public key: {public_line(key.public)}")
    output.print(f"Fingerprint, to read out by telephone: {fingerprint(key.public)}")
    if agreement is not None:
        accept_shown(agreement, settings, COUNCIL, yes=True)
    if enrol_now:
        enrol(folder / "node.yaml")
    else:
        output.print("Next: council-node enrol, then accept the agreement, then run.")


def enrol(settings: Node = DEFAULT) -> None:
    """Send this council's public key to the coordinator, to be put on the list of councils.

    Example: council-node enrol
    """
    output.print(
        f"Sent. Read this fingerprint out by telephone to the people who sign the list: {enrol_node(settings)}"
    )


def accept(
    agreement: Annotated[Path, typer.Argument(help="The signed agreement.")],
    settings: Node = DEFAULT,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Accept without asking, when you have read it already.")] = False,
) -> None:
    """Read a signed agreement in plain words, and accept it for this council.

    Example: council-node accept agreement.dsse
    """
    accept_shown(agreement, read_settings(settings), COUNCIL, yes=yes)


def run(settings: Node = DEFAULT) -> None:
    """Connect to the coordinator and answer until stopped.

    Example: council-node run --settings node.yaml
    """
    run_node(settings)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(enrol)
    app.command()(accept)
    app.command()(run)
