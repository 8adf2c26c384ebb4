"""Reaching the coordinator: address, certificate authority, proxy, and what went wrong in plain words.

The node only ever connects outward, to one host name and port, over TLS 1.2 or later. Proxies: gRPC goes through an
HTTP proxy by the CONNECT method, taking it from ``grpc_proxy``, ``https_proxy`` or ``http_proxy`` (first that is set)
and the exceptions from ``no_grpc_proxy`` or ``no_proxy``; the setting ``proxy`` overrides the first three. A proxy that
opens TLS to look inside works only if the council's ``ca_file`` holds the proxy's authority, and then sees what the
link carries.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509

from federated.errors import FileProblem, TransportError
from protocols.wire.chunks import CHUNK_BYTES
from protocols.wire.link_message import MESSAGE_LIMIT

__all__ = ["NO_PROXY", "LinkSettings", "explain", "open_channel"]

NO_PROXY: Final = "direct"
"""Value of ``proxy`` that goes past any proxy of the environment."""

_FRAME_ROOM: Final = 4096
_AHEAD_BYTES: Final = 256 * 1024
_PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How this node reaches the coordinator.

    Attributes:
        address: ``host:port``; an IPv6 address stands in square brackets.
        ca_file: PEM bundle of the authorities trusted for the coordinator; None trusts the public ones.
        server_name: Name the certificate must be for, where it is not the host of ``address``.
        proxy: ``http://[user:password@]host:port``, :data:`NO_PROXY`, or None for the environment's.
        message_limit: Most bytes of one request or reply.
        first_wait_s: Longest wait before the second attempt, in seconds; doubles up to ``longest_wait_s``.
        longest_wait_s: The cap, in seconds.
        steady_s: A connection that lasted this long starts the waits afresh, in seconds.
        open_s: Longest time to connect and prove the key, in seconds.
        grace_s: On stopping, longest wait for the answer under way, in seconds.
        keepalive_s: Seconds without traffic after which the coordinator is pinged; a firewall forgets an idle
            connection, and a dead line says nothing by itself.
        dead_after_s: Seconds without an answer to a ping after which the line counts as dead.
    """

    address: str
    ca_file: Path | None = None
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)  # may hold a password
    message_limit: int = MESSAGE_LIMIT
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    steady_s: float = 10.0
    open_s: float = 30.0
    grace_s: float = 10.0
    keepalive_s: float = 20.0
    dead_after_s: float = 15.0

    @property
    def verified_name(self) -> str:
        """The name the coordinator's certificate is verified against."""
        if self.server_name is not None:
            return self.server_name
        return _split(self.address)[0]


def open_channel(settings: LinkSettings) -> grpc.aio.Channel:
    """A TLS channel; it connects when first used.

    Raises:
        FileProblem: The address has no port, or ``ca_file`` is missing or holds no certificate.
    """
    _split(settings.address)
    credentials = grpc.ssl_channel_credentials(_roots(settings.ca_file))
    return grpc.aio.secure_channel(settings.address, credentials, options=_options(settings))


