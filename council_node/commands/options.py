"""Options that several commands of `council-node` share."""

from pathlib import Path
from typing import Annotated, Final

import typer

__all__ = ["DEFAULT", "AsJson", "By", "Node", "Plan", "Reason", "Role"]

Node = Annotated[Path, typer.Option("--settings", "-s", help="The node's settings file.")]
DEFAULT: Final = Path("node.yaml")
Plan = Annotated[str, typer.Argument(help="Digest of the plan, or its first digits.")]
By = Annotated[str, typer.Option("--by", help="Your name.")]
Role = Annotated[str, typer.Option("--role", help="Your role, for example 'data protection officer'.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence; it is kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
