"""Talks to the OpenID Connect provider: discovery, keys, and a code for tokens. Nothing else is asked of it.

Every address but the issuer's comes from the provider itself, so each must be HTTPS (or loopback, to try it out), no
redirect is followed, and answers are short and soon.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from coordinator.settings import OpenIdSettings
from coordinator.sign_in.id_token import key_id
from coordinator.sign_in.provider_problem import ProviderProblem
from federated.errors import FileProblem

__all__ = ["Metadata", "Provider", "Tokens", "open_provider"]

WELL_KNOWN: Final = "/.well-known/openid-configuration"
TIMEOUT_S: Final = 10
ANSWER_LIMIT: Final = 256 * 1024
FRESH: Final = timedelta(minutes=15)
ASK_AGAIN: Final = timedelta(minutes=1)
"""A key id that nobody knows makes us ask for the keys again, but not more often than this."""
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What the provider says about itself."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool
    """Whether what comes back through the browser says which provider sent it (RFC 9207)."""
    secret_in_form: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a code was exchanged for."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)


class Provider:
    """One provider; used from several threads.

    Args:
        settings: Of the console.
        client_secret: Content of its file.
        own: Scheme, host and port of our pages.
        client: Makes the connections.
        clock: Gives the time, UTC.
    """

    def __init__(
        self,
        settings: OpenIdSettings,
        *,
        client_secret: str,
        own: str,
        client: httpx.Client,
        clock: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self.back = f"{own}/sign-in/openid/back"
        self._secret = client_secret
        self._client = client
        self._clock = clock
        self._lock = Lock()
        self._metadata: tuple[datetime, Metadata] | None = None
        self._keys: tuple[datetime, Sequence[Mapping[str, Any]]] | None = None

    def address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser."""
        return str(
            prepare_grant_uri(
                self.metadata().authorization_endpoint,
                client_id=self.settings.client_id,
                response_type="code",
                redirect_uri=self.back,
                scope=" ".join(dict.fromkeys(("openid", *self.settings.scopes))),
                state=state,
                nonce=nonce,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
            )
        )

    def redeem(self, code: str, *, verifier: str) -> Tokens:
        """Exchange a code.

        Raises:
            ProviderProblem: The provider does not take it, or answers something else.
        """
        metadata = self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.back,
            "code_verifier": verifier,
        }
        headers = {"Accept": "application/json"}
        if metadata.secret_in_form:
            form |= {"client_id": self.settings.client_id, "client_secret": self._secret}
        else:
            # RFC 6749, 2.3.1: both are form-encoded first.
            pair = f"{quote(self.settings.client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        found = self._answer("POST", metadata.token_endpoint, headers=headers, data=form)
        id_token, access_token = found.get("id_token"), found.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise ProviderProblem("The provider's answer holds no ID token.")
        return Tokens(id_token=id_token, access_token=access_token)

    def keys_for(self, token: str) -> Sequence[Mapping[str, Any]]:
        """The published keys; asked for again when a token names one that is not among them."""
        wanted = key_id(token)
        with self._lock:
            now = self._clock()
            kept = self._keys
            # Also when the clock was set back: what was fetched in the future is not fresh.
            if kept is not None and timedelta() <= now - kept[0] < FRESH:
                known = wanted is None or any(key.get("kid") == wanted for key in kept[1])
                if known or now - kept[0] < ASK_AGAIN:
                    return kept[1]
        found = self._answer("GET", self.metadata().jwks_uri).get("keys")
        if not isinstance(found, list) or not all(isinstance(key, dict) for key in found):
            raise ProviderProblem("The provider's list of keys cannot be read.")
        with self._lock:
            self._keys = (now, tuple(found))
        return tuple(found)

    def metadata(self) -> Metadata:
        """What the provider says about itself, a quarter of an hour old at most.

        Raises:
            ProviderProblem: It cannot be reached, or names itself otherwise than the settings.
        """
        with self._lock:
            kept = self._metadata
        now = self._clock()
        if kept is not None and timedelta() <= now - kept[0] < FRESH:
            return kept[1]
        found = self._answer("GET", self.settings.issuer.rstrip("/") + WELL_KNOWN)
        if found.get("issuer") != self.settings.issuer:
            raise ProviderProblem("The provider names itself otherwise than the setting 'issuer'.")
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        made = Metadata(
            authorization_endpoint=_endpoint(found, "authorization_endpoint"),
            token_endpoint=_endpoint(found, "token_endpoint"),
            jwks_uri=_endpoint(found, "jwks_uri"),
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
            secret_in_form=isinstance(methods, list) and "client_secret_basic" not in methods,
        )
        with self._lock:
            self._metadata = (now, made)
        return made

    def _answer(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        content = b""
        try:
            with self._client.stream(method, address, headers=headers, data=data, follow_redirects=False) as response:
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > ANSWER_LIMIT:
                        raise ProviderProblem("The provider's answer is too long.")
            found = json.loads(content) if response.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderProblem(
                f"The sign-in provider cannot be reached ({type(error).__name__}).",
                remedy="Try again; if it goes on, tell the operator of these pages.",
            ) from error
        except (ValueError, RecursionError) as error:
            raise ProviderProblem("The provider's answer cannot be read.") from error
        if not isinstance(found, dict):
            raise ProviderProblem(f"The sign-in provider refused ({response.status_code}).", remedy="Start again.")
        return found


def _endpoint(found: Mapping[str, Any], name: str) -> str:
    address = found.get(name)
    try:
        parts = urlsplit(address) if isinstance(address, str) else urlsplit("")
    except ValueError as error:
        raise ProviderProblem(f"The provider's '{name}' is not an address that is taken.") from error
    near = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not isinstance(address, str) or not (parts.scheme == "https" or near) or parts.username or parts.fragment:
        raise ProviderProblem(f"The provider's '{name}' is not an address that is taken.")
    return address


def open_provider(settings: OpenIdSettings, *, own: str, clock: Callable[[], datetime]) -> Provider:
    """The provider of the settings.

    Raises:
        FileProblem: The client secret cannot be read.
    """
    path = Path(settings.client_secret_file)
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise FileProblem(
            f"{path}: the client secret cannot be read.", remedy="See docs/console-sign-in.md."
        ) from error
    if not secret:
        raise FileProblem(f"{path}: the file with the client secret is empty.", remedy="See docs/console-sign-in.md.")
    # No proxy, no credentials from the environment: only what the settings name.
    client = httpx.Client(timeout=TIMEOUT_S, trust_env=False)
    return Provider(settings, client_secret=secret, own=own, client=client, clock=clock)
