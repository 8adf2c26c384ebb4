"""The mask holder as an agreement names it: a second body without whose opening nobody gets a sum (R30)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from federated.agreement import Agreement
from federated.errors import PolicyRefusal
from federated.keys import parse_public, public_line
from federated.roster import Roster
from protocols.encoding import Json
from protocols.identifiers import CouncilId

__all__ = ["HolderIdentity", "check_independent", "holder_identity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderIdentity:
    """Who holds masks.

    Attributes:
        id: What it signs as; never that of a council.
        name: For people.
        key: Raw Ed25519 public key.
    """

    id: CouncilId
    name: str
    key: bytes = field(repr=False)

    @classmethod
    def read(cls, document: Mapping[str, str]) -> Self:
        """As a plan says it.

        Raises:
            KeyError: Something is missing.
            ValueError: The key is none.
        """
        return cls(id=CouncilId(document["id"]), name=document["name"], key=parse_public(document["key"]))

    def canonical(self) -> Json:
        """As canonical JSON, in a plan."""
        return {"id": self.id, "name": self.name, "key": public_line(self.key)}


def holder_identity(agreement: Agreement) -> HolderIdentity | None:
    """The mask holder of an agreement; None where it names none."""
    named = agreement.mask_holder
    return None if named is None else HolderIdentity.read(named.model_dump())


def check_independent(holder: HolderIdentity | None, roster: Roster) -> None:
    """Refuse a mask holder that is no second body: the coordinator by its id or name, or a council by its key.

    Raises:
        PolicyRefusal: `mask_holder`.
    """
    if holder is None:
        return
    if holder.id == roster.coordinator_id or holder.name == roster.coordinator.name:
        raise PolicyRefusal(
            "mask_holder",
            f"The agreement's mask holder, {holder.name}, goes by the name of the coordinator.",
            remedy="The mask holder must be a body of its own; the parties must sign a new version of the agreement.",
        )
    owners = {entry.public_key: entry.name for entry in roster.councils.values()}
    owners[roster.coordinator.public_key] = roster.coordinator.name
    if holder.key in owners:
        raise PolicyRefusal(
            "mask_holder",
            f"The agreement's mask holder, {holder.name}, has the key of {owners[holder.key]}.",
            remedy="The mask holder must be a body of its own; the parties must sign a new version of the agreement.",
        )
