"""The newest list of councils that this council accepted, as it is kept: believed, or only remembered.

When a person who signs lists is taken off the settings, a list that rests on their signature is believed no longer.
It still says which lists are old: forgetting it would let somebody with a stolen key bring an old one back.
"""

from dataclasses import dataclass
from typing import Final

from council_node.node_store import DocumentKind, NodeStore
from federated.errors import SignatureProblem
from federated.roster import ROSTER_TYPE, Roster, open_roster, parse_roster
from federated.signing import unsafe_payload
from federated.trust import TrustSettings
from protocols.identifiers import Digest

__all__ = ["CURRENT", "StoredRoster", "stored_roster"]

CURRENT: Final = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRoster:
    """A list that was accepted here.

    Attributes:
        roster: Its content.
        problem: Why it is believed no longer; None while the pinned people signed it.
    """

    roster: Roster
    problem: SignatureProblem | None = None

    @property
    def known(self) -> tuple[int, Digest]:
        """Epoch and digest, below which no other list is taken."""
        return self.roster.epoch, self.roster.digest

    def believed(self) -> Roster:
        """The list.

        Raises:
            SignatureProblem: It is believed no longer.
        """
        if self.problem is not None:
            raise self.problem
        return self.roster


def stored_roster(store: NodeStore, trust: TrustSettings) -> StoredRoster | None:
    """Read the list kept by this node; None before the first."""
    document = store.latest(DocumentKind.ROSTER, CURRENT)
    if document is None:
        return None
    try:
        # Opened as of the day it was stored: an expired list still fixes which epochs are old.
        return StoredRoster(roster=open_roster(document.body, trust, document.saved_at, None))
    except SignatureProblem as problem:
        return StoredRoster(roster=parse_roster(unsafe_payload(document.body, ROSTER_TYPE)), problem=problem)
