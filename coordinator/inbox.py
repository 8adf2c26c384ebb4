"""Signed plans that come over the web: handed in by whoever is signed in, taken by the coordinator that acts.

The process of the pages has no link to councils. So what is handed in there waits in the store, and the coordinator
that acts takes it from there to the same desk as a plan that came over gRPC. Whose plan it is, the signature says; the
account only says who may hand in, and who handed in too much.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from coordinator.console.visitor import Visitor
from coordinator.office import Office, place
from coordinator.plan_intake import agreement_digest, open_submission
from coordinator.roster import Membership
from coordinator.sign_in.audit import allow
from coordinator.sign_in.operations import Operation, check_allowed, visitor
from coordinator.store import DatabaseProblem, DeskLost, InboxRow, Store
from coordinator.store.inbox import Load
from federated.errors import FederatedError, PolicyRefusal
from federated.schema import Schema
from protocols.encoding import sha256
from protocols.identifiers import Digest

__all__ = ["LARGEST", "MOST_A_DAY", "MOST_OF_ALL", "MOST_WAITING", "HandedIn", "Inbox", "hand_in"]

LARGEST: Final = 1024 * 1024
"""Bytes of plan and manifest together, as gRPC takes them."""
LONGEST_KEY: Final = 200
MOST_WAITING: Final = 20
MOST_A_DAY: Final = 200
"""Of one account; what is settled keeps a line each, and no envelope."""
MOST_OF_ALL: Final = 100
BATCH: Final = 10
LOOK_S: Final = 1.0
WAIT_AFTER_FAILURE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """What somebody hands in.

    Attributes:
        plan_envelope: DSSE envelope of the plan.
        manifest_envelope: DSSE envelope of its manifest.
        refresh: Ask afresh, at a new charge, even where the answer to the identical question is here.
        key: Idempotency key: the same again under this key is the same request.
    """

    plan_envelope: bytes = field(repr=False)
    manifest_envelope: bytes = field(repr=False)
    refresh: bool = False
    key: str | None = None

    @property
    def digest(self) -> bytes:
        """Of everything but the key."""
        parts = (sha256(self.plan_envelope), sha256(self.manifest_envelope), bytes([self.refresh]))
        return sha256(b"".join(parts))


def hand_in(
    store: Store, handed_in: HandedIn, *, visitor: Visitor, membership: Membership, schema: Schema, now: datetime
) -> InboxRow:
    """Put a signed plan where the coordinator takes it from. Run by the process of the pages.

    Checks, in order: (0) the size; (1) the account may put questions under the plan's agreement; (2) everything that
    the coordinator checks, so that what cannot be taken is said at once; (3) nothing else came under the same key, and
    not too much waits.

    Args:
        store: For writing.
        handed_in: The plan with its manifest.
        visitor: Who hands in.
        membership: In force now.
        schema: The data dictionary.
        now: Time.

    Returns:
        The row to watch; an earlier one when the same came before.

    Raises:
        FederatedError: It cannot be taken; names the rule.
    """
    if len(handed_in.plan_envelope) + len(handed_in.manifest_envelope) > LARGEST:  # (0)
        raise PolicyRefusal("inbox_size", f"The plan and its manifest are larger than {LARGEST:,} bytes together.")
    if handed_in.key is not None and len(handed_in.key) > LONGEST_KEY:
        raise PolicyRefusal("inbox_size", f"The idempotency key is longer than {LONGEST_KEY} characters.")
    agreement = membership.require_agreement(agreement_digest(handed_in.plan_envelope)).agreement
    allow(store, visitor, Operation.PROPOSE, agreement=agreement.id, now=now)  # (1)
    submission = open_submission(  # (2)
        handed_in.plan_envelope, handed_in.manifest_envelope, membership=membership, schema=schema, now=now
    )
    row = InboxRow(
        plan_digest=submission.plan.digest,
        body_digest=handed_in.digest,
        plan_envelope=handed_in.plan_envelope,
        manifest_envelope=handed_in.manifest_envelope,
        refresh=handed_in.refresh,
        account=visitor.name,
        agreement_id=agreement.id,
        key=None if handed_in.key is None else sha256(handed_in.key.encode()).hex(),
        received_at=now,
    )
    kept = store.inbox.add(row, check=_check_load)  # (3)
    if kept.body_digest != row.body_digest:
        raise PolicyRefusal(
            "key_reused",
            "Something else was handed in under this idempotency key.",
            remedy="Use a new key for each question.",
        )
    return kept


def _check_load(load: Load) -> None:
    theirs, today, everybodys = load
    if theirs >= MOST_WAITING or today >= MOST_A_DAY or everybodys >= MOST_OF_ALL:
        raise PolicyRefusal(
            "inbox_full", "Too many questions wait or came today.", remedy="Wait until the coordinator has taken some."
        )


class Submit(Protocol):
    """The proposal desk's way in."""

    def __call__(self, plan_envelope: bytes, manifest_envelope: bytes, *, refresh: bool) -> Awaitable[Digest]:
        """Take a plan; the digest of the plan whose run to watch."""
        ...


