"""Serves the pages: on loopback, one process, without a log."""

import socket
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import uvicorn

from council_node.page.door import LOOPBACK, Door
from council_node.page.site import build_site
from council_node.settings import check_files, read_settings
from federated.errors import FileProblem, InternalError
from federated.pages import stylesheet
from protocols.identifiers import RandomSource

__all__ = ["listen", "serve_page"]

MOST_CONNECTIONS: Final = 32
WAIT_S: Final = 3


def listen(port: int) -> socket.socket:
    """A socket of this computer alone.

    Args:
        port: 0 for any that is free.

    Raises:
        FileProblem: The port is taken.
        InternalError: The system gave another address than loopback.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.bind((LOOPBACK, port))
        made.listen(MOST_CONNECTIONS)
    except OSError as error:
        made.close()
        raise FileProblem(
            f"Port {port} cannot be used ({error.strerror}).", remedy="Leave --port out, or name another."
        ) from error
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
        _run(site, listening)


def _run(site: Any, listening: socket.socket) -> None:  # the two libraries write the type of an application apart
    # No log of its own: it would quote addresses, and with them the secret folder (`council_node.crash_safety`).
    config = uvicorn.Config(
        site,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=WAIT_S,
        timeout_graceful_shutdown=WAIT_S,
    )
    uvicorn.Server(config).run(sockets=[listening])
