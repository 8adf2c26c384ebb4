"""What pages write down: every reading of figures, and every operation that was refused.

Call it before the page is sent: what cannot be written down is not shown.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from threading import Lock
from typing import Final

from coordinator.console.visitor import Visitor
from coordinator.sign_in.names import PUBLIC
from coordinator.sign_in.operations import Operation, check_allowed
from coordinator.store import AuditRow, Store
from coordinator.store.audit import READ
from federated.errors import PolicyRefusal
from protocols.identifiers import Digest

__all__ = ["MOST_REFUSED", "READ", "Readings", "allow", "note_figures", "note_refused"]

SHORT_LENGTH: Final = 32
LONGEST_ABOUT: Final = 120
REFUSED_AGAIN: Final = timedelta(hours=1)
MOST_REFUSED: Final = 60
"""Of one account within that time: a program that keeps asking for what it may not have must not fill the disk."""


def allow(
    store: Store,
    visitor: Visitor,
    operation: Operation,
    *,
    about: str = "",
    agreement: str | None = None,
    now: datetime,
) -> None:
    """Refuse what the visitor may not do, and write down that somebody who is signed in tried.

    Args:
        store: Where it is written.
        visitor: Who asks.
        operation: What for.
        about: Digest, key or account that it is about, in hexadecimal or as a name.
        agreement: Id of the agreement that it is about.
        now: Time.

    Raises:
        PolicyRefusal: `not_allowed`.
    """
    try:
        check_allowed(visitor, operation, agreement=agreement)
    except PolicyRefusal:
        note_refused(store, visitor, operation, about=about, now=now)
        raise


def note_refused(store: Store, visitor: Visitor, operation: Operation, *, about: str = "", now: datetime) -> None:
    """Write down that somebody signed in tried what they may not do: the same once an hour, and not without end.

    Args:
        store: Where it is written.
        visitor: Who tried. The public is not followed.
        operation: What.
        about: As for `allow`.
        now: Time.
    """
    if not visitor.name:
        return
    word = operation.name.lower().replace("_", " ")[:SHORT_LENGTH]
    # What it is about may come from the address that was typed.
    known = about if about.isascii() and about.isprintable() and len(about) <= LONGEST_ABOUT else ""
    refused = AuditRow(done_at=now, who=visitor.name, operation=word, outcome="refused", object=known)
    store.audit.note_refused(refused, since=now - REFUSED_AGAIN, most=MOST_REFUSED)


def note_figures(store: Store, reader: str, digest: Digest, *, how: str, now: datetime) -> None:
    """Write down that figures of a release were shown or taken; pages, programs and gRPC all come through here.

    Args:
        store: Where it is written: in the list of who read the release, and in the audit.
        reader: Name of the account or id of the key. The public, which is empty, is one reader, written down once a
            day: otherwise strangers could fill the disk.
        digest: Of the release.
        how: `page`, or the form that was taken, such as `csv`; at most 24 characters.
        now: Time.
    """
    if reader:
        store.releases.note_read(digest, reader=reader, how=how, now=now)
    else:
        store.releases.note_read_of_the_day(digest, reader=PUBLIC, how=how, now=now)


class Readings:
    """Writes down what the pages of one process show.

    What the public was shown today is remembered, so that its next reader costs the database nothing.

    Args:
        store: Where it is written.
        clock: Gives the time, UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._today: date | None = None
        self._public: set[tuple[Digest, str]] = set()

    def __call__(self, visitor: Visitor, digest: Digest, how: str) -> None:
        """Write down one reading; arguments as in `note_figures`."""
        now = self._clock()
        if visitor.name:
            note_figures(self._store, visitor.name, digest, how=how, now=now)
            return
        # One at a time: of many who come first, one asks the database.
        with self._lock:
            if self._today != now.date():
                self._today, self._public = now.date(), set()
            if (digest, how) not in self._public:
                note_figures(self._store, "", digest, how=how, now=now)
                self._public.add((digest, how))  # only now: what could not be written is tried again
