"""A real coordinator process that kills council nodes at the moment a stage's request is on its way to them.

Run as ``python -m tests.e2e.killing_coordinator SETTINGS READY_FILE ORDERS_FILE``. It is `coordinator serve` with the
`record` hook of its link, which sees every request just before its first byte is written. The orders file says which
stage's request is a council's last one::

    {"stage": "SHARES", "victims": {"E06000001": {"pid": 4711, "ledger": "…", "extract": "…", "when": "sent"}}}

`sent`: killed before a byte of the request leaves. `spent`: killed once its own ledger says that the charge is spent.
To make that moment last, its extract is many times as long for as long: the node is still reading it then.
"""

import json
import os
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator.serve import run_server
from coordinator.settings import load_settings
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind, LinkMessage

LONGEST_S = 60.0
LOOK_S = 0.01
LONG_BYTES = 24 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Victim:
    """One node to kill."""

    pid: int
    ledger: Path
    extract: Path
    when: str

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def kill_once_spent(self, sid: bytes, away: Path) -> None:
        """Wait for the ledger to say `spent`, kill, and put the extract back."""
        end = time.monotonic() + LONGEST_S
        while not spent(self.ledger, sid):
            if time.monotonic() > end:
                # Not killed: the test finds a node alive that should be dead, and fails.
                sys.stderr.write(f"process {self.pid} never spent its charge\n")
                return
            time.sleep(LOOK_S)
        self.kill()
        away.replace(self.extract)

    def lengthen(self) -> Path:
        """Put a file in the extract's place that takes a second to read: the same rows again and again."""
        away = self.extract.with_name(f"{self.extract.name}.away")
        self.extract.rename(away)
        content = away.read_bytes()
        _, end, rows = content.partition(b"\n")
        rows += b"" if rows.endswith(b"\n") else end
        self.extract.write_bytes(content + rows * (LONG_BYTES // len(rows)))
        return away


def spent(ledger: Path, sid: bytes) -> bool:
    """Whether the ledger's file says that a round's charge is spent; False also while its owner is writing."""
    try:
        connection = sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True, timeout=0)
        try:
            found = connection.execute(
                "SELECT count(*) FROM entry WHERE kind = 'spent' AND body LIKE ?", (f"%{sid.hex()}%",)
            ).fetchone()
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    return bool(found[0])


class Executioner:
    """Carries the orders out; its `record` is the link's hook."""

    def __init__(self, orders: Path) -> None:
        self._orders = orders
        self._read = ""
        self._stage = ""
        self._victims: dict[str, Victim] = {}

    def record(self, direction: str, council: CouncilId, content: bytes) -> None:
        if direction != "sent":
            return
        message = LinkMessage.decode(content)
        self._look()
        if message.kind.name != self._stage or council not in self._victims:
            return
        victim = self._victims.pop(council)
        if victim.when == "sent":
            victim.kill()
            return
        away = victim.lengthen()
        threading.Thread(target=victim.kill_once_spent, args=(message.reference, away), daemon=True).start()

    def _look(self) -> None:
        text = self._orders.read_text(encoding="utf-8") if self._orders.exists() else ""
        if text == self._read:
            return
        self._read = text
        orders: dict[str, Any] = json.loads(text)
        self._stage = Kind[orders["stage"]].name
        self._victims = {
            council: Victim(item["pid"], Path(item["ledger"]), Path(item["extract"]), item["when"])
            for council, item in orders["victims"].items()
        }


def main() -> None:
    settings, ready, orders = map(Path, sys.argv[1:])
    run_server(load_settings(settings), ready_file=ready, record=Executioner(orders).record)


if __name__ == "__main__":
    main()
