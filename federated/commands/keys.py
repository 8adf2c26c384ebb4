"""`federated keys`: make a key, show its public half."""

import os
from pathlib import Path
from typing import Annotated

import typer

from federated.keys import fingerprint, make_key, public_line, read_private_key, write_private_key, write_public_key
from federated.shell import new_app, output

app = new_app("Keys to sign with. Each person has one; it never leaves their computer.")


@app.command("new")
def new(path: Annotated[Path, typer.Argument(help="Where to write the private key.")]) -> None:
    """Make a key pair.

    Example: federated keys new analyst.key
    """
    key = make_key(os.urandom)
    write_private_key(path, key)
    public = path.with_suffix(".pub")
    write_public_key(public, key.public)
    output.print(f"Private key: {path} (keep it; nobody else may read it)")
    output.print(f"Public key:  {public}")
    _show(key.public)


@app.command("show")
def show(path: Annotated[Path, typer.Argument(help="A private key file.")]) -> None:
    """Show the public half of a key and its fingerprint.

    Example: federated keys show analyst.key
    """
    _show(read_private_key(path).public)


def _show(public: bytes) -> None:
    output.print(public_line(public))
    output.print(f"Fingerprint, to compare by telephone: {fingerprint(public)}")
