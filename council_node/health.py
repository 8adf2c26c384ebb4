"""Whether this node is well: it notes its contact with the coordinator, and `council-node health` reads the note.

A node listens on no port, so nothing can ask it. It writes one small file instead, again and again while its loop
turns; a node that hangs stops writing, and that shows too.
"""

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from council_node.party import COUNCIL, Party, PartySettings
from federated.errors import FileProblem, TransportError
from federated.timestamps import time_text

__all__ = ["BEAT_S", "Contact", "Heartbeat", "check_health", "health_file"]

VERSION: Final = 1
FILE: Final = "contact.json"
BEAT_S: Final = 15.0
"""Seconds between two notes."""
STALE: Final = timedelta(seconds=4 * BEAT_S)
"""A note older than this was left by a node that has stopped or hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What the note says.

    Attributes:
        at: When it was written, UTC.
        connected: Whether the node was connected then.
        last: When it was last connected; None when it never was since it started.
    """

    at: datetime
    connected: bool
    last: datetime | None

    def encode(self) -> bytes:
        """The note as a file."""
        last = None if self.last is None else time_text(self.last)
        note = {"version": VERSION, "at": time_text(self.at), "connected": self.connected, "last": last}
        return json.dumps(note).encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes) -> "Contact":
        """Read a note.

        Raises:
            ValueError: It is none; also `KeyError`, `TypeError`, `OverflowError` and `RecursionError`.
        """
        note = json.loads(content)
        if not isinstance(note, dict) or note.get("version") != VERSION:
            raise ValueError("not a note of version 1")
        last = note["last"]
        return cls(
            at=datetime.fromisoformat(note["at"]).astimezone(UTC),
            connected=bool(note["connected"]),
            last=None if last is None else datetime.fromisoformat(last).astimezone(UTC),
        )


def health_file(settings: PartySettings) -> Path:
    """Where a node notes its contact: beside its ledger, the one folder it may write to."""
    return settings.state / FILE


class Heartbeat:
    """Writes the note. Used by the running node alone.

    Args:
        file: Where.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._contact: Contact | None = None

    def heard(self, event: str, now: datetime) -> None:
        """Take notice of the link's events."""
        if event in {"link_up", "link_down", "link_stopped"}:
            self.beat(now, connected=event == "link_up")

    def beat(self, now: datetime, *, connected: bool | None = None) -> None:
        """Write the note; a disk that is full is no reason to stop.

        Args:
            now: Time, UTC.
            connected: Whether the link is up; None when nothing has changed.
        """
        before = self._contact or Contact(at=now, connected=False, last=None)
        up = before.connected if connected is None else connected
        # A link that was up until now was contact until now.
        last = now if up or before.connected else before.last
        self._contact = replace(before, at=now, connected=up, last=last)
        beside = self._file.with_suffix(".new")
        try:
            beside.write_bytes(self._contact.encode())
            os.replace(beside, self._file)  # noqa: PTH105 - replaces in one step on every system
        except OSError:
            return


def check_health(file: Path, now: datetime, *, patience: timedelta, party: Party = COUNCIL) -> Contact:
    """Read the note and judge it.

    Args:
        file: The note.
        now: Time, UTC.
        patience: Longest time without contact that is still well; a coordinator may be restarted.
        party: Whose program it is, in sentences.

    Returns:
        The note.

    Raises:
        FileProblem: The node has not run here, or has stopped, or hangs.
        TransportError: It runs but has had no contact for longer than `patience`.
    """
    try:
        found = Contact.decode(file.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise FileProblem(
            f"The {party.program} has not run with these settings.", remedy=f"Start `{party.command} run`."
        ) from error
    if now - found.at > STALE:
        raise FileProblem(
            f"The {party.program} last showed a sign of life at {time_text(found.at)}: it has stopped, or it hangs.",
            remedy="Look at the end of its log, then restart it.",
        )
    if not found.connected and (found.last is None or now - found.last > patience):
        since = "since it started" if found.last is None else f"since {time_text(found.last)}"
        raise TransportError(
            f"The {party.program} runs, but has had no contact with the coordinator {since}.",
            remedy="The log's `link_down` lines say why"
            + (f"; `{party.tries}` tests the connection." if party.tries else "."),
        )
    return found
