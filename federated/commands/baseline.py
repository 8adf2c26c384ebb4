"""`federated baseline`: name the release that later ones are compared with, before they are there."""

from pathlib import Path
from typing import Annotated

import typer

from federated.analysis.baseline import freeze
from federated.commands.files import Key, read_file, write_file
from federated.keys import read_private_key
from federated.release import open_release
from federated.shell import new_app, now_utc, output

app = new_app("Frozen baselines: the releases that later ones are compared with.")


@app.callback()
def _group() -> None:
    """Frozen baselines: the releases that later ones are compared with."""


@app.command("freeze")
def freeze_release(
    name: Annotated[str, typer.Argument(help="Name of the baseline.")],
    path: Annotated[Path, typer.Argument(help="The release (release.json).")],
    key: Key,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write it; otherwise its name and `.baseline`.")
    ] = None,
) -> None:
    """Sign that this release, and no other, is the baseline of this name. Needs no connection.

    Example: federated baseline freeze before-pilot answer/release.json --key analyst.key
    """
    release = open_release(read_file(path, "release"))
    frozen = freeze(name, release, key=read_private_key(key), now=now_utc())
    write_file(Path(f"{name}.baseline") if out is None else out, frozen)
    output.print(f"Frozen: {release.title}, {release.period}, release {release.digest.hex()}")
