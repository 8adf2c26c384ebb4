"""Runs an application of pages on a socket that listens already, with no log but that of `federated.pages.faults`."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from federated.errors import FileProblem

__all__ = ["Certificate", "listen", "run_site"]

WAIT_S: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Certificate chain and key of a server, PEM files."""

    chain: Path
    key: Path


def listen(host: str, port: int, *, connections: int) -> socket.socket:
    """A socket that takes connections from now on.

    Args:
        host: Name or address.
        port: 0 for any that is free.
        connections: That may wait.

    Raises:
        FileProblem: The address cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        made = socket.socket(family, kind)
    except OSError as error:
        raise FileProblem(f"'{host}' is no address of this computer ({error.strerror}).") from error
    try:
        if port:  # a server that was just stopped leaves its port in waiting
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(connections)
    except OSError as error:
        made.close()
        raise FileProblem(
            f"Port {port} of {host} cannot be used ({error.strerror}).", remedy="Stop what uses it, or name another."
        ) from error
    return made


def run_site(
    site: Any,  # the two libraries write the type of an application apart
    listening: socket.socket,
    *,
    connections: int,
    certificate: Certificate | None = None,
    behind_proxy: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        site: The application.
        listening: Where.
        connections: Served at once; one more is told to come back later.
        certificate: For TLS; plain HTTP without.
        behind_proxy: A proxy on this computer says in `X-Forwarded-For` who asks: the last address that is not its own
            counts, as a client can put others before it.
    """
    # No log of its own: it would quote addresses, and with them what is secret in them.
    config = uvicorn.Config(
        site,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        proxy_headers=behind_proxy,
        forwarded_allow_ips=["127.0.0.1", "::1"],
        server_header=False,
        date_header=False,
        limit_concurrency=connections,
        timeout_keep_alive=WAIT_S,
        timeout_graceful_shutdown=WAIT_S,
        ssl_certfile=None if certificate is None else certificate.chain,
        ssl_keyfile=None if certificate is None else str(certificate.key),
    )
    uvicorn.Server(config).run(sockets=[listening])
