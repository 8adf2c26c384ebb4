"""Two people for what decides who takes part.

A roster and an agreement count because people signed them offline with keys that councils pinned; nothing here can
stand in for that. Accepting an enrolment only puts a key into the next roster's draft. On the pages it still takes two
operators, because the draft is what roster signers are shown: one asks, another confirms, both having compared the
fingerprint with the council. The command `coordinator enrol accept` is for whoever has an account on the machine, and
stays as it is.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from coordinator.console.visitor import Role, Visitor
from coordinator.sign_in.operations import Operation, check_allowed
from coordinator.store import AcceptanceRow, AccountRow, EnrolmentRow, Store
from federated.errors import PolicyRefusal

__all__ = ["GOOD_FOR", "ask_acceptance", "check_second", "confirm_acceptance", "reject_enrolment"]

GOOD_FOR: Final = timedelta(days=7)
_SKEW: Final = timedelta(minutes=1)


def check_second(
    asked: AcceptanceRow | None,
    first: AccountRow | None,
    second: AccountRow | None,
    enrolment: EnrolmentRow | None,
    now: datetime,
    *,
    separate_people: bool = False,
) -> AcceptanceRow:
    """Whether this visitor can be the second person.

    In order: (0) the key still waits; (1) somebody asked; (2) within the week; (3) that somebody is still an operator;
    (4) and is somebody else; (5) with an account of the same kind, unless the settings say that nobody has both.

    Raises:
        PolicyRefusal: `second_person`, with the reason.
    """
    if enrolment is None or enrolment.state != "pending":  # (0)
        raise _refusal("This key no longer waits for a decision.")
    if asked is None:  # (1)
        raise _refusal("Nobody has asked for this key to be accepted.")
    if not asked.asked_at - _SKEW <= now < asked.asked_at + GOOD_FOR:  # (2)
        raise _refusal(f"The acceptance was asked for more than {GOOD_FOR.days} days ago. Ask for it again.")
    if first is None or not _is_operator(first):  # (3)
        raise _refusal("Whoever asked for this key to be accepted is no longer an operator. Ask for it again.")
    if second is None or second.name == asked.asked_by:  # (4)
        raise _refusal("You asked for this key to be accepted yourself. Another operator must confirm it.")
    if second.kind != first.kind and not separate_people:  # (5)
        raise _refusal(
            "One of the two accounts is kept here and the other is the provider's, and one person can have both. "
            "Somebody with the same kind of account as whoever asked must confirm it."
        )
    return asked


def _is_operator(account: AccountRow | None) -> bool:
    return account is not None and account.state == "active" and Role.OPERATOR.value in account.roles.split()


def _refusal(sentence: str) -> PolicyRefusal:
    return PolicyRefusal("second_person", sentence)


def ask_acceptance(store: Store, visitor: Visitor, public_key: bytes, *, clock: Callable[[], datetime]) -> None:
    """Ask, as the first operator. Nothing is accepted by that.

    Raises:
        PolicyRefusal: `not_allowed`, `second_person`.
    """
    check_allowed(visitor, Operation.ASK_ACCEPTANCE)
    now = clock()
    waiting = store.acceptances.get(public_key)
    found = _enrolment(store, public_key)
    if found is None or found.state != "pending":
        raise _refusal("This key no longer waits for a decision.")
    stands = waiting is not None and now < waiting.asked_at + GOOD_FOR and _is_operator(_first(store, waiting))
    if waiting is not None and stands and waiting.asked_by != visitor.name:
        # Otherwise two operators who both ask would each replace the other's word, and none would ever be second.
        raise _refusal("Another operator has asked already: compare the fingerprint, then confirm.")
    store.acceptances.ask(AcceptanceRow(public_key=public_key, asked_by=visitor.name, asked_at=now))


def confirm_acceptance(
    store: Store, visitor: Visitor, public_key: bytes, *, clock: Callable[[], datetime], separate_people: bool = False
) -> None:
    """Confirm, as the second operator: the key is accepted for the next roster's draft.

    Args:
        store: The coordinator's.
        visitor: The second operator.
        public_key: Of the council.
        clock: Gives the time, UTC.
        separate_people: Nobody has both an account kept here and one of the provider (`SignInSettings`).

    Raises:
        PolicyRefusal: `not_allowed`, `second_person`.
    """
    check_allowed(visitor, Operation.CONFIRM_ACCEPTANCE)
    now = clock()
    waiting = store.acceptances.get(public_key)
    asked = check_second(
        waiting,
        _first(store, waiting),
        store.accounts.get(visitor.name),
        _enrolment(store, public_key),
        now,
        separate_people=separate_people,
    )
    if not store.acceptances.confirm(asked, by=visitor.name, now=now):
        raise _refusal("Somebody else decided about this key at the same moment. Reload the page.")


def reject_enrolment(store: Store, visitor: Visitor, public_key: bytes, *, clock: Callable[[], datetime]) -> None:
    """Reject a key that waits. One person is enough: nothing comes in by it, and the council can ask again.

    Raises:
        PolicyRefusal: `not_allowed`, `second_person`.
    """
    check_allowed(visitor, Operation.REJECT_ENROLMENT)
    if not store.acceptances.reject(public_key, by=visitor.name, now=clock()):
        raise _refusal("This key no longer waits for a decision.")


def _first(store: Store, waiting: AcceptanceRow | None) -> AccountRow | None:
    return None if waiting is None else store.accounts.get(waiting.asked_by)


def _enrolment(store: Store, public_key: bytes) -> EnrolmentRow | None:
    return next((row for row in store.membership.enrolments() if row.public_key == public_key), None)
