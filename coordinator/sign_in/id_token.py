"""The ID token of an OpenID Connect provider: what must be true of it before anybody is let in. No network here.

References:
    OpenID Connect Core 1.0, 3.1.3.7 (numbers in brackets are its steps); RFC 8725 (JSON Web Token best practices).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, RSAKey, import_key

from coordinator.settings import OpenIdSettings
from coordinator.sign_in.provider_problem import ProviderProblem
from protocols.encoding import digest

__all__ = ["Expected", "Person", "check_id_token", "key_id", "person_of"]

ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Signature algorithms that are taken, each with the one kind of key that it is taken with. Without `none` and
without HMAC, whose key would be something that everybody knows."""
LEEWAY: Final = timedelta(minutes=1)
OLDEST: Final = timedelta(minutes=10)
_SMALLEST_RSA: Final = 2048
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-|")
_LONGEST_SUBJECT: Final = 255
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token is held against.

    Attributes:
        issuer: Of the settings.
        client_id: Of the settings.
        nonce: That this sign-in sent.
        access_token: That came with the ID token.
        now: Time.
    """

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    access_token: str = field(repr=False)
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom the provider vouches for.

    Attributes:
        account: Name of their account here.
        subject_hash: Of issuer and subject; the account is theirs alone.
        roles: Parted by spaces; empty where the provider's groups have no role here.
        agreements: Parted by spaces.
    """

    account: str
    subject_hash: bytes
    roles: str
    agreements: str


def key_id(token: str) -> str | None:
    """The id of the key that a token says it is signed with; nothing of it is believed yet.

    Raises:
        ProviderProblem: It is no signed token.
    """
    found = _header(token).get("kid")
    return found if isinstance(found, str) else None


def _header(token: str) -> Mapping[str, Any]:
    try:
        return jws.extract_compact(token.encode("ascii")).headers()
    except (JoseError, ValueError) as error:
        raise ProviderProblem("The provider's answer holds no signed ID token.") from error


def check_id_token(token: str, keys: Sequence[Mapping[str, Any]], expected: Expected) -> Mapping[str, Any]:
    """The claims of a token, once everything about it is right.

    In order: (0) an algorithm of ours, with a key of its kind; (6, 7) the signature; (2) the issuer; (3, 4, 5) the
    audience; (9, 10) the times; (11) the nonce; the access token's hash, if there is one.

    Args:
        token: As it came.
        keys: The provider's published keys.
        expected: What it must say.

    Raises:
        ProviderProblem: Something is not right; says what, and no value.
    """
    key = _key(token, keys)  # (0)
    algorithm = str(_header(token)["alg"])
    try:
        found = jwt.decode(token, key, algorithms=[algorithm])  # (6, 7)
        claims: Mapping[str, Any] = found.claims
        _check_text(claims, "iss", expected.issuer)  # (2)
        if claims.get("aud") not in (expected.client_id, [expected.client_id]):  # (3, 4, 5)
            raise ProviderProblem("The ID token was made for somebody else (aud).")
        if claims.get("azp", expected.client_id) != expected.client_id:
            raise ProviderProblem("The ID token was made for somebody else (azp).")
        _check_times(claims, expected.now)  # (9, 10)
        _check_text(claims, "nonce", expected.nonce)  # (11)
        given = {"nonce": expected.nonce, "client_id": expected.client_id, "access_token": expected.access_token}
        known = CodeIDToken(dict(claims), found.header, params=given)
        known.validate(now=int(expected.now.timestamp()), leeway=int(LEEWAY.total_seconds()))
    except (JoseError, ValueError, TypeError, OverflowError) as error:
        raise ProviderProblem(f"The ID token is not right ({type(error).__name__}).") from error
    return claims


def _key(token: str, keys: Sequence[Mapping[str, Any]]) -> Key:
    header = _header(token)
    kind = ALGORITHMS.get(str(header.get("alg")))
    if kind is None:
        raise ProviderProblem(f"The ID token is signed in a way that is not taken; {', '.join(ALGORITHMS)} are.")
    wanted = header.get("kid")
    fitting = [
        key
        for key in keys
        if (key.get("kty"), key.get("crv") if kind[1] else None) == kind
        and key.get("use", "sig") == "sig"
        and key.get("alg", header["alg"]) == header["alg"]
        and (wanted is None or key.get("kid") == wanted)
    ]
    if len(fitting) != 1:
        raise ProviderProblem(f"{len(fitting) or 'None'} of the provider's keys fits the ID token; one was expected.")
    try:
        made = import_key(dict(fitting[0]))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ProviderProblem("The provider's key cannot be read.") from error
    if isinstance(made, RSAKey) and made.public_key.key_size < _SMALLEST_RSA:
        raise ProviderProblem("The provider's key is too short.")
    return made


def _check_text(claims: Mapping[str, Any], name: str, expected: str) -> None:
    found = claims.get(name)
    if not isinstance(found, str) or not compare_digest(found.encode(), expected.encode()):
        raise ProviderProblem(f"The ID token does not say what was expected ({name}).")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    at = now.timestamp()
    numbers = [claims.get(name) for name in ("exp", "iat", "nbf") if name != "nbf" or name in claims]
    if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers):
        raise ProviderProblem("The ID token does not say when it was made and until when it is good.")
    expires, made = claims["exp"], claims["iat"]
    leeway = LEEWAY.total_seconds()
    if at >= expires + leeway or made < at - OLDEST.total_seconds() - leeway:
        raise ProviderProblem("The ID token is too old.")
    if max(made, claims.get("nbf", made)) > at + leeway:
        raise ProviderProblem("The ID token comes from the future. Compare the clock here with the provider's.")


def person_of(claims: Mapping[str, Any], settings: OpenIdSettings) -> Person:
    """Whose token it is, and what they may do here: nothing that the settings do not name.

    Raises:
        ProviderProblem: It names nobody.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise ProviderProblem("The ID token names nobody (sub).")
    hashed = digest("openid subject/v1", settings.issuer.encode(), subject.encode())
    host = settings.issuer.split("/")[2].lower()
    readable = f"{subject}@{host}"
    plain = _PLAIN.issuperset(subject) and len(readable) <= _LONGEST_NAME
    # A local account's name has no `@`, so neither can take the other's.
    account = readable if plain else f"{hashed.hex()[:24]}@{host}"[:_LONGEST_NAME]
    found = claims.get(settings.roles_claim, ())
    groups = [found] if isinstance(found, str) else found
    values = {group for group in groups if isinstance(group, str)} if isinstance(groups, (list, tuple)) else set()
    roles = {role for value, role in settings.roles.items() if value in values}
    agreements = {id_ for value, ids in settings.agreements.items() if value in values for id_ in ids}
    return Person(
        account=account,
        subject_hash=hashed,
        roles=" ".join(sorted(roles)),
        agreements=" ".join(sorted(agreements)),
    )
