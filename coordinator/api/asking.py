"""One request of a program: who asks, and what the calls work with."""

from dataclasses import dataclass

from starlette.requests import Request

from coordinator.console.desk import Desk
from coordinator.console.visitor import Visitor
from coordinator.sign_in.operations import Operation, check_allowed, may
from coordinator.store import Store
from federated.errors import FileProblem, PolicyRefusal

__all__ = ["Ask", "Unknown", "ask_of"]


class Unknown(Exception):
    """The call is for somebody, and nobody says who asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who asks, and the desk.

    Attributes:
        desk: The console's.
        visitor: Of the token; nobody without one.
    """

    desk: Desk
    visitor: Visitor

    def may(self, operation: Operation, agreement: str) -> bool:
        """Whether the visitor may do something about an agreement."""
        return may(self.visitor, operation, agreement=agreement)

    def allow(self, operation: Operation, *, agreement: str, about: str) -> None:
        """Refuse what the visitor may not do, and write down that they tried.

        Raises:
            Unknown: Nobody says who asks.
            PolicyRefusal: `not_allowed`.
        """
        if not self.visitor.signed_in:
            raise Unknown
        try:
            check_allowed(self.visitor, operation, agreement=agreement)
        except PolicyRefusal:
            self.desk.note_refused(self.visitor, operation, about)
            raise

    def writing(self) -> Store:
        """The store, for writing.

        Raises:
            FileProblem: Nobody can sign in here, so nobody can hand anything in.
        """
        if self.desk.deciding is None:
            raise FileProblem("Nothing can be handed in here.", remedy="Ask whoever runs this coordinator.")
        return self.desk.deciding


def ask_of(request: Request) -> Ask:
    """What the guard of the interface found out."""
    found: Ask = request.scope["ask"]
    return found
