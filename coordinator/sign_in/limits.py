"""How long to wait after wrong passwords: by the name that was tried, and by where the tries come from.

A wrong password is free a few times, then each doubles the wait. The wait ends after a quarter of an hour, so that
nobody can be kept out for good by somebody else's guesses; a hundred guesses a day against one account are what is
left, and the rule on passwords holds against those.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from coordinator.store.sign_ins import Try

__all__ = [
    "FREE_BY_ADDRESS",
    "FREE_BY_NAME",
    "FREE_STARTS",
    "LONGEST_WAIT",
    "openid_place",
    "wait_for_start",
    "wait_until",
]

FREE_BY_NAME: Final = 5
FREE_BY_ADDRESS: Final = 20
"""More than for a name: a whole office can have one address."""
FREE_STARTS: Final = 60
"""Sign-ins sent to the provider from one address within an hour that did not come back. There is nothing to guess in
them, but each is kept for a while, and those of others are forgotten when there are too many."""
FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(minutes=15)
MEMORY: Final = timedelta(hours=1)
"""An address is forgiven after so long; it may be somebody else's by then."""
_DOUBLINGS: Final = 5


def wait_until(by_name: Sequence[Try], by_address: Sequence[Try], now: datetime) -> datetime | None:
    """Until when no further try is taken.

    Args:
        by_name: Tries for the name, oldest first, from every address.
        by_address: Tries from the address, oldest first, for every name.
        now: Time. Tries that seem to lie ahead of it count: a clock that was set back forgives nothing.

    Returns:
        A time after `now`, or None.
    """
    last_right = max((number for number, (_, right) in enumerate(by_name) if right), default=-1)
    wrong = [at for at, _ in by_name[last_right + 1 :]]
    # A right password forgives its own name alone: an attacker has an account too.
    from_there = [at for at, right in by_address if not right and at > now - MEMORY]
    ends = [_end(wrong, FREE_BY_NAME), _end(from_there, FREE_BY_ADDRESS)]
    latest = max((end for end in ends if end is not None), default=now)
    return latest if latest > now else None


def _end(wrong: Sequence[datetime], free: int) -> datetime | None:
    over = len(wrong) - free
    if over < 0:
        return None
    return max(wrong) + min(FIRST_WAIT * (1 << min(over, _DOUBLINGS)), LONGEST_WAIT)


def openid_place(network: str) -> str:
    """Under what starts from an address are counted: apart from the passwords that are tried there."""
    return f"openid {network}"


def wait_for_start(by_address: Sequence[Try], now: datetime) -> datetime | None:
    """Until when nobody from an address is sent to the provider; None when somebody may be.

    Args:
        by_address: Starts from the address, oldest first; right when somebody signed in.
        now: Time.
    """
    end = _end([at for at, right in by_address if not right and at > now - MEMORY], FREE_STARTS)
    return end if end is not None and end > now else None
