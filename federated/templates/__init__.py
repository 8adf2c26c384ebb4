"""Files to start from: every place where a person must write something says FILL IN, and is refused until they did."""

from importlib.resources import files
from typing import Literal

__all__ = ["template"]


def template(name: Literal["agreement", "manifest"]) -> str:
    """The template of that name, as YAML with comments."""
    return files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
