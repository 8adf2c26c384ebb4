"""The protocol has no files, no clock, no network and no entropy of its own; shells alone hold the system's."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import PACKAGES, imported, modules

PURE = frozenset(
    {
        "__future__",
        "abc",
        "collections",
        "contextlib",
        "cryptography",
        "dataclasses",
        "enum",
        "functools",
        "hashlib",
        "itertools",
        "json",
        "math",
        "numpy",
        "protocols",
        "struct",
        "types",
        "typing",
    }
)
"""All that `protocols/` may import; generated code is left out."""
SHELLS = (
    "federated/shell.py",
    "federated/commands/",
    "federated/demo/",
    "council_node/commands/",
    "council_node/service.py",
    "council_node/setup.py",
    "mask_holder/service.py",
    "mask_holder/setup.py",
    "coordinator/account_commands.py",
    "coordinator/cli.py",
    "coordinator/flower_commands.py",
    "coordinator/serve.py",
    "coordinator/simulate.py",
    "coordinator/simulate_flower.py",
    "coordinator/simulate_flower_app.py",
)
"""Where the system's clock and entropy come in; everywhere else they are arguments."""
AMBIENT = frozenset({"datetime.now", "datetime.utcnow", "date.today", "time.time", "os.urandom", "secrets.token_bytes"})


def impure_imports(tree: ast.Module) -> Iterator[str]:
    yield from (name for name in imported(tree) if name.partition(".")[0] not in PURE and not name.startswith("google"))


def ambient_in(tree: ast.Module) -> Iterator[str]:
    """Uses of the system's clock or entropy, called or passed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in AMBIENT:
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os", ["os"]),
        ("from datetime import datetime", ["datetime"]),
        ("import socket, json", ["socket"]),
        ("from pathlib import Path", ["pathlib"]),
        ("from collections.abc import Mapping\nimport numpy as np", []),
    ],
)
def test_the_finder_finds_impure_imports(code, found):
    assert list(impure_imports(ast.parse(code))) == found


def test_the_protocol_touches_nothing_outside_itself():
    assert [f"{name}: {found}" for name, tree in modules("protocols") for found in impure_imports(tree)] == []


@pytest.mark.parametrize("code", ["x = datetime.now(UTC)", "run(rng=os.urandom)", "x = time.time()"])
def test_the_finder_finds_clocks_and_entropy(code):
    assert len(list(ambient_in(ast.parse(code)))) == 1


def test_clock_and_entropy_come_in_through_the_shells():
    places = [
        f"{name} {place}"
        for name, tree in modules(*PACKAGES)
        if not name.startswith(SHELLS)
        for place in ambient_in(tree)
    ]
    assert places == []
