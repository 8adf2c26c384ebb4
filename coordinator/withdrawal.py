"""Taking a question back before a round of it has begun: by whoever runs the coordinator, or by the account that asked.

Nothing is signed for it. It spends nothing and shows nothing to anybody, and whoever can write to the database could do
it anyway. The run that collects the councils' decisions sees it within seconds, in whichever process it was done.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from coordinator.console.visitor import Visitor
from coordinator.proposal_states import WAITING, ProposalEvent, ProposalState, next_state
from coordinator.sign_in.audit import allow, note_refused
from coordinator.sign_in.operations import Operation
from coordinator.store import ProposalRow, Store
from federated.errors import PolicyRefusal
from federated.papers import plain_text
from protocols.identifiers import Digest

__all__ = ["LONGEST_REASON", "can_withdraw", "withdraw", "withdraw_own"]

LONGEST_REASON: Final = 300
"""Characters: it is shown in the public register, on one line."""


def withdraw(store: Store, plan_digest: Digest, *, reason: str, by: str, now: datetime) -> None:
    """Take a question back; it is in the audit.

    Args:
        store: For writing.
        plan_digest: Of its plan.
        reason: Why, for everybody.
        by: Account, or `COMMAND_LINE`.
        now: Time.

    Raises:
        QueryError: The reason is too long, or no plain text.
        PolicyRefusal: `withdraw`; it is not known, a round of it has begun, or it has ended.
    """
    reason = plain_text(reason, LONGEST_REASON)
    row = store.proposals.get(plan_digest)
    if row is None or row.state not in WAITING:
        state = "not known here" if row is None else row.state
        raise PolicyRefusal("withdraw", f"The plan is {state}, so there is nothing to withdraw.")
    state = next_state(ProposalState(row.state), ProposalEvent.WITHDRAWN)
    moved = replace(row, state=state.value, rule="withdrawn", reason=f"Withdrawn: {reason}", changed_at=now)
    if not store.outcomes.withdrawn(moved, before=row.state, by=by):
        raise PolicyRefusal("withdraw", "The plan moved on at the same moment.", remedy="Look at its status.")


def withdraw_own(
    store: Store, visitor: Visitor, row: ProposalRow, *, agreement: str, reason: str, now: datetime
) -> None:
    """Take back a question for the account that handed it in. Run by the process of the pages.

    Args:
        store: For writing.
        visitor: Who asks.
        row: The question.
        agreement: Id of its agreement.
        reason: As for `withdraw`.
        now: Time.

    Raises:
        QueryError: As for `withdraw`.
        PolicyRefusal: As for `withdraw`; or `not_allowed`.
    """
    about = row.plan_digest.hex()
    allow(store, visitor, Operation.WITHDRAW, about=about, agreement=agreement, now=now)
    if not _handed_in_by(store, row, visitor.name):
        note_refused(store, visitor, Operation.WITHDRAW, about=about, now=now)
        raise PolicyRefusal(
            "not_allowed",
            "This account did not hand the question in on these pages.",
            remedy="Ask whoever runs this coordinator to withdraw it.",
        )
    withdraw(store, row.plan_digest, reason=reason, by=visitor.name, now=now)


def can_withdraw(store: Store, visitor: Visitor, row: ProposalRow) -> bool:
    """Whether the question could be taken back by that account now, as far as its role and agreement allow it."""
    return row.state in WAITING and _handed_in_by(store, row, visitor.name)


def _handed_in_by(store: Store, row: ProposalRow, account: str) -> bool:
    # By the first letter that brought it: who hands in a copy of another's signed plan later does not come to own it.
    # A plan that came over gRPC, or whose letter is no longer kept, is for the operator.
    letter = store.inbox.first_taken(row.plan_digest)
    return letter is not None and letter.received_at <= row.received_at and letter.account == account
