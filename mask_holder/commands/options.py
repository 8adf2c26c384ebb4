"""Options that several commands of `mask-holder` share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "SettingsFile"]

SettingsFile = Annotated[Path, typer.Option("--settings", "-s", help="The mask holder's settings file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
