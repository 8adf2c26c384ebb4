"""Tokens with which programs ask in the name of an account: what they look like, who makes them, what they let in.

A token is never more than its account is at that moment, and less where it was made for reading alone. Whoever has it
is let in. So it is shown once, kept as a hash, has an end, and can do nothing that would outlive it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from coordinator.console.visitor import Scope, Visitor
from coordinator.sign_in.limits import wait_until
from coordinator.sign_in.names import network_of
from coordinator.sign_in.operations import visitor
from coordinator.sign_in.sessions import new_token, token_hash
from coordinator.store import AccountRow, AuditRow, Store, TokenRow
from coordinator.store.audit import COMMAND_LINE
from coordinator.store.sign_ins import Try
from federated.errors import PolicyRefusal, QueryError
from protocols.identifiers import RandomSource

__all__ = ["TooManyWrong", "WrongToken", "longest_for", "make_token", "visitor_by_token"]

BEGINS: Final = "hst_"
"""How every token begins, so that a search for secrets that were published by mistake finds it."""
SHOWN: Final = 12
"""Characters by which an owner knows a token again; 208 of its random bits stay unknown."""
LONGEST: Final = 366
LONGEST_BY_PROVIDER: Final = 30
"""Days for an account of an OpenID provider: what is taken away there counts here when the person signs in again."""
LONGEST_LABEL: Final = 60
MOST: Final = 20
"""Of one account at a time."""
USED_EVERY: Final = timedelta(minutes=1)
APART: Final = "-"
"""Wrong tokens are counted apart from wrong passwords: a program with an old one must not keep its office out."""


class WrongToken(Exception):
    """Nobody is let in by this token. One sentence for every reason."""


class TooManyWrong(Exception):
    """Wrong tokens from one place, so that a wait is due.

    Attributes:
        seconds: How long.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"wait {seconds} seconds")
        self.seconds = seconds


def make_token(
    store: Store,
    account: AccountRow,
    *,
    label: str,
    scope: Scope,
    days: int,
    by: str,
    rng: RandomSource,
    now: datetime,
) -> tuple[str, TokenRow]:
    """Make a token for an account.

    Args:
        store: For writing.
        account: Whose it is.
        label: What it is for, in the owner's words.
        scope: What it may do at most.
        days: How long it is good.
        by: Who makes it: the account itself, or the command line.
        rng: Gives secure random bytes.
        now: Time.

    Returns:
        The token, which is not kept, and the row that is.

    Raises:
        QueryError: The label or the days cannot be.
        PolicyRefusal: `tokens`: the account is not active or has too many.
    """
    longest = longest_for(account)
    if not 1 <= days <= longest:
        raise QueryError(f"A token of this account is good for 1 to {longest} days, not for {days}.")
    if not label.strip() or len(label) > LONGEST_LABEL or not label.isprintable():
        raise QueryError(f"Say what the token is for, in 1 to {LONGEST_LABEL} characters.")
    token = BEGINS + new_token(rng)
    row = TokenRow(
        token_hash=token_hash(token),
        account=account.name,
        prefix=token[:SHOWN],
        label=label.strip(),
        scope=scope.value,
        made_by=by,
        created_at=now,
        until=now + timedelta(days=days),
    )
    if account.state != "active" or not store.tokens.add(row, most=MOST):
        raise PolicyRefusal(
            "tokens",
            f"The account is locked, or has {MOST} tokens already.",
            remedy="Take back one that is not needed any more.",
        )
    return token, row


def longest_for(account: AccountRow) -> int:
    """Most days for a token of an account."""
    return LONGEST if account.kind == "local" else LONGEST_BY_PROVIDER


def visitor_by_token(
    store: Store, token: str, *, address: str, lets_in: Callable[[str], bool], now: datetime
) -> Visitor:
    """Who asks with a token; looks into the store each time, so that a right taken away is gone at once.

    Args:
        store: For writing.
        token: As it came.
        address: Where it comes from.
        lets_in: Whether accounts of a kind may sign in.
        now: Time.

    Raises:
        WrongToken: Not known, over, taken back, or its account is not active.
        TooManyWrong: The same, and many before it from the same place. A right one is let in all the same: nobody
            guesses one, the wait is against what guessing costs.
    """
    found = store.tokens.find(token_hash(token))
    if found is None or not _good(*found, lets_in, now):
        _count_wrong(store, found, address, now)
        raise WrongToken
    account, row = found
    if row.used_at is None or now - row.used_at >= USED_EVERY:
        store.tokens.touch(row.token_hash, now=now)
    return replace(visitor(account), scope=Scope(row.scope))


def _good(account: AccountRow, row: TokenRow, lets_in: Callable[[str], bool], now: datetime) -> bool:
    # One that an operator made is for a program, and passes nobody by the provider.
    welcome = lets_in(account.kind) or row.made_by == COMMAND_LINE
    return account.state == "active" and row.revoked_at is None and now < row.until and welcome


def _count_wrong(store: Store, found: tuple[AccountRow, TokenRow] | None, address: str, now: datetime) -> None:
    def wait(_by_name: Sequence[Try], by_address: Sequence[Try]) -> datetime | None:
        return wait_until((), by_address, now)

    counted = store.sign_ins.attempt(pigeonhole=APART, address=APART + network_of(address), now=now, wait=wait)
    if isinstance(counted, datetime):
        raise TooManyWrong(max(1, int((counted - now).total_seconds())))
    about = "unknown token" if found is None else found[1].prefix
    store.audit.note(AuditRow(done_at=now, who="", operation="use token", outcome="refused", object=about))
