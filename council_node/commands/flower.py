"""`council-node flower`: the same node for a council that takes part over Flower."""

import os
from pathlib import Path
from typing import Annotated

import typer

from council_node.commands.options import DEFAULT, Node
from council_node.settings import read_settings
from federated.errors import FileProblem
from federated.flower_process import QUIET
from federated.shell import new_app, output

__all__ = ["app", "register"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

app = new_app("Takes part over Flower, with a stock SuperNode and the app in this image.")

Bundle = Annotated[
    list[str] | None,
    typer.Option("--bundle", help="SHA-256 of an app bundle whose runs are answered; this image's own if left out."),
]


@app.command("key")
def key(file: Annotated[Path, typer.Argument(help="Where to write the private key.")]) -> None:
    """Make the key by which Flower's node authentication knows this council's SuperNode.

    Example: council-node flower key flower-node.key
    """
    from council_node.flower_service import make_flower_key  # noqa: PLC0415 - Flower is there for this command alone

    public = make_flower_key(file)
    output.print(f"Wrote {file} and {public}. Send {public.name} to the centre, which registers it.", markup=False)


@app.command("run")
def run(
    *,
    superlink: Annotated[str, typer.Option("--superlink", help="Host and port of the centre's SuperLink.")],
    key: Annotated[Path, typer.Option("--key", help="Key made by `council-node flower key`.")],
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", help="Authority of the SuperLink's certificate; the settings' own if left out."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65_535, help="Port on this machine for its own use.")
    ] = 9094,
    bundle: Bundle = None,
    settings: Node = DEFAULT,
) -> None:
    """Start a stock SuperNode and answer its messages with this node until stopped.

    Example: council-node flower run --superlink federation.example.gov.uk:9092 --key flower-node.key
    """
    os.environ.update(QUIET)
    from council_node import flower_service  # noqa: PLC0415 - after the switches above, which Flower reads on import

    read = read_settings(settings)
    authority = ca_file or read.coordinator.ca_file
    if authority is None:
        raise FileProblem(
            "The settings name no authority for the coordinator's certificate.", remedy="Give one with --ca-file."
        )
    for needed in (key, authority):
        _read(needed)  # said here in a sentence; Flower would show a traceback
    folder = read.state / "flower"
    with flower_service.running_supernode(
        superlink=superlink, ca_file=authority, key=key, port=port, folder=folder, rng=os.urandom
    ) as (supernode, runtime):
        flower_service.run_executor(settings, runtime, _bundles(bundle), supernode)


@app.command("executor")
def executor(
    *,
    runtime: Annotated[str, typer.Option("--runtime", help="Host and port where the SuperNode hands messages over.")],
    secret_file: Annotated[Path, typer.Option("--secret-file", help="The SuperNode's --superexec-auth-secret-file.")],
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", help="Authority of the SuperNode's own certificate; none on this machine."),
    ] = None,
    bundle: Bundle = None,
    settings: Node = DEFAULT,
) -> None:
    """Answer the messages of a SuperNode that runs elsewhere with --isolation process.

    Example: council-node flower executor --runtime 127.0.0.1:9094 --secret-file executor-secret
    """
    os.environ.update(QUIET)
    from council_node import flower_service  # noqa: PLC0415 - after the switches above, which Flower reads on import
    from federated.flower_runtime import Runtime  # noqa: PLC0415 - as above

    if ca_file is None and runtime.rpartition(":")[0] not in LOOPBACK:
        raise FileProblem(
            f"The SuperNode at {runtime} is on another machine, and no --ca-file is given.",
            remedy="Start the SuperNode with --ssl-certfile and --ssl-keyfile, and give its authority here.",
        )
    ca = None if ca_file is None else _read(ca_file)
    where = Runtime(address=runtime, secret=_read(secret_file), ca=ca)
    flower_service.run_executor(settings, where, _bundles(bundle))


def _bundles(given: list[str] | None) -> frozenset[str]:
    from federated.flower_bundle import BUNDLE_SHA256  # noqa: PLC0415 - Flower is there for these commands alone

    for digest in given or ():
        if len(digest) != len(BUNDLE_SHA256) or not set(digest) <= set("0123456789abcdef"):
            raise FileProblem(f"--bundle {digest[:80]} is no digest of a bundle.", remedy="Give 64 hexadecimal digits.")
    return frozenset(given or (BUNDLE_SHA256,))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: the file cannot be read ({error.strerror}).") from error


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="flower")
