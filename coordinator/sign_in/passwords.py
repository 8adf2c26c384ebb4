"""Passwords: what may be one, and how it is kept.

As the National Cyber Security Centre advises: long rather than complicated, none that everybody tries first, no
expiry, no rules on characters. Kept by argon2id (RFC 9106, its second recommended choice), a salt for each.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import BoundedSemaphore
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from federated.errors import QueryError
from protocols.identifiers import RandomSource

__all__ = ["PLACES", "SHORTEST", "Busy", "Passwords", "check_password"]

SHORTEST: Final = 12
LONGEST: Final = 500
FEWEST_DIFFERENT: Final = 5
FEWEST_LEFT: Final = 6
"""Characters that must be left of a password once the words that everybody tries are taken out."""
AT_ONCE: Final = 2
"""Each argon2 takes 64 MiB: what strangers can make the pages do at once is bounded."""
PLACES: Final = 10
"""So many people are let in to be compared or to wait for it; more would hold up the pages of everybody else."""

TRIED_FIRST: Final = (
    *("1q2w3e4r5t6y7u8i9o0p", "qwertyuiop", "1234567890", "0987654321", "abcdefghijklmnopqrstuvwxyz", "asdfghjkl"),
    *("1q2w3e4r5t", "1qaz2wsx3edc", "zaq12wsx", "qazwsxedc", "q1w2e3r4", "zxcvbnm", "qwerty", "azerty", "123456"),
    *("654321", "abc123", "123123", "987654321", "password", "passwort", "passphrase", "passw0rd", "p@ssw0rd"),
    *("p@ssword", "pa55word", "pa$$word", "letmein", "changeme", "welcome", "administrator", "admin", "iloveyou"),
    *("trustno1", "monkey", "dragon", "football", "baseball", "sunshine", "princess", "superman", "batman", "starwars"),
    *("charlie", "michael", "jordan", "liverpool", "arsenal", "chelsea", "manchester", "england", "london", "default"),
    *("secret", "master", "shadow", "summer", "winter", "spring", "autumn", "january", "february", "march", "april"),
    *("june", "july", "august", "september", "october", "november", "december", "monday", "tuesday", "wednesday"),
    *("thursday", "friday", "saturday", "sunday", "guest", "login", "access", "computer", "internet", "whatever"),
    *("homelessness", "homeless", "housing", "council", "coordinator", "federation", "statistics", "government"),
)
"""What guessing starts from; the last line is what it starts from here."""


def check_password(password: str, *, account: str) -> str:
    """The password in the one form that is hashed.

    Raises:
        QueryError: It cannot be one; the sentence is for the person, and does not repeat it.
    """
    plain = _one_form(password)
    if len(plain) < SHORTEST:
        raise QueryError(f"Your password must be {SHORTEST} characters or more. Three random words are a good one.")
    if len(plain) > LONGEST:
        raise QueryError(f"Your password must be {LONGEST} characters or fewer.")
    if _left(plain.casefold(), account) < FEWEST_LEFT or len(set(plain.casefold())) < FEWEST_DIFFERENT:
        raise QueryError("This password is one of those that are tried first. Three random words are a better one.")
    return plain


def _one_form(password: str) -> str:
    # The same letters can be typed in several ways on different keyboards.
    return unicodedata.normalize("NFKC", password)


def _left(plain: str, account: str) -> int:
    """How much is left once what everybody tries, the account's name and repetitions are taken out."""
    known = {account.casefold(), *account.casefold().replace("_", ".").replace("-", ".").split("."), *TRIED_FIRST}
    for word in sorted((word for word in known if len(word) > 2), key=len, reverse=True):  # noqa: PLR2004 - "a" is no word
        plain = plain.replace(word, "")
    shortest = next((size for size in range(1, len(plain) // 2 + 1) if _repeats(plain, size)), len(plain))
    return sum(before != after for before, after in pairwise(plain[:shortest])) + 1


def _repeats(text: str, size: int) -> bool:
    return (text[:size] * (len(text) // size + 1))[: len(text)] == text


class Busy(Exception):
    """More people at once than are let in."""


class Passwords:
    """Hashes and compares passwords, a few at a time.

    Args:
        hasher: The parameters; the library's own are those of RFC 9106.
        rng: Gives secure random bytes.
    """

    def __init__(self, hasher: PasswordHasher, rng: RandomSource) -> None:
        self._hasher = hasher
        self._rng = rng
        self._turns = BoundedSemaphore(AT_ONCE)
        self._places = BoundedSemaphore(PLACES)
        # Nobody's password: a name that is not known takes as long to refuse as one that is.
        self._nobodys = self.hash(rng(32).hex())

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those who are let in; taken before a try is counted, as a full house is nobody's fault.

        Raises:
            Busy: There is none.
        """
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            yield
        finally:
            self._places.release()

    def hash(self, password: str) -> str:
        """A password as it is kept, with its salt and parameters."""
        with self._turns:
            return self._hasher.hash(_one_form(password), salt=self._rng(self._hasher.salt_len))

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that is kept; never without one, and always with the same work."""
        with self._turns:
            try:
                self._hasher.verify(kept or self._nobodys, _one_form(password))
            except (VerificationError, InvalidHashError):
                return False
            return kept is not None

    def is_weaker(self, kept: str) -> bool:
        """Whether it is kept under other parameters than those of today."""
        return self._hasher.check_needs_rehash(kept)