class Inbox:
    """Takes what waits to the proposal desk. Run by the coordinator that acts.

    No crash makes councils pay twice. A row is marked as taken before its plan is submitted, and a plan is in the
    store before any council hears of it. So where a row was taken and nobody wrote down its outcome, a plan in the
    store says that it was submitted. It is not submitted again: after a failed round that could begin another one.

    Args:
        office: What the coordinator's parts share.
        submit: Takes a plan.
    """

    def __init__(self, office: Office, submit: Submit) -> None:
        self._office = office
        self._submit = submit

    async def keep_taking(self) -> None:
        """Take what waits, again and again, until cancelled or another coordinator acts."""
        while True:
            wait_s = LOOK_S
            try:
                await self.take()
            except DeskLost:
                return
            except DatabaseProblem:
                pass  # whoever keeps the desk says so; what waits is still there once the database is back
            except Exception as error:  # noqa: BLE001 - the outermost loop: later questions must still be taken
                self._office.note("background_failed", {"error": type(error).__name__, "at": place(error)})
                wait_s = WAIT_AFTER_FAILURE_S
            await asyncio.sleep(wait_s)

    async def take(self) -> int:
        """Take what waits now, oldest first. Returns how many rows were looked at.

        Raises:
            DeskLost: Another coordinator acts.
            DatabaseProblem: The database cannot be used.
        """
        rows = await self._office.thread(self._office.store.inbox.unsettled, size=BATCH)
        for row in rows:
            await self._take(row)
        return len(rows)

    async def _take(self, row: InboxRow) -> None:
        office = self._office
        store = office.store
        if row.state == "taken" and await office.thread(store.proposals.get, row.plan_digest) is not None:
            await self._settle(row, watch=row.plan_digest)
            return
        if row.state == "waiting" and not await office.thread(store.inbox.take, row.number, now=office.clock()):
            return
        try:
            await office.thread(_check_account, store, row)
            watch = await self._submit(row.plan_envelope, row.manifest_envelope, refresh=row.refresh)
        except (DeskLost, DatabaseProblem):
            raise
        except FederatedError as error:
            rule = error.rule if isinstance(error, PolicyRefusal) else error.code
            await self._settle(row, rule=rule, message=f"{error} {error.remedy}".strip())
        except Exception as error:  # noqa: BLE001 - one bad row must not keep the others waiting
            office.note("request_failed", {"method": "inbox", "error": type(error).__name__, "at": place(error)})
            sentence = f"Something unexpected happened in the coordinator ({type(error).__name__} at {place(error)})."
            await self._settle(row, rule="internal", message=f"{sentence} Please report it, with this line.")
        else:
            await self._settle(row, watch=watch)

    async def _settle(self, row: InboxRow, *, watch: Digest | None = None, rule: str = "", message: str = "") -> None:
        office = self._office
        settle: Callable[..., None] = office.store.inbox.settle
        await office.thread(settle, row.number, now=office.clock(), watch=watch, rule=rule, message=message)


def _check_account(store: Store, row: InboxRow) -> None:
    """Whether the account may still ask: a right taken away counts for what waits, too.

    Raises:
        PolicyRefusal: `not_allowed`.
    """
    account = store.accounts.get(row.account)
    if account is None or account.state != "active":
        raise PolicyRefusal("not_allowed", "The account that handed it in is locked or was removed.")
    check_allowed(visitor(account), Operation.PROPOSE, agreement=row.agreement_id)