def _options(settings: LinkSettings) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", CHUNK_BYTES + _FRAME_ROOM),
        ("grpc.http2.bdp_probe", 0),  # windows stay small, so that what we do not read stays with the coordinator
        ("grpc.http2.lookahead_bytes", _AHEAD_BYTES),
        ("grpc.keepalive_time_ms", int(settings.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", int(settings.dead_after_s * 1000)),
        ("grpc.http2.ping_timeout_ms", int(settings.dead_after_s * 1000)),  # measured: without it, a minute
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.enable_retries", 0),  # the node's own waits decide
        ("grpc.service_config_disable_resolution", 1),  # no DNS TXT look-ups from a council's network
    ]
    if settings.server_name is not None:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
    if settings.proxy == NO_PROXY:
        options.append(("grpc.enable_http_proxy", 0))
    elif settings.proxy is not None:
        options.append(("grpc.http_proxy", settings.proxy))
    return options


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _PORT_MAX:
        raise FileProblem(
            f"The coordinator's address is {address!r}; host:port was expected.",
            remedy="Write it as in federation.example.gov.uk:443.",
        )
    return host, int(port)


def _roots(ca_file: Path | None) -> bytes | None:
    if ca_file is None:
        return None
    try:
        content = ca_file.read_bytes()
        x509.load_pem_x509_certificates(content)
    except OSError as problem:
        raise FileProblem(
            f"The certificate authority file {ca_file} cannot be read: {problem.strerror}.",
            remedy="Check its path and permissions.",
        ) from problem
    except ValueError as problem:
        raise FileProblem(
            f"The certificate authority file {ca_file} holds no certificate in PEM form.",
            remedy="Use the file the coordinator's operator gave you, or the one your organisation uses.",
        ) from problem
    return content


def explain(problem: grpc.aio.AioRpcError, settings: LinkSettings) -> TransportError:
    """Say in plain words why a call failed; the coordinator's own sentences are passed on.

    Args:
        problem: What gRPC raised; for connections its details hold the TLS library's words, matched here.
        settings: For the names in the sentence.
    """
    details = problem.details() or ""
    for words, sentence, remedy in _CAUSES:
        if words in details:
            return _error(sentence, remedy, settings)
    if problem.code() in _REFUSALS:
        return _error("The coordinator at {address} ended the link: " + _plain(details), "", settings)
    return _error("The link to {address} failed: " + _plain(details), "The node will try again.", settings)


def _error(sentence: str, remedy: str, settings: LinkSettings) -> TransportError:
    replace = {
        "{address}": settings.address,
        "{name}": settings.verified_name,
        "{ca}": f"the certificate authority file {settings.ca_file}"
        if settings.ca_file
        else "the public certificate authorities (no ca_file is set)",
    }
    for mark, text in replace.items():
        sentence, remedy = sentence.replace(mark, text), remedy.replace(mark, text)
    return TransportError(sentence, remedy=remedy)


def _plain(details: str) -> str:
    text = " ".join(details.split()) or "no reason was given"
    return text if text.endswith(".") else text + "."


_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)

_CAUSES: Final = (
    (
        "Hostname Verification Check failed",
        "The certificate shown at {address} is not for the name {name}.",
        "Set server_name to a name the certificate is for, or correct the address.",
    ),
    (
        "certificate has expired",
        "The certificate shown at {address} has expired, or this machine's clock is wrong.",
        "Check the clock; then ask the coordinator's operator to renew the certificate.",
    ),
    (
        "certificate is not yet valid",
        "The certificate shown at {address} is not valid yet: this machine's clock may be slow.",
        "Check the clock.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "The certificate shown at {address} was not issued by an authority in {ca}.",
        "Install the coordinator's CA certificate, or your proxy's if it inspects TLS; do not turn checking off.",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "What listens at {address} does not speak TLS.",
        "Check host, port and proxy.",
    ),
    (
        "Tls handshake failed",
        "No TLS connection could be agreed with {address}.",
        "Check host, port and proxy; the coordinator needs TLS 1.2 or later.",
    ),
    (
        "Connection refused",
        "Nothing listens at {address}, or a firewall or proxy refused the connection.",
        "Check that the coordinator runs and that this machine may open outbound connections to it.",
    ),
    (
        "resolving",
        "The host name of {address} could not be found.",
        "Check its spelling and this machine's name server.",
    ),
    (
        "ping timeout",
        "The line to {address} went dead: nothing came back.",
        "The node connects again by itself; if this recurs, ask whether a firewall cuts idle connections.",
    ),
    (
        "Socket closed",
        "The connection to {address} was cut.",
        "The node connects again by itself.",
    ),
    (
        "Connection reset",
        "The connection to {address} was cut.",
        "The node connects again by itself.",
    ),
    (
        "HTTP proxy returned response code",
        "The proxy would not open a connection to {address}.",
        "Check the proxy setting and its password, and ask for the host and port to be allowed.",
    ),
)
