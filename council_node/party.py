"""What every party that connects to a coordinator has in common: settings of the same shape, and a name in sentences.

A council's node is one such party; the mask holder's program is another, and uses the modules of this package that ask
for no more than this.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from council_node.settings import Coordinator, Keys
from federated.trust import TrustSettings

__all__ = ["COUNCIL", "Party", "PartySettings"]


class PartySettings(Protocol):
    """The settings that every party has."""

    @property
    def coordinator(self) -> Coordinator:
        """How to reach the coordinator; lists of councils must name the same one."""

    @property
    def trust(self) -> TrustSettings:
        """The people whose signatures count."""

    @property
    def keys(self) -> Keys:
        """The party's own key."""

    @property
    def state(self) -> Path:
        """Folder for what the party keeps."""

    @property
    def agreements(self) -> Path:
        """Folder of the agreements that it accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """How sentences name a party.

    Attributes:
        noun: What it is, as in "This council has no list".
        program: What runs for it, as in "The node runs".
        command: How that is called at a terminal.
        tries: Command that tests its connection; empty where there is none.
    """

    noun: str
    program: str
    command: str
    tries: str = ""


COUNCIL: Final = Party(noun="council", program="node", command="council-node", tries="council-node check")
