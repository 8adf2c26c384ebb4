"""Whether the inputs of a target come as far as the decoders that it is for: a target that stops before proves nothing."""

import importlib
import inspect
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import CodeType, FrameType
from typing import Any, Final

from tests.fuzz.table import Target

OUT_OF_SIGHT: Final = {
    "council_node.cells.reader:main": "runs in a process of its own",
    "council_node.cells.text:cell_text": "runs in a process of its own",
    "coordinator.api.forms:HandIn": "is read by pydantic, without a line of Python",
}
"""Decoders of which a profile of this process shows nothing."""


def not_reached(target: Target, inputs: Iterable[bytes]) -> set[str]:
    """Of the decoders that a target names, those of which no line was run."""
    seen: set[CodeType] = set()

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    wanted = {name: _found(name) for name in target.covers}
    for found in wanted.values():
        if hasattr(found, "cache_clear"):
            found.cache_clear()
    sys.setprofile(watch)
    try:
        for data in inputs:
            with suppress(Exception):  # what an input breaks is another test's
                target.feed(data)
    finally:
        sys.setprofile(None)
    return {name for name, found in wanted.items() if not _codes(found) & seen}


def _found(name: str) -> Any:
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    return found


def _codes(found: Any) -> set[CodeType]:
    """Of a function, its own; of a class, those of all its methods but the one that only makes it."""
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    if inspect.isclass(found):
        return {code for name, value in vars(found).items() if name != "__init__" for code in _codes(value)}
    found = inspect.unwrap(found) if callable(found) else found
    return {found.__code__} if inspect.isfunction(found) else set()
