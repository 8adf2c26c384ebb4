"""Flower's public API everywhere, and what lies behind it in one module alone, as decision 0007 lists it."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, imported, modules

SEAM = "federated/flower_runtime.py"
PUBLIC = frozenset({"flwr.app", "flwr.clientapp", "flwr.serverapp"})


def of_flower(tree: ast.Module) -> Iterator[str]:
    """Every module of Flower that is imported."""
    yield from (name for name in imported(tree) if name.partition(".")[0] == "flwr")


@pytest.mark.parametrize(
    "code", ["import flwr.supercore", "from flwr.supercore import log", "def f():\n    from flwr.cli import app"]
)
def test_the_finder_finds_what_is_not_public(code):
    assert set(of_flower(ast.parse(code))) - PUBLIC


def test_only_the_seam_reaches_behind_flowers_public_api():
    inner = {name: set(of_flower(tree)) - PUBLIC for name, tree in modules(*PACKAGES)}
    assert {name for name, found in inner.items() if found} == {SEAM}


def test_the_decision_lists_all_of_what_the_seam_uses():
    record = (ROOT / "docs/adr/0007-pinned-flower-executor.md").read_text(encoding="utf-8")
    used = {name for module, tree in modules("federated") if module == SEAM for name in of_flower(tree)} - PUBLIC
    assert len(used) > 5
    assert [name for name in sorted(used) if name not in record] == []


def test_ray_is_imported_by_the_simulation_alone_and_is_in_no_image():
    users = {
        name for name, tree in modules(*PACKAGES) if any(used.partition(".")[0] == "ray" for used in imported(tree))
    }
    assert users == {"coordinator/simulate_flower_app.py"}
    pins = {
        party: set(re.findall(r"^([a-z0-9-]+)==", (ROOT / f"requirements/{party}.txt").read_text(), flags=re.MULTILINE))
        for party in ("all", "node", "coordinator")
    }
    assert {"ray", "flwr"} <= pins["all"]
    assert not {"ray", "flwr"} & (pins["node"] | pins["coordinator"])
    assert len(pins["node"]) > 10 < len(pins["coordinator"])
