"""One-time codes with which the owner of an account sets its password."""

from base64 import b32encode
from datetime import datetime, timedelta
from typing import Final

from coordinator.sign_in.sessions import SKEW, token_hash
from protocols.identifiers import RandomSource

__all__ = ["CODE_GOOD_FOR", "code_hash", "is_good", "new_code"]

CODE_GOOD_FOR: Final = timedelta(hours=1)
SIZE: Final = 15
GROUP: Final = 4


def new_code(rng: RandomSource) -> str:
    """120 random bits, in groups that can be read out."""
    text = b32encode(rng(SIZE)).decode()
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def code_hash(code: str) -> bytes:
    """What the store keeps of a code; spaces, hyphens and case are for people."""
    return token_hash("".join(code.split()).replace("-", "").upper())


def is_good(until: datetime | None, now: datetime) -> bool:
    """Whether a code that is good until then is good now: not later, nor before it was made by a clock set back."""
    return until is not None and until - CODE_GOOD_FOR - SKEW <= now <= until
