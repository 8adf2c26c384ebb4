"""How long a node waits before it tries again, and what it says went wrong."""

import grpc
import pytest

from council_node.link import wait_s
from council_node.link_channel import LinkSettings, explain

SETTINGS = LinkSettings(address="host.example:443", first_wait_s=1.0, longest_wait_s=60.0)


def test_waits_double_up_to_the_cap() -> None:
    longest = [wait_s(failures, SETTINGS, lambda size: b"\xff" * size) for failures in range(1, 10)]
    assert longest == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60], rel=1e-4)
    assert wait_s(10**9, SETTINGS, lambda size: b"\xff" * size) == pytest.approx(60, rel=1e-4)


def test_the_random_part_spreads_over_the_upper_half() -> None:
    waits = [wait_s(3, SETTINGS, lambda size, high=high: bytes([high]) + bytes(size - 1)) for high in range(256)]
    assert min(waits) == 2.0
    assert 3.98 < max(waits) < 4.0
    assert len(set(waits)) == 256


def _error(code: grpc.StatusCode, details: str | None) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize(
    ("details", "sentence"),
    [
        ("errors resolving host.example:443: [field:hostname lookup error]", "could not be found"),
        ("Ssl: certificate is not yet valid", "clock may be slow"),
        (
            "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate",
            "public certificate authorities (no ca_file is set)",
        ),
        ("Tls handshake failed", "No TLS connection could be agreed"),
        ("Socket closed", "was cut"),
        ("recvmsg: Connection reset by peer", "was cut"),
        ("something\nnew", "failed: something new."),
        (None, "no reason was given"),
    ],
)
def test_failures_are_told_in_plain_words(details, sentence) -> None:
    told = explain(_error(grpc.StatusCode.UNAVAILABLE, details), SETTINGS).diagnostics()
    assert sentence in told
    assert "host.example:443" in told
    assert "{" not in told


def test_a_refusal_keeps_the_coordinators_sentence() -> None:
    told = explain(_error(grpc.StatusCode.PERMISSION_DENIED, "X is not in the roster"), SETTINGS)
    assert str(told) == "The coordinator at host.example:443 ended the link: X is not in the roster."


def test_a_proxy_password_is_in_no_repr() -> None:
    assert "hunter2" not in repr(LinkSettings(address="h:1", proxy="http://me:hunter2@proxy:8080"))


@pytest.mark.parametrize(
    ("address", "server_name", "name"),
    [("host:1", None, "host"), ("[::1]:443", None, "::1"), ("10.0.0.1:443", "host.example", "host.example")],
)
def test_the_name_verified_is_the_host_unless_set(address, server_name, name) -> None:
    assert LinkSettings(address=address, server_name=server_name).verified_name == name
