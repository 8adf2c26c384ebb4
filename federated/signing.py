"""Signed files: any bytes in a DSSE envelope, opened only against keys named beforehand.

What is signed is the bytes themselves with their type, so no reader has to agree on a canonical form. The
envelope and its checks are securesystemslib's; this module adds what it leaves to its caller: sizes, strict
JSON, one name per key, and a plain sentence for every failure. Nothing in an envelope is parsed, beyond the
envelope itself, before its signatures hold.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import (  # type: ignore[attr-defined]  # documented names, exported without __all__
    CryptoSigner,
    Key,
    SSlibKey,
)

from federated.errors import InternalError, SignatureProblem
from federated.keys import SigningKey, keyid
from protocols.encoding import Json, canonical_json
from protocols.errors import LocalProtocolError

__all__ = [
    "Opened",
    "add_signature",
    "join_signatures",
    "open_envelope",
    "open_statement",
    "sign_payload",
    "sign_statement",
    "signature_count",
    "statement_type",
    "unsafe_payload",
]

ENVELOPE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of the largest envelope anyone here accepts, unless told otherwise."""
SIGNATURES_LIMIT: Final = 16
STATEMENT_VERSION: Final = 1

_KIND = re.compile(r"[a-z][a-z-]{0,39}")
_SEND_AGAIN = "Ask whoever sent it to send it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An envelope whose signatures hold.

    Attributes:
        payload: The signed bytes.
        signers: Key ids of every trusted key that signed, sorted; at least the threshold asked for.
    """

    payload: bytes
    signers: tuple[str, ...]


def sign_payload(payload: bytes, payload_type: str, keys: Sequence[SigningKey]) -> bytes:
    """Sign bytes of a type with one or more keys; the result is the envelope as JSON."""
    envelope = Envelope(payload, payload_type, {})
    for key in keys:
        envelope.sign(_signer(key))
    return _write(envelope)


def add_signature(envelope: bytes, key: SigningKey, *, limit: int = ENVELOPE_LIMIT) -> bytes:
    """Add a person's signature to an envelope that others have signed; signing twice changes nothing.

    The signer must have been shown the content first: see `unsafe_payload`.

    Raises:
        SignatureProblem: Not an envelope, or it is full.
    """
    opened = _read(envelope, limit)
    opened.sign(_signer(key))
    if len(opened.signatures) > SIGNATURES_LIMIT:
        raise SignatureProblem(f"This file has {SIGNATURES_LIMIT} signatures already, which is the most it may have.")
    return _write(opened)


def join_signatures(kept: bytes, other: bytes, trusted: Mapping[str, bytes], *, limit: int = ENVELOPE_LIMIT) -> bytes:
    """Add to an envelope what another one of the same content has more: signatures by trusted keys that hold.

    None that holds is lost. One in a trusted key's name that does not hold is, as it would refuse the whole file; those
    by keys that are not trusted stay where there is room.

    Args:
        kept: The envelope that is kept.
        other: The one that came.
        trusted: Raw public keys by key id.
        limit: Largest envelope accepted, in bytes.

    Returns:
        `kept` itself where there is nothing to add or to take away.

    Raises:
        SignatureProblem: One is no envelope, or they are not of the same content.
    """
    first, second = _read(kept, limit), _read(other, limit)
    if (first.payload, first.payload_type) != (second.payload, second.payload_type):
        raise SignatureProblem("These signed files do not have the same content, so their signatures are not joined.")
    holding = {
        name: item for one in (second, first) for name, item in one.signatures.items() if _holds(one, name, trusted)
    }
    others = {name: item for name, item in first.signatures.items() if name not in trusted}
    room = max(SIGNATURES_LIMIT - len(holding), 0)
    names = [*first.signatures, *second.signatures]
    joined = {**dict(list(others.items())[:room]), **holding}
    signatures = {name: joined[name] for name in names if name in joined}
    if signatures == first.signatures or len(signatures) > SIGNATURES_LIMIT:
        return kept
    return _write(Envelope(first.payload, first.payload_type, signatures))


def _holds(envelope: Envelope, name: str, trusted: Mapping[str, bytes]) -> bool:
    if name not in trusted:
        return False
    try:
        envelope.verify([_public(trusted[name])], 1)
    except UnverifiedSignatureError:
        return False
    return True


def open_envelope(
    envelope: bytes,
    payload_type: str,
    trusted: Mapping[str, bytes],
    threshold: int = 1,
    *,
    limit: int = ENVELOPE_LIMIT,
    too_few: str = "Ask the people who hold the trusted keys to sign it, or check that the right keys are trusted.",
) -> Opened:
    """Check an envelope and give its content.

    Checks, in order: (0) size, (1) form, (2) type, (3) enough signatures by different trusted keys, (4) every one
    of those holds. Signatures by keys that are not trusted are ignored. A wrong signature in a trusted key's name
    refuses the file even when enough others hold, because then somebody changed it.

    Args:
        envelope: What was received.
        payload_type: The only type accepted, so that a file signed for one purpose is not used for another.
        trusted: Raw public keys by key id; `federated.keys.trusted_keys` makes it.
        threshold: How many different trusted keys must have signed, at least 1.
        limit: Largest envelope accepted, in bytes.
        too_few: What to do when (3) fails.

    Raises:
        SignatureProblem: Any check fails.
    """
    _check_trusted(trusted, threshold)
    opened = _read(envelope, limit)
    if opened.payload_type != payload_type:
        raise SignatureProblem(
            f"This file was signed as {opened.payload_type[:80]!a}, but '{payload_type}' is needed here.",
            remedy="Check that it is the right file.",
        )
    keys: list[Key] = [_public(trusted[name]) for name in opened.signatures if name in trusted]
    if len(keys) < threshold:
        raise SignatureProblem(
            f"This file has {len(keys)} of the {threshold} trusted signatures it needs.",
            remedy=too_few,
        )
    try:
        accepted = opened.verify(keys, len(keys))
    except UnverifiedSignatureError as error:
        raise SignatureProblem(
            "A signature in this file is wrong: the file was changed after it was signed, or damaged on the way.",
            remedy=f"Do not use it. {_SEND_AGAIN}",
        ) from error
    return Opened(payload=opened.payload, signers=tuple(sorted(accepted)))


def unsafe_payload(envelope: bytes, payload_type: str, *, limit: int = ENVELOPE_LIMIT) -> bytes:
    """The content of an envelope, signatures unchecked: only to show a person what they are asked to sign.

    Raises:
        SignatureProblem: Not an envelope of this type.
    """
    opened = _read(envelope, limit)
    if opened.payload_type != payload_type:
        raise SignatureProblem(f"This file is a {opened.payload_type[:80]!a}, but '{payload_type}' is needed here.")
    return opened.payload


def signature_count(envelope: bytes, *, limit: int = ENVELOPE_LIMIT) -> int:
    """How many signatures an envelope carries, none of them checked.

    Raises:
        SignatureProblem: Not an envelope.
    """
    return len(_read(envelope, limit).signatures)


def statement_type(kind: str) -> str:
    """Payload type of a JSON statement, for example ``decision``.

    Raises:
        InternalError: Not a kind of lower-case letters and hyphens.
    """
    if not _KIND.fullmatch(kind):
        raise InternalError(f"'{kind}' is not a kind of statement: lower-case letters and hyphens were expected.")
    return f"application/vnd.federated.{kind}+json"


def sign_statement(kind: str, body: Mapping[str, Json], key: SigningKey) -> bytes:
    """Sign one JSON statement, for example a node's decision; the body says ``"version": 1``.

    Raises:
        InternalError: The body has no version, or holds something that is not exact JSON.
    """
    if type(body.get("version")) is not int:
        raise InternalError(f"A {kind} statement was about to be signed without its version number.")
    try:
        payload = canonical_json(body)
    except LocalProtocolError as error:
        raise InternalError(f"A {kind} statement cannot be signed: {error}.") from error
    return sign_payload(payload, statement_type(kind), [key])


def open_statement(
    kind: str,
    envelope: bytes,
    trusted: Mapping[str, bytes],
    *,
    version: int = STATEMENT_VERSION,
    limit: int = ENVELOPE_LIMIT,
) -> dict[str, Any]:
    """Check a signed JSON statement and give its body; who may have signed it is `trusted`.

    Raises:
        SignatureProblem: The signature does not hold, or the body is not canonical JSON of this version.
    """
    payload = open_envelope(envelope, statement_type(kind), trusted, limit=limit).payload
    body = _json_object(payload, f"signed {kind}")
    if not _is_canonical(body, payload):
        raise SignatureProblem(f"The signed {kind} is not written in the one agreed form.", remedy=_SEND_AGAIN)
    if type(body.get("version")) is not int or body["version"] != version:
        raise SignatureProblem(
            f"The signed {kind} is not of version {version}, the one this software reads.",
            remedy="The two sides run different versions: update the older one.",
        )
    return body


def _is_canonical(body: dict[str, Any], payload: bytes) -> bool:
    try:
        json.dumps(body, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair could not be printed later
        return canonical_json(body) == payload
    except (UnicodeEncodeError, RecursionError, LocalProtocolError):
        return False


def _check_trusted(trusted: Mapping[str, bytes], threshold: int) -> None:
    if threshold < 1:
        raise InternalError("An envelope was opened with a threshold below one signature.")
    # One key under two names would count twice towards the threshold.
    for name, public in trusted.items():
        if keyid(public) != name:
            raise InternalError("A trusted key is listed under a name that is not its own.")


def _read(content: bytes, limit: int) -> Envelope:
    if len(content) > limit:
        raise SignatureProblem(f"This signed file has {len(content)} bytes; at most {limit} are accepted.")
    document = _json_object(content, "signed file")
    if document.keys() != {"payload", "payloadType", "signatures"}:
        _not_an_envelope()
    signatures = document["signatures"]
    if not isinstance(signatures, list) or len(signatures) > SIGNATURES_LIMIT:
        _not_an_envelope()
    for item in signatures:
        if not isinstance(item, dict) or item.keys() != {"keyid", "sig"}:
            _not_an_envelope()
    texts = [document["payload"], document["payloadType"], *(text for item in signatures for text in item.values())]
    if not all(isinstance(text, str) for text in texts):
        _not_an_envelope()
    try:
        document["payloadType"].encode("utf-8")  # half of a surrogate pair could not be signed or checked later
        return Envelope.from_dict(document)
    except ValueError as error:  # that, not base64, or two signatures in one key's name
        _not_an_envelope(error)


def _write(envelope: Envelope) -> bytes:
    return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def _not_an_envelope(cause: Exception | None = None) -> NoReturn:
    raise SignatureProblem(
        "This is not a signed file: a DSSE envelope with a payload, its type and up to "
        f"{SIGNATURES_LIMIT} signatures was expected.",
        remedy="Check that it is the right file and that it is complete.",
    ) from cause


def _json_object(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise SignatureProblem(f"The {what} is not valid JSON.", remedy=_SEND_AGAIN) from error
    if not isinstance(document, dict):
        raise SignatureProblem(f"The {what} is not a JSON object.", remedy=_SEND_AGAIN)
    return document


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers could each take another one of two values with the same name.
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name is given twice")
    return document


def _signer(key: SigningKey) -> CryptoSigner:
    return CryptoSigner(key.private, _public(key.public))


def _public(public: bytes) -> SSlibKey:
    return SSlibKey(keyid(public), "ed25519", "ed25519", {"public": public.hex()})
