"""Bytes that a council and the centre exchange for one query: TCP content, whatever runs above it."""

import re
import socket
import subprocess
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["Relay", "bytes_of", "relay_to"]

BLOCK: Final = 1 << 16
BACKLOG: Final = 256


def bytes_of(port: int, processes: Collection[int]) -> int:
    """Bytes sent and received so far by these processes over their connections to a port, as the kernel counts them."""
    shown = subprocess.run(["ss", "-tinpOH", f"dport = :{port}"], check=True, capture_output=True, text=True).stdout
    return sum(
        int(count)
        for line in shown.splitlines()
        if any(f"pid={process}," in line for process in processes)
        for count in re.findall(r"bytes_(?:sent|received):(\d+)", line)
    )


class Relay:
    """Passes connections on to a port and counts what passes, short connections too."""

    def __init__(self) -> None:
        """Listen on a port of the loopback address; nothing is passed on before `target` is set."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.target = 0
        self.passed = 0

    def start(self) -> None:
        """Pass on, from now until :meth:`close`."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(BLOCK):
                with self._lock:
                    self.passed += len(content)
                sink.sendall(content)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def relay_to(note: Path) -> Iterator[Relay]:
    """A relay for a program that leaves its port in a file and waits for the relay's in `NOTE.up`."""
    relay, stop = Relay(), threading.Event()

    def wait() -> None:
        while not stop.wait(0.05):
            if note.exists() and (port := note.read_text(encoding="utf-8")):
                relay.target = int(port)
                relay.start()
                note.with_suffix(".up").write_text(str(relay.port), encoding="utf-8")
                return

    waiter = threading.Thread(target=wait)
    waiter.start()
    try:
        yield relay
    finally:
        stop.set()
        waiter.join()
        relay.close()
