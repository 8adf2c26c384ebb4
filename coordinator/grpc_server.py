"""The coordinator's one gRPC server, always over TLS, with whatever services are attached."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import grpc

from coordinator.tls import ServerCertificate, server_credentials
from federated.errors import TransportError

__all__ = ["Service", "serving"]

_GRACE_S: Final = 2.0
_STREAMS_MAX: Final = 4096

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 1024 * 1024),  # a frame has 256 KiB; a plan with its manifest fits too
    # gRPC would otherwise widen its windows and take in whole replies that coordinator/intake.py holds back: measured
    # with 60 replies of 8 MB, 410 to 530 MiB instead of 120 to 150.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),  # 8 MB/s for each council at a round trip of 30 ms
    ("grpc.http2.min_ping_interval_without_data_ms", 900),  # nodes ping every 20 s; gRPC's own is 5 minutes
    ("grpc.so_reuseport", 0),  # a second coordinator on this port is a mistake, not a way to share the load
)


class Service(Protocol):
    """Something to serve: the council link, enrolment, the analysts' service."""

    def attach(self, server: grpc.aio.Server) -> None:
        """Add itself to a server that has not started."""
        ...

    async def close(self) -> None:
        """End what is open, as the server is about to stop."""
        ...


@asynccontextmanager
async def serving(
    address: str,
    certificate: ServerCertificate,
    *services: Service,
    keepalive_s: float = 30.0,
    dead_after_s: float = 15.0,
) -> AsyncIterator[int]:
    """Serve while the block runs.

    Args:
        address: ``host:port``; port 0 takes a free one.
        certificate: What to show.
        *services: What to serve.
        keepalive_s: Seconds without traffic after which a client is pinged.
        dead_after_s: Seconds without an answer to a ping after which the line counts as dead.

    Yields:
        The port.

    Raises:
        TransportError: The address is in use, or is not this machine's.
    """
    options = (
        *_OPTIONS,
        ("grpc.keepalive_time_ms", int(keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", int(dead_after_s * 1000)),
        ("grpc.http2.ping_timeout_ms", int(dead_after_s * 1000)),  # measured: without it, a minute
    )
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_STREAMS_MAX)
    for service in services:
        service.attach(server)
    port = _bind(server, address, certificate)
    await server.start()
    try:
        yield port
    finally:
        for service in services:
            await service.close()
        await server.stop(_GRACE_S)


def _bind(server: grpc.aio.Server, address: str, certificate: ServerCertificate) -> int:
    try:
        port = server.add_secure_port(address, server_credentials(certificate))
    except RuntimeError as problem:
        raise _cannot_listen(address) from problem
    if port == 0:
        raise _cannot_listen(address)
    return port


def _cannot_listen(address: str) -> TransportError:
    return TransportError(
        f"The coordinator cannot listen on {address}.",
        remedy="Check that the address is this machine's and that no other program uses the port.",
    )
