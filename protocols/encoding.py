"""Unambiguous bytes to hash and sign: length-prefixed fields, and canonical JSON for questions and plans."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from protocols.errors import LocalProtocolError
from protocols.identifiers import Digest

Json: TypeAlias = bool | int | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""What may be signed as JSON. There is no float: rationals are text, so that no party rounds differently."""


def length_prefixed(domain: str, *fields: bytes) -> bytes:
    """Join fields so that no two different lists give the same bytes.

    Args:
        domain: Domain separation label, for example ``"round/v1"``.
        fields: Any bytes; each is preceded by its length as 8 bytes, big endian.
    """
    return prefixed(domain.encode("ascii"), *fields)


def prefixed(*fields: bytes) -> bytes:
    """What :func:`length_prefixed` puts after the label; more fields go on with the same encoding."""
    return b"".join([len(field).to_bytes(8, "big") + field for field in fields])


def digest(domain: str, *fields: bytes) -> Digest:
    """SHA-256 over :func:`length_prefixed`."""
    return Digest(hashlib.sha256(length_prefixed(domain, *fields)).digest())


def sha256(content: bytes | memoryview) -> Digest:
    """Plain SHA-256, for the digest of a file or of a message body as it stands."""
    return Digest(hashlib.sha256(content).digest())


def canonical_json(value: Json) -> bytes:
    """The one encoding of a value: sorted keys, no spaces, ASCII, no floats.

    Raises:
        LocalProtocolError: The value holds a float or something JSON has no word for.
    """
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Types of nearly every value, told apart by one look; matching classes costs ten times as much."""


def _refuse_floats(value: object) -> None:
    match value:
        case None | bool() | int() | str():
            return
        case Mapping():
            for key in value:
                if not isinstance(key, str):
                    raise LocalProtocolError(f"canonical JSON keys are text, not {type(key).__name__}")
            _refuse_floats_in(value.values())
        case list() | tuple():
            _refuse_floats_in(value)
        case _:
            raise LocalProtocolError(f"canonical JSON holds no {type(value).__name__}: write rationals as text")


def _refuse_floats_in(values: Iterable[object]) -> None:
    for value in values:
        if type(value) not in _PLAIN:
            _refuse_floats(value)
