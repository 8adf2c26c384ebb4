"""A real coordinator process that writes down what crosses its link, for a test to hold the nodes' ledgers against.

Run as ``python -m tests.e2e.witnessing_coordinator SETTINGS READY_FILE NOTES_FILE``. It is `coordinator serve` with the
`record` hook of its link. Each line of the notes is the direction, the council, the kind of message, its reference and
the SHA-256 digest of the whole message.
"""

import hashlib
import os
import sys
from pathlib import Path

from coordinator.serve import run_server
from coordinator.settings import load_settings
from protocols.identifiers import CouncilId
from protocols.wire.link_message import LinkMessage


class Witness:
    """Appends a line for every message; its `record` is the link's hook."""

    def __init__(self, notes: Path) -> None:
        self._file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def record(self, direction: str, council: CouncilId, content: bytes) -> None:
        if direction not in {"sent", "received"}:
            return
        message = LinkMessage.decode(content)
        digest = hashlib.sha256(content).hexdigest()
        line = f"{direction} {council} {message.kind.name} {message.reference.hex()} {digest}\n"
        os.write(self._file, line.encode("ascii"))


def main() -> None:
    settings, ready, notes = map(Path, sys.argv[1:])
    run_server(load_settings(settings), ready_file=ready, record=Witness(notes).record)


if __name__ == "__main__":
    main()
