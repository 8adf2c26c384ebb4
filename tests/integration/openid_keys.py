"""Keys of an OpenID provider for tests, and tokens signed with them as a provider would, or would not."""

import hmac
import json
import warnings
from base64 import urlsafe_b64encode
from functools import cache

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

warnings.filterwarnings("ignore", category=SecurityWarning)  # that EdDSA is called Ed25519 from RFC 9864 on

KEPT = {"RS256": ("RSA", 2048), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
MAKERS = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@cache
def key_for(algorithm, kid="one"):
    kind, size = KEPT.get(algorithm, ("RSA", 2048))
    return MAKERS[kind].generate_key(size, parameters={"kid": kid, "use": "sig", "alg": algorithm})


def public(*keys):
    return [key.as_dict(private=False) for key in keys]


def sign(claims, key, *, algorithm="RS256", **header):
    return jwt.encode({"alg": algorithm, "kid": "one", **header}, claims, key, algorithms=[algorithm])


def _part(value):
    return urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(claims, **header):
    """A token that says of itself that it has no signature."""
    return f"{_part({'alg': 'none', **header})}.{_part(claims)}."


def signed_with_public_key(claims, key, form):
    """HS256, with what everybody can read of an RSA key as the secret (RFC 8725, 2.1); our library would not do it."""
    secret = {
        "pem": lambda: key.as_pem(private=False),
        "der": lambda: key.as_der(private=False),
        "n": key.as_dict(private=False)["n"].encode,
    }[form]()
    content = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{_part(claims)}"
    return f"{content}.{_part(hmac.digest(secret, content.encode(), 'sha256'))}"
