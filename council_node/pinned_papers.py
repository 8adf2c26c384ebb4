"""The signed papers that a party pinned: the list of councils and the agreements it accepted, each believed or not.

A council's node holds every request against them, and so does the mask holder. Nothing that a coordinator sends takes
their place unless the pinned people signed it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from council_node.node_store import DocumentKind, NodeStore
from council_node.party import COUNCIL, Party, PartySettings
from council_node.pinned_file import PinnedFiles
from council_node.stored_roster import CURRENT, StoredRoster, stored_roster
from federated.agreement import Agreement, open_agreement, open_signatures
from federated.errors import PolicyRefusal, SignatureProblem
from federated.roster import Roster, RosterAlarm, describe_changes, open_roster
from federated.schema import Schema

__all__ = ["AGREEMENT_SUFFIX", "PinnedPapers"]

AGREEMENT_SUFFIX: Final = ".dsse"

Log = Callable[[str, Mapping[str, str | int]], None]
"""Writes one event: its name and fields that hold no case value."""


class PinnedPapers:
    """One party's list of councils and agreements.

    Args:
        settings: Whom it believes, and where it keeps what it accepted.
        store: Keeps the list of councils.
        schema: The data dictionary, which agreements are held against.
        clock: Gives the time, UTC.
        log: Takes events.
        party: Who it is, in sentences.
    """

    def __init__(
        self,
        settings: PartySettings,
        store: NodeStore,
        *,
        schema: Schema,
        clock: Callable[[], datetime],
        log: Log,
        party: Party = COUNCIL,
    ) -> None:
        self._settings = settings
        self._store = store
        self._schema = schema
        self._now = clock
        self._log = log
        self._party = party
        self._roster: StoredRoster | None = self._stored_roster()
        self._agreements = PinnedFiles(self._open_agreement)
        self._tell_of_agreements()

    def roster(self, now: datetime) -> Roster:
        """The list of councils that this party pinned, if it is in force.

        Raises:
            PolicyRefusal: `roster`: there is none yet, or the people who signed it are believed no longer; or it has
                expired.
        """
        if self._roster is None:
            raise PolicyRefusal("roster", f"This {self._party.noun} has no list of councils yet.")
        if self._roster.problem is not None:
            raise PolicyRefusal(
                "roster",
                f"The list of councils that this {self._party.noun} has was signed by people whom it trusts no longer.",
                remedy="Publish a list that the people it trusts have signed.",
            )
        self._roster.roster.check_in_force(now)
        return self._roster.roster

    def accept_roster(self, envelope: bytes) -> int:
        """Take a newer roster: signed by two pinned people, never an older epoch. What changed is logged and kept.

        Returns:
            The epoch in force.

        Raises:
            SignatureProblem: Not signed by the pinned people.
            PolicyRefusal: Older than the one in force, or not valid now.
        """
        old = self._roster
        now = self._now()
        try:
            new = open_roster(envelope, self._settings.trust, now, None if old is None else old.known)
        except RosterAlarm as alarm:
            # Told to people here, not only to the coordinator, which may be the one that sent two lists.
            self._log(alarm.code, {"reason": alarm.diagnostics()})
            raise
        if new.coordinator_id != self._settings.coordinator.id:
            raise PolicyRefusal(
                "roster",
                f"The list of councils names the coordinator '{new.coordinator_id}', not the one of these settings.",
                remedy="Ask the people who sign the list; if it is right, change coordinator.id in the settings.",
            )
        if old is None or old.problem is not None or new.digest != old.roster.digest:
            self._store.put(DocumentKind.ROSTER, CURRENT, envelope, now)
            self._roster = StoredRoster(roster=new)
            for sentence in describe_changes(None if old is None else old.roster, new):
                self._log("roster_changed", {"epoch": new.epoch, "change": sentence})
        return new.epoch

    def _stored_roster(self) -> StoredRoster | None:
        kept = stored_roster(self._store, self._settings.trust)
        if kept is not None and kept.problem is not None:
            self._log("roster_set_aside", {"epoch": kept.roster.epoch, "reason": kept.problem.diagnostics()})
        return kept

    def agreement(self, name: str, now: datetime) -> Agreement:
        """The agreement of that id that this party accepted.

        Raises:
            PolicyRefusal: `agreement_unknown`.
            SignatureProblem: The file in the folder is not signed by the pinned people.
        """
        path = self.agreement_file(name)
        try:
            found = self._agreements.get(path)
        except OSError as error:
            raise PolicyRefusal(
                "agreement_unknown",
                f"This {self._party.noun} has not accepted an agreement '{name[:40]}'.",
                remedy=f"Ask the {self._party.noun} to accept it with `{self._party.command} accept`.",
            ) from error
        found.check_in_force(now)
        return found

    def _open_agreement(self, path: Path) -> Agreement:
        return open_agreement(path.read_bytes(), self._settings.trust, self._now(), schema=self._schema)

    def _tell_of_agreements(self) -> None:
        # Otherwise whoever raised the threshold would learn of it from the first question that is refused.
        for path in sorted(self._settings.agreements.glob(f"*{AGREEMENT_SUFFIX}")):
            try:
                open_signatures(path.read_bytes(), self._settings.trust)
            except SignatureProblem as problem:
                self._log("agreement_set_aside", {"agreement": path.stem, "reason": problem.diagnostics()})
            except OSError:
                continue  # told when it is asked for

    def agreement_file(self, name: str) -> Path:
        """Where the accepted agreement of that id is kept; the name comes from outside and is not a path."""
        if not name or not all(character.isalnum() or character in "-_" for character in name):
            raise PolicyRefusal("agreement_unknown", f"The plan names no agreement that this {self._party.noun} knows.")
        return self._settings.agreements / f"{name}{AGREEMENT_SUFFIX}"
