"""The coordinator's note of who is connected: a file beside its database, for the commands and pages that ask."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from federated.errors import FederatedError
from federated.timestamps import parse_time, time_text
from protocols.identifiers import CouncilId

__all__ = ["CONNECTIONS_FILE", "Connections", "ConnectionsNote", "replace_text"]

CONNECTIONS_FILE: Final = "connections.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Who is connected by the coordinator's own note, and since when others are not.

    Attributes:
        connected: Councils.
        holders: Mask holders that are connected.
        seen: Council or mask holder → when it was last connected, as text.
        software: Council or mask holder → version of its program, as it said when it last connected.
    """

    connected: frozenset[str]
    holders: frozenset[str]
    seen: dict[str, str]
    software: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Connections":
        """From the file that `coordinator serve` keeps; nobody when there is none."""
        try:
            document = json.loads((folder / CONNECTIONS_FILE).read_bytes())
            seen = {str(council): time_text(parse_time(at)) for council, at in document.get("seen", {}).items()}
            software = {str(council): str(said) for council, said in document.get("software", {}).items()}
            connected = frozenset(str(council) for council in document["connected"])
            holders = frozenset(str(holder) for holder in document.get("holders", ()))
            return cls(connected=connected, holders=holders, seen=seen, software=software)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, FederatedError):
            return cls(connected=frozenset(), holders=frozenset(), seen={}, software={})


class ConnectionsNote:
    """Keeps the note. Used by the running coordinator alone.

    Args:
        folder: The state folder.
    """

    def __init__(self, folder: Path) -> None:
        before = Connections.read(folder)
        self._folder = folder
        self._seen = before.seen
        self._software = before.software
        self._told: tuple[frozenset[CouncilId], frozenset[CouncilId], dict[str, str]] | None = None

    def heard(self, party: str, software: str) -> None:
        """Somebody connected, with a program of that version."""
        self._software[party] = software

    def tell(self, here: frozenset[CouncilId], councils: Mapping[CouncilId, bytes], now: datetime) -> None:
        """Write down who is here, if that has changed.

        Args:
            here: Who is connected.
            councils: The councils of the list in force; whoever is here and none of them is a mask holder.
            now: Time, UTC.
        """
        connected = here & councils.keys()
        told = (connected, here - connected, dict(self._software))
        if told == self._told:
            return
        gone = (self._told[0] | self._told[1] if self._told else frozenset()) - here
        self._seen |= dict.fromkeys(gone | here, time_text(now))
        self._told = told
        document = {
            "version": 1,
            "connected": sorted(connected),
            "holders": sorted(here - connected),
            "seen": self._seen,
            "software": self._software,
        }
        replace_text(self._folder / CONNECTIONS_FILE, json.dumps(document) + "\n")


def replace_text(path: Path, content: str) -> None:
    """Write a file in one step, so that whoever reads it never sees half of it."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(content, encoding="utf-8")
    beside.replace(path)
