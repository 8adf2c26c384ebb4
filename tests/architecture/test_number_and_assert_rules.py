"""No floating point where privacy is decided, no `assert` on input, no second source of randomness."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import PACKAGES, modules

SEEDED_PLACES = ("federated/synthetic/", "federated/demo/", "federated/analysis/", "federated/attack/crowd.py")
"""Practice data, planted households, which nodes fail in a demo, and simulated p-values follow a seed on purpose; no mask,
key or noise share does."""


def floats_in(tree: ast.Module) -> Iterator[str]:
    """Float literals, calls of `float`, float dtypes and true division of plain numbers in code; not annotations."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() | complex()):
                yield f"line {node.lineno}: {node.value!r}"
            case ast.Call(func=ast.Name(id="float" | "complex")):
                yield f"line {node.lineno}: float()"
            case ast.Attribute(attr="float16" | "float32" | "float64" | "longdouble" | "double" | "complex128"):
                yield f"line {node.lineno}: {node.attr}"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"line {node.lineno}: true division"


def asserts_in(tree: ast.Module) -> Iterator[str]:
    return (f"line {node.lineno}" for node in ast.walk(tree) if isinstance(node, ast.Assert))


def randomness_in(tree: ast.Module) -> Iterator[str]:
    """Any way to a random number that is not the one `RandomSource`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (f"line {node.lineno}: {name.name}" for name in names if _is_random(name.name))
            case ast.ImportFrom(module=str(module), names=names):
                if _is_random(module) or any(_is_random(f"{module}.{name.name}") for name in names):
                    yield f"line {node.lineno}: {module}"
            case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"):
                yield f"line {node.lineno}: numpy.random"


def _is_random(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] == "random" or module.startswith("numpy.random")


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("x = 1.0", 1),
        ("x = 1e3", 1),
        ("def f(x: int) -> int:\n    return int(float(x))", 1),
        ("import numpy as np\nx = np.zeros(3, dtype=np.float64)", 1),
        ("x = 7 / 2", 1),
        ("x = 7 // 2\ny = 10**3\nz = '1.5'", 0),
    ],
)
def test_the_float_finder_finds_floats(code, found):
    assert len(list(floats_in(ast.parse(code)))) == found


def test_no_floating_point_in_the_protocol():
    assert [f"{name} {place}" for name, tree in modules("protocols") for place in floats_in(tree)] == []


def test_the_assert_finder_finds_asserts():
    assert list(asserts_in(ast.parse("def f(x):\n    assert x, 'given'"))) == ["line 2"]


def test_no_assert_outside_tests():
    assert [f"{name} {place}" for name, tree in modules(*PACKAGES) for place in asserts_in(tree)] == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import random", 1),
        ("from random import choice", 1),
        ("import numpy.random as r", 1),
        ("from numpy import random", 1),
        ("from numpy.random import default_rng", 1),
        ("import numpy as np\nnp.random.default_rng(1)", 1),
        ("import os\nos.urandom(8)", 0),
    ],
)
def test_the_randomness_finder_finds_random_numbers(code, found):
    assert len(list(randomness_in(ast.parse(code)))) == found


def test_no_second_source_of_randomness():
    places = [
        f"{name} {place}"
        for name, tree in modules(*PACKAGES)
        if not name.startswith(SEEDED_PLACES)
        for place in randomness_in(tree)
    ]
    assert places == []
