"""Finds every function whose name says that it makes objects from bytes, texts or files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["decoders"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocols", "federated", "council_node", "mask_holder", "coordinator")
_NAME = re.compile(r"(open|parse|read|decode|load)(_[a-z0-9_]+)?")
_DEFINED = re.compile(rf"def {_NAME.pattern}\(")


def decoders() -> Iterator[str]:
    """`module:qualified name` of each, in order."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.stem.endswith(("_pb2", "_pb2_grpc")):
                continue
            text = path.read_text(encoding="utf-8")
            if not _DEFINED.search(text):
                continue
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield from (f"{module}:{name}" for name in _named(ast.parse(text).body, ""))


def _named(body: list[ast.stmt], inside: str) -> Iterator[str]:
    for item in body:
        match item:
            case ast.ClassDef(name=name, body=inner):
                yield from _named(inner, f"{inside}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if _NAME.fullmatch(name):
                yield f"{inside}{name}"
