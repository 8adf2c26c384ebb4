"""Whether a request comes from our own pages, and where one may be sent afterwards."""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["SAFE", "NotFromHere", "check_same_origin", "own_path"]

SAFE: Final = frozenset({"GET", "HEAD"})
HOME: Final = "/"
LONGEST: Final = 500
_OWN_PATH: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+/?(\?[A-Za-z0-9_.~=&+-]*)?|/(\?[A-Za-z0-9_.~=&+-]*)?")


class NotFromHere(Exception):
    """A request that another site may have had the browser send. The sentence is for the person."""


def check_same_origin(method: str, headers: Iterable[tuple[bytes, bytes]], own: str) -> None:
    """Refuse what changes something, unless the browser says that a page of ours sent it.

    Args:
        method: In capitals.
        headers: As they came.
        own: Scheme, host and port under which people open the pages.

    Raises:
        NotFromHere: Another site sent it, or nobody knows who.
    """
    if method in SAFE:
        return
    found: dict[bytes, list[str]] = {b"origin": [], b"sec-fetch-site": []}
    for name, value in headers:
        if name.lower() in found:
            found[name.lower()].append(value.decode("latin-1"))
    origins, sites = found[b"origin"], found[b"sec-fetch-site"]
    # Browsers send `Origin` with every form that is posted; one of the two must be there, and none may disagree.
    if not (origins or sites) or origins not in ([], [own]) or sites not in ([], ["same-origin"]):
        raise NotFromHere("Another site may have sent this form. Nothing was done. Open the page here and try again.")


def own_path(wanted: str) -> str:
    r"""Where to go after signing in: a path of ours, otherwise the first page.

    Nothing that a browser could read as another host is let through, such as ``//host``, ``/\host`` or ``/%2fhost``,
    and nothing that could end the header that it stands in.
    """
    return wanted if len(wanted) <= LONGEST and _OWN_PATH.fullmatch(wanted) else HOME
