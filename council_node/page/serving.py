"""Serves the pages: on loopback, one process, without a log but of what nobody foresaw."""

import socket
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from council_node.page.door import LOOPBACK, Door
from council_node.page.site import build_site
from council_node.settings import check_files, read_settings
from federated.errors import InternalError
from federated.pages import stylesheet
from federated.pages.serving import listen as listen_on
from federated.pages.serving import run_site
from protocols.identifiers import RandomSource

__all__ = ["listen", "serve_page"]

MOST_CONNECTIONS: Final = 32


def listen(port: int) -> socket.socket:
    """A socket of this computer alone.

    Args:
        port: 0 for any that is free.

    Raises:
        FileProblem: The port is taken.
        InternalError: The system gave another address than loopback.
    """
    made = listen_on(LOOPBACK, port, connections=MOST_CONNECTIONS)
    if made.getsockname()[0] != LOOPBACK:
        made.close()
        raise InternalError("The system would have shown the pages to other computers.")
    return made


def serve_page(
    path: Path, *, port: int, tell: Callable[[str], None], clock: Callable[[], datetime], rng: RandomSource
) -> None:
    """Serve the pages of one council until stopped.

    Args:
        path: The node's settings.
        port: 0 for any that is free.
        tell: Takes the lines for the person who started it; the address among them lets whoever has it in, once.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.

    Raises:
        FileProblem: Settings, a file they name, the styles or the port cannot be used.
    """
    settings = read_settings(path)
    check_files(settings)
    styles = stylesheet()
    with closing(listen(port)) as listening:
        door = Door.make(rng, port=listening.getsockname()[1], now=clock())
        site = build_site(settings, door, styles=styles, clock=clock, rng=rng)
        tell(f"The pages of {settings.council.name}, for you, on this computer. Open this address, once:")
        tell(door.address())
        tell("Nothing you see there is sent to anyone. Stop the pages with Ctrl-C.")
        run_site(site, listening, connections=MOST_CONNECTIONS)
