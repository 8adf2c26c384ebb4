"""Who asks for a page, where a proxy on the same computer says so, and where there is none."""

import http.client
import subprocess
import sys
from contextlib import contextmanager

import pytest

SITE = """
import sys
from federated.pages.serving import listen, run_site

async def site(scope, receive, send):
    said = scope["client"][0].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})

listening = listen("127.0.0.1", 0, connections=8)
print(listening.getsockname()[1], flush=True)
run_site(site, listening, connections=8, behind_proxy=sys.argv[1] == "proxied")
"""


@contextmanager
def running(kind):
    with subprocess.Popen([sys.executable, "-c", SITE, kind], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def ports():
    with running("proxied") as proxied, running("alone") as alone:
        yield {"proxied": proxied, "alone": alone}


def seen(port, *forwarded):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("GET", "/")
    for value in forwarded:
        connection.putheader("X-Forwarded-For", value)
    connection.endheaders()
    found = connection.getresponse().read().decode()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),  # the first is what the client claims
        ("127.0.0.1, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 127.0.0.1", "198.51.100.7"),  # a second proxy of this computer
    ],
)
def test_behind_a_proxy_the_last_address_that_is_not_the_proxys_counts(ports, forwarded, address):
    assert seen(ports["proxied"], forwarded) == address
    assert seen(ports["alone"], forwarded) == "127.0.0.1"


def test_without_what_the_proxy_says_it_is_the_proxy(ports):
    assert seen(ports["proxied"]) == "127.0.0.1"


def test_a_clients_own_header_beside_the_proxys_does_not_count(ports):
    """Some proxies add a line of their own, after the client's, and do not join the two."""
    assert seen(ports["proxied"], "203.0.113.9", "198.51.100.7") == "198.51.100.7"
