"""What pages write down: every reading of figures, and every operation that was refused.

Call it before the page is sent: what cannot be written down is not shown.
"""

from datetime import datetime, timedelta
from typing import Final

from coordinator.console.visitor import Visitor
from coordinator.sign_in.names import PUBLIC
from coordinator.sign_in.operations import Operation, check_allowed
from coordinator.store import AuditRow, Store
from federated.errors import PolicyRefusal
from protocols.identifiers import Digest

__all__ = ["MOST_REFUSED", "READ", "allow", "note_figures", "note_refused"]

READ: Final = "read release"
"""As the audit calls it."""
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


def note_figures(store: Store, visitor: Visitor, digest: Digest, *, how: str, now: datetime) -> None:
    """Write down that figures of a release were shown or taken.

    Args:
        store: Where it is written: beside the analysts' own readings, and in the audit.
        visitor: Who reads. The public is one reader, written down once a day: otherwise strangers could fill the disk.
        digest: Of the release.
        how: `page`, or the form that was taken, such as `csv`; at most 24 characters.
        now: Time.
    """
    if not visitor.name:
        store.releases.note_read_of_the_day(digest, reader=PUBLIC, how=how, now=now)
        return
    store.releases.note_read(digest, reader=visitor.name, how=how, now=now)
    store.audit.note(AuditRow(done_at=now, who=visitor.name, operation=READ, object=digest.hex()))
