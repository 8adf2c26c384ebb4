"""Many readers of the console at once: the real process, and connections that each ask for one page after another."""

import asyncio
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import yaml

from tests.integration.console_world import ConsoleWorld

__all__ = ["Reading", "console_process", "read_at_once"]

CONSOLE = "from coordinator.cli import main; main()"
START_S = 60.0
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one request came to.

    Attributes:
        status: Of the reply; 0 when there was none.
        seconds: From the request's first byte to the reply's last.
        fault: Why there was no whole reply.
    """

    path: str
    status: int
    seconds: float
    fault: str = ""

    @property
    def ok(self) -> bool:
        """Whether a whole page came."""
        return self.status == 200 and not self.fault


@contextmanager
def console_process(world: ConsoleWorld, folder: Path, **console: object) -> Iterator[int]:
    """`coordinator console` over TLS on this world's database; gives its port."""
    settings = world.federation.settings
    kept = settings.model_dump(mode="json", exclude={"stages", "proposals", "rounds"})
    document = kept | {"console": {"listen": {"host": "127.0.0.1", "port": 0}, **console}}
    path = folder / "console.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    log = folder / "console.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", CONSOLE, "console", "--settings", str(path)], stdout=output, stderr=output
        )
    try:
        yield _port(process, log)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        found = re.search(r"console ready on https://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
        if found:
            return int(found[1])
        assert process.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.05)
    raise AssertionError("the console is not ready")


def read_at_once(
    port: int, paths: Sequence[str], *, readers: int, pages: int, headers: Mapping[str, str] | None = None
) -> list[Reading]:
    """Have so many readers ask for so many pages each, every one on one connection; none asks before all are connected."""
    return asyncio.run(_read_at_once(port, paths, readers=readers, pages=pages, headers=headers or {}))


async def _read_at_once(
    port: int, paths: Sequence[str], *, readers: int, pages: int, headers: Mapping[str, str]
) -> list[Reading]:
    together = asyncio.Barrier(readers)
    wanted = cycle(paths)
    work = [_reader(port, tuple(islice(wanted, pages)), together, headers) for _ in range(readers)]
    return [reading for found in await asyncio.gather(*work) for reading in found]


async def _reader(
    port: int, paths: Sequence[str], together: asyncio.Barrier, headers: Mapping[str, str]
) -> list[Reading]:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE  # who it is does not matter here
    found: list[Reading] = []
    began, path = time.perf_counter(), "connection"
    try:
        async with asyncio.timeout(PATIENCE_S):
            opened = asyncio.open_connection("127.0.0.1", port, ssl=trusting, ssl_handshake_timeout=PATIENCE_S)
            source, sink = await opened
            await together.wait()
        for path in paths:
            began = time.perf_counter()
            async with asyncio.timeout(PATIENCE_S):
                found.append(await _ask(source, sink, port, path, headers))
        sink.close()
    except (OSError, TimeoutError, asyncio.BrokenBarrierError, asyncio.IncompleteReadError) as error:
        found.append(Reading(path=path, status=0, seconds=time.perf_counter() - began, fault=repr(error)))
        await together.abort()  # nobody waits for one that never came
    return found


async def _ask(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, port: int, path: str, headers: Mapping[str, str]
) -> Reading:
    began = time.perf_counter()
    lines = (f"{name}: {value}\r\n" for name, value in ({"host": f"127.0.0.1:{port}"} | dict(headers)).items())
    sink.write(f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
    await sink.drain()
    head = (await source.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = int(head.split(" ", 2)[1])
    length = re.search(r"^content-length: (\d+)", head, re.MULTILINE | re.IGNORECASE)
    body = await source.readexactly(int(length[1])) if length else b""
    fault = "" if body.rstrip().endswith(b"</html>") else "the page has no end"
    return Reading(path=path, status=status, seconds=time.perf_counter() - began, fault=fault)
