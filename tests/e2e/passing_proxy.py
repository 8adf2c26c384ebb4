"""A web proxy as councils have them: passes a connection on once it is asked to (CONNECT), and knows nothing of it.

Run as ``python -m tests.e2e.passing_proxy PORT``. To stall it, stop the process; to cut it, kill the process.
"""

import asyncio
import contextlib
import sys


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    writer.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
        method, place, _version = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode("ascii").split()
        host, _, port = place.rpartition(":")
        if method == "CONNECT":
            onward_reader, onward_writer = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(pass_on(reader, onward_writer), pass_on(onward_reader, writer))
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "0.0.0.0", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
