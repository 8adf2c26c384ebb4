"""Remembers the answers of pure functions from one history to the next: the same papers are opened in all of them.

One process plays every party of every history, so it would check each signature and derive each plan thousands of
times. Only answers are remembered, never errors, and only of functions whose answer follows from the key given here.
"""

import contextlib
import sys
from collections.abc import Callable, Hashable, Iterator
from functools import cache, wraps
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import SSlibKey
from sqlalchemy.engine.base import Engine
from sqlalchemy.util import LRUCache

from coordinator.store import migration
from council_node import policy
from federated import agreement, manifest, plan, query, roster, yaml_document
from protocols import envelope

MOST = 20_000
PARTS = ("protocols", "federated", "council_node", "coordinator")

Key = Callable[..., Hashable]


def _digests(*values: Any) -> tuple[Hashable, ...]:
    return tuple(value.digest for value in values)


_PURE: tuple[tuple[Any, str, Key], ...] = (
    (plan, "open_plan", lambda c, *, agreement, roster, schema: (c, *_digests(agreement, roster, schema))),
    (manifest, "open_manifest", lambda e, keys, now: (e, tuple(sorted(keys.items())), now.date())),
    (roster, "parse_roster", lambda payload, *, source="roster": (payload, source)),
    (agreement, "parse_agreement", lambda payload, *, source="agreement": (payload, source)),
    (query, "parse_query", lambda content, *, source="question": (content, source)),
    (yaml_document, "read_form", lambda form, content, *, source, remedy="": (form, content, source, remedy)),
    (
        policy,
        "facts_of",
        lambda p, m, *, agreement, council, schema, missing, extract_date: (
            *_digests(p, m, agreement, schema),
            council,
            missing,
            extract_date,
        ),
    ),
)


def _remembering(function: Callable[..., Any], key: Key) -> Callable[..., Any]:
    known: dict[Hashable, Any] = {}

    @wraps(function)
    def found(*args: Any, **kwargs: Any) -> Any:
        name = key(*args, **kwargs)
        if name not in known:
            if len(known) >= MOST:
                known.clear()
            known[name] = function(*args, **kwargs)
        return known[name]

    return found


class _KnownKey:
    """A public key that remembers which signatures were right."""

    def __init__(self, public: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(public)
        self._right: set[tuple[bytes, bytes]] = set()

    def verify(self, signature: bytes, content: bytes) -> None:
        """As the real one."""
        name = (signature, content)
        if name in self._right:
            return
        self._key.verify(signature, content)
        if len(self._right) >= MOST:
            self._right.clear()
        self._right.add(name)


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Remember for the length of the block."""
    with contextlib.ExitStack() as stack:
        for home, name, key in _PURE:
            _everywhere(stack, name, getattr(home, name), _remembering(getattr(home, name), key))
        scripts = migration.migration_scripts
        _everywhere(stack, "migration_scripts", scripts, cache(scripts))
        stack.enter_context(patch.object(envelope, "_identity_key", cache(_KnownKey)))
        verify = SSlibKey.verify_signature
        known = _remembering(verify, lambda key, signature, data: (key.keyid, signature.signature, data))
        stack.enter_context(patch.object(SSlibKey, "verify_signature", known))
        stack.enter_context(patch.object(Engine, "_compiled_cache", _Compiled(), create=True))
        yield


def _everywhere(stack: contextlib.ExitStack, name: str, old: Any, new: Any) -> None:
    """Put one function in another's place in every module of the project that has it by name."""
    for module in list(sys.modules.values()):
        if module.__name__.partition(".")[0] in PARTS and getattr(module, name, None) is old:
            stack.enter_context(patch.object(module, name, new))


class _Compiled:
    """One cache of compiled statements for all engines: each history opens its own."""

    def __init__(self) -> None:
        self._cache: LRUCache[Any, Any] = LRUCache(2000)

    def __get__(self, _engine: object, _owner: object) -> "LRUCache[Any, Any]":
        return self._cache

    def __set__(self, _engine: object, _value: object) -> None:
        """An engine's own is not used."""


__all__ = ["remembered"]
