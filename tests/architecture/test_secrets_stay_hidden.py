"""No secret shows when an object is printed: in a log, an error or a debugger."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import PACKAGES, modules

SECRET = re.compile(
    r"(^|_)(seeds?|privates?|secrets?|shares?|salts?|passwords?|proxy|tokens?|masks)$|key_pem$|^key$|(^|_)private_"
)
PUBLIC_KINDS = frozenset({"Path", "FilePath", "PublicLine", "str", "Seconds"})
"""Where a key *file* is, public keys, ids of keys and waiting times are no secrets; only bytes, numbers and key objects are."""


def shown_secrets(tree: ast.Module) -> Iterator[str]:
    """Fields of dataclasses and pydantic forms whose name says secret and that their repr would print."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and _has_fields(node):
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and _is_secret(item):
                    yield f"line {item.lineno}: {node.name}.{item.target.id}"


def _has_fields(node: ast.ClassDef) -> bool:
    decorated = any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    return decorated or any(ast.unparse(base) in {"BaseModel", "Form", "_Form", "NamedTuple"} for base in node.bases)


def _is_secret(item: ast.AnnAssign) -> bool:
    assert isinstance(item.target, ast.Name)
    named = SECRET.search(item.target.id) is not None
    harmless = {word for word in re.findall(r"\w+", ast.unparse(item.annotation)) if word != "None"} & PUBLIC_KINDS
    if item.target.id in {"proxy", "password"}:  # text, and a secret all the same
        harmless = set()
    return named and not harmless and "repr=False" not in ast.unparse(item)


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("s_seed: int", 1),
        ("b_share: bytes", 1),
        ("channel_private: X25519PrivateKey", 1),
        ("key: bytes", 1),
        ("proxy: str | None = None", 1),
        ("masks: tuple[MaskKey, ...]", 1),
        ("s_seed: int = field(repr=False)", 0),
        ("public_key: bytes", 0),
        ("key: Path", 0),
        ("key_shares: Seconds", 0),
    ],
)
def test_the_finder_finds_shown_secrets(field, found):
    code = f"@dataclass(frozen=True)\nclass State:\n    {field}\n"
    assert len(list(shown_secrets(ast.parse(code)))) == found


def test_no_field_that_holds_a_secret_is_shown():
    assert [f"{name} {place}" for name, tree in modules(*PACKAGES) for place in shown_secrets(tree)] == []
