"""What can be done over the web, and who may: the one table. `docs/reference/authorisation.md` is made from it.

Some operations are about one agreement; those need that agreement in the account as well as a role.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from coordinator.console.visitor import NOBODY, Role, Scope, Visitor
from coordinator.store import AccountRow
from federated.errors import PolicyRefusal

__all__ = ["RULES", "Operation", "Rule", "check_allowed", "may", "reaches", "visitor"]


class Operation(StrEnum):
    """What somebody wants to do."""

    VIEW_REGISTER = "view the register of questions and releases"
    VIEW_OWN_ACCOUNT = "see the own account, end its sessions, change its password"
    VIEW_FIGURES = "see and take the figures of a release that is not published"
    WATCH = "follow a question, council by council, until its answer is there"
    VIEW_AGREEMENT = "take an agreement and the list of councils as they were signed"
    VIEW_READERS = "see who has read a release"
    VIEW_SUGGESTIONS = "see a question that a council suggests to the parties alone"
    VIEW_BUDGETS = "see the councils' budgets and verify them"
    PROPOSE = "put a question to councils"
    WITHDRAW = "take back an own question on which councils are still deciding"
    VIEW_PAPERS = "take a paper, such as a comment or minutes, as it was signed"
    HAND_IN_PAPER = "hand in a signed paper"
    VIEW_OPERATIONS = "see councils connected, rounds and alerts"
    ASK_ACCEPTANCE = "ask for a council's key to be accepted for the next roster"
    CONFIRM_ACCEPTANCE = "confirm an acceptance that another operator asked for"
    REJECT_ENROLMENT = "reject a council's key that waits"
    VIEW_AUDIT = "see who did what on these pages"
    MAKE_TOKENS = "make and take back tokens for programs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may do something.

    Attributes:
        roles: One of these is enough.
        public: Everybody may, signed in or not.
        of_agreement: The account must have the agreement that it is about.
        scope: Which tokens of such an account may, too; None: a person alone.
    """

    roles: frozenset[Role] = frozenset()
    public: bool = False
    of_agreement: bool = False
    scope: Scope | None = None


_ALL: Final = frozenset(Role)
_READERS: Final = frozenset({Role.ANALYST, Role.REVIEWER, Role.OBSERVER})
_ANALYST: Final = frozenset({Role.ANALYST})
_REVIEWER: Final = frozenset({Role.REVIEWER})
_OPERATOR: Final = frozenset({Role.OPERATOR})

RULES: Final[Mapping[Operation, Rule]] = {
    Operation.VIEW_REGISTER: Rule(roles=_ALL, public=True, scope=Scope.READ),
    Operation.VIEW_OWN_ACCOUNT: Rule(roles=_ALL),
    Operation.VIEW_FIGURES: Rule(roles=_READERS, of_agreement=True, scope=Scope.READ),
    Operation.WATCH: Rule(roles=_REVIEWER | _ANALYST, of_agreement=True, scope=Scope.READ),
    Operation.VIEW_AGREEMENT: Rule(roles=_READERS, of_agreement=True, scope=Scope.READ),
    Operation.VIEW_READERS: Rule(roles=_REVIEWER, of_agreement=True, scope=Scope.READ),
    Operation.VIEW_SUGGESTIONS: Rule(roles=_READERS, of_agreement=True, scope=Scope.READ),
    Operation.VIEW_BUDGETS: Rule(roles=_REVIEWER | _ANALYST, of_agreement=True, scope=Scope.READ),
    Operation.PROPOSE: Rule(roles=_ANALYST, of_agreement=True, scope=Scope.ASK),
    Operation.WITHDRAW: Rule(roles=_ANALYST, of_agreement=True, scope=Scope.ASK),
    # As over gRPC, by the keys that the agreement names.
    Operation.VIEW_PAPERS: Rule(roles=_REVIEWER | _ANALYST, of_agreement=True, scope=Scope.READ),
    Operation.HAND_IN_PAPER: Rule(roles=_REVIEWER | _ANALYST, of_agreement=True, scope=Scope.ASK),
    # An operator runs the machine and needs no figure for that: least privilege on the pages, though not on its disk.
    Operation.VIEW_OPERATIONS: Rule(roles=_OPERATOR),
    Operation.ASK_ACCEPTANCE: Rule(roles=_OPERATOR),
    Operation.CONFIRM_ACCEPTANCE: Rule(roles=_OPERATOR),
    Operation.REJECT_ENROLMENT: Rule(roles=_OPERATOR),
    Operation.VIEW_AUDIT: Rule(roles=_REVIEWER | _OPERATOR),
    # For those who have something to read. A token must not make another, which would outlive it.
    Operation.MAKE_TOKENS: Rule(roles=_READERS),
}


_SEES_NO_AGREEMENT: Final = frozenset({Role.OPERATOR})


def visitor(account: AccountRow) -> Visitor:
    """An account as these rules see it, without a form token.

    An operator sees no agreement by being one: with another role beside it, an account sees what that role may.
    """
    roles = frozenset(Role(role) for role in account.roles.split())
    sees = bool(roles - _SEES_NO_AGREEMENT)
    agreements = frozenset(account.agreements.split()) if sees else frozenset()
    return replace(NOBODY, name=account.name, roles=roles, agreements=agreements)


def check_allowed(visitor: Visitor, operation: Operation, *, agreement: str | None = None) -> None:
    """Refuse what the visitor may not do.

    Args:
        visitor: Who asks.
        operation: What for.
        agreement: Id of the agreement that it is about.

    Raises:
        PolicyRefusal: `not_allowed`.
        TypeError: The operation is about one agreement and none is named, or the other way round.
    """
    if not may(visitor, operation, agreement=agreement):
        raise PolicyRefusal("not_allowed", f"Your account may not {operation.value}.")


def may(visitor: Visitor, operation: Operation, *, agreement: str | None = None) -> bool:
    """Whether the visitor may do something; for what is shown or left out, where nobody has asked for it yet.

    Raises:
        TypeError: As for `check_allowed`.
    """
    rule = RULES[operation]
    if rule.of_agreement is (agreement is None):
        raise TypeError(f"'{operation.value}' {'needs' if rule.of_agreement else 'has'} no agreement")
    return reaches(visitor, operation) and (agreement is None or agreement in visitor.agreements)


def reaches(visitor: Visitor, operation: Operation) -> bool:
    """Whether the visitor has a role for an operation, before it is known which agreement it is about."""
    rule = RULES[operation]
    by_token = (
        visitor.scope is None or rule.scope is Scope.READ or (rule.scope is not None and rule.scope is visitor.scope)
    )
    return rule.public or (by_token and visitor.has(rule.roles))
