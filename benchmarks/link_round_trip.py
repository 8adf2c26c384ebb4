"""Round trips of one exchange over the gRPC link: every council's node in this process, TLS on loopback.

Run: ``python -m benchmarks.link_round_trip``. Both ends share one event loop and one core, so a figure is the work of
coordinator and nodes together; the bare line is the same bytes through asyncio's own TLS, one connection for each
council, without gRPC.
"""

import asyncio
import os
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.grpc_link import GrpcLink
from coordinator.grpc_server import serving
from coordinator.tls import issue_certificate, make_authority
from council_node.link import LinkIdentity, NodeLink
from council_node.link_channel import NO_PROXY, LinkSettings
from protocols.identifiers import CouncilId

COUNCILS = 50
SIZES = (1_000, 8_000, 800_000)
REPEATS = 40
WARM_UP = 5

Trip = Callable[[bytes], Awaitable[None]]


async def measure(trip: Trip, size: int) -> list[float]:
    payload = os.urandom(size)
    repeats = REPEATS if size < 100_000 else REPEATS // 8
    samples = []
    for number in range(WARM_UP + repeats):
        started = time.perf_counter()
        await trip(payload)
        if number >= WARM_UP:
            samples.append((time.perf_counter() - started) * 1000)
    return samples


def show(name: str, size: int, samples: list[float]) -> None:
    median, worst = statistics.median(samples), max(samples)
    print(f"{name:12} {COUNCILS} councils, {size:>7,} bytes each way: median {median:7.1f} ms, worst {worst:7.1f} ms")


async def over_the_link(folder: Path) -> None:
    now = datetime.now(UTC)
    authority = make_authority("Benchmark", now=now)
    certificate = issue_certificate(authority, ["127.0.0.1"], now=now)
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(authority.certificate_pem)
    keys = {CouncilId(f"E0600{number:04d}"): Ed25519PrivateKey.generate() for number in range(COUNCILS)}
    roster = {council: key.public_key().public_bytes_raw() for council, key in keys.items()}
    link = GrpcLink(
        coordinator_id="benchmark", server_names=certificate.names, identities=lambda: roster, rng=os.urandom
    )
    stop = asyncio.Event()
    async with serving("127.0.0.1:0", certificate, link) as port:
        settings = LinkSettings(address=f"127.0.0.1:{port}", ca_file=ca_file, proxy=NO_PROXY)
        nodes = [
            asyncio.create_task(
                NodeLink(
                    settings,
                    LinkIdentity(council=council, coordinator_id="benchmark", sign=key.sign),
                    lambda request: request,
                    rng=os.urandom,
                    on_event=lambda *_: None,
                ).run(stop)
            )
            for council, key in keys.items()
        ]
        started = time.perf_counter()
        while len(link.connected()) < COUNCILS:  # noqa: ASYNC110 - the link sets no event for a test to wait on
            await asyncio.sleep(0.005)
        print(f"{'link':12} {COUNCILS} councils connected and proven in {time.perf_counter() - started:.2f} s")

        async def trip(payload: bytes) -> None:
            replies = [reply async for reply in link.exchange(dict.fromkeys(keys, payload), timeout_s=60)]
            if len(replies) != COUNCILS:
                raise SystemExit(f"only {len(replies)} of {COUNCILS} councils answered")

        for size in SIZES:
            show("link", size, await measure(trip, size))
        stop.set()
        await asyncio.gather(*nodes)


async def over_bare_tls(folder: Path) -> None:
    now = datetime.now(UTC)
    authority = make_authority("Benchmark", now=now)
    certificate = issue_certificate(authority, ["127.0.0.1"], now=now)
    (folder / "key.pem").write_bytes(certificate.key_pem)
    (folder / "chain.pem").write_bytes(certificate.chain_pem)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    node_side = ssl.create_default_context(cadata=authority.certificate_pem.decode())

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while size := await reader.read(8):
            writer.write(size + await reader.readexactly(int.from_bytes(size, "big")))
            await writer.drain()
        writer.close()

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_side))
        port = server.sockets[0].getsockname()[1]
        lines = [await asyncio.open_connection("127.0.0.1", port, ssl=node_side) for _ in range(COUNCILS)]

        async def trip(payload: bytes) -> None:
            async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(len(payload).to_bytes(8, "big") + payload)
                await reader.readexactly(8 + len(payload))

            await asyncio.gather(*(one(*line) for line in lines))

        for size in SIZES:
            show("bare TLS", size, await measure(trip, size))
        for _, writer in lines:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.2)  # the other ends close


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(over_the_link(Path(folder)))
        asyncio.run(over_bare_tls(Path(folder)))


if __name__ == "__main__":
    main()
