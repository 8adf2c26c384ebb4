"""Names of accounts, and what is kept of a name that somebody typed."""

import re
from ipaddress import IPv6Address, ip_address
from typing import Final

from federated.errors import QueryError
from protocols.encoding import sha256

__all__ = ["PUBLIC", "check_name", "named_like_an_account", "network_of", "pigeonhole"]

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,29}")
"""Printable, in one case, without a space or `@`: it can stand in a log, and is never an OpenID provider's."""
DIGITS: Final = 4
PUBLIC: Final = "public"
"""Stands in records for everybody who is not signed in; no account may have this name."""


def named_like_an_account(text: str) -> bool:
    """Whether a local account could have this name."""
    return text != PUBLIC and NAME.fullmatch(text) is not None


def check_name(text: str) -> str:
    """The name, for a new local account.

    Raises:
        QueryError: It cannot be one.
    """
    if not named_like_an_account(text):
        raise QueryError(
            f"'{text}' cannot be the name of an account.",
            remedy="Use 2 to 30 lower-case letters, digits, points, hyphens and underscores, such as ann.smith.",
        )
    return text


def pigeonhole(name: str) -> str:
    """Under what a try for this name is counted: one of 65,536.

    People type passwords where the name belongs. Of four digits nobody can tell what was typed.
    """
    return sha256(name.encode()).hex()[:DIGITS]


def network_of(address: str) -> str:
    """Under what an address is counted: an IPv6 subscriber has a whole /64, so that is one."""
    try:
        found = ip_address(address)
    except ValueError:
        return "unknown"
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> 64 << 64))
