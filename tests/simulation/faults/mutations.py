"""Faults planted in the software itself: each breaks one promise, and the histories must notice.

A check that has never been seen to fail proves little. Each is put in place for the length of a block.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from coordinator import proposal_run
from coordinator.asks import AskBook
from coordinator.patience import Patience
from coordinator.proposals import ProposalDesk
from coordinator.publish import Deliveries
from coordinator.rounds import _Drive
from coordinator.store.outcomes import OutcomeBook
from council_node import contribution, durable_sqlite, rounds
from protocols.secagg import aggregator
from tests.simulation.faults import parties

Planted = Callable[[], AbstractContextManager[Any]]


def data_before_charge() -> AbstractContextManager[Any]:
    """The masked input is made, and its charge only written down afterwards, if the node lives that long."""

    def charge(approved: Any, _ledger: Any, _now: Any) -> Any:
        return contribution.ChargedPlan(approved=approved)

    return patch.object(rounds, "charge", charge)


@contextlib.contextmanager
def ledger_not_waited_for() -> Iterator[None]:
    """The ledger's file says that it is on the disk before it is."""
    configure = durable_sqlite._configure

    def hasty(connection: Any) -> None:
        configure(connection)
        connection.execute("PRAGMA synchronous=OFF")

    with patch.object(durable_sqlite, "_configure", hasty):
        yield


@contextlib.contextmanager
def answers_not_waited_for() -> Iterator[None]:
    """So does the coordinator's store."""
    open_store = parties.open_store

    def hasty(url: str) -> Any:
        store = open_store(url)
        with store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
        return store

    with patch.object(parties, "open_store", hasty):
        yield


def lost_mask_left_in() -> AbstractContextManager[Any]:
    """The masks that a lost council leaves dangling stay in the sum."""
    return patch.object(aggregator, "lost_work", lambda *_args, **_more: SimpleNamespace(keys=lambda: ()))


@contextlib.contextmanager
def no_deadline() -> Iterator[None]:
    """A stage waits for as long as it takes."""
    exchange = AskBook.exchange

    def patient(book: AskBook, requests: Any, *, timeout_s: float, **more: Any) -> AsyncGenerator[Any, None]:
        return exchange(book, requests, timeout_s=timeout_s * 1000, **more)

    with patch.object(AskBook, "exchange", patient), patch.object(Patience, "over", property(lambda _self: False)):
        yield


def rounds_left_open() -> AbstractContextManager[Any]:
    """A coordinator that starts does not end the rounds of the one before."""

    async def nothing(_desk: ProposalDesk, _found: Any, **_more: Any) -> None:
        pass

    return patch.object(ProposalDesk, "_abandon", nothing)


@contextlib.contextmanager
def no_reason() -> Iterator[None]:
    """A round that ends too small does not say so."""
    failed = _Drive._failed

    def mute(drive: _Drive, problem: Any) -> Any:
        report = failed(drive, problem)
        return type(report)(**{name: getattr(report, name) for name in report.__slots__} | {"rule": "", "reason": ""})

    with (
        patch.object(_Drive, "_failed", mute),
        patch.object(proposal_run.ProposalRun, "_tell_end", lambda run, _rule, _reason: _mute_end(run)),
    ):
        yield


def _mute_end(run: Any) -> None:
    run._office.board.publish(run._digest, proposal_run.RunStage.ABORTED, rule="", message="", final=True)


@contextlib.contextmanager
def answers_owed_to_nobody() -> Iterator[None]:
    """An answer is kept without what is owed to the councils in it."""
    released = OutcomeBook.released

    def forgetful(book: OutcomeBook, *args: Any, owed_to: Any, **more: Any) -> bool:
        return released(book, *args, owed_to=owed_to[:-1], **more)

    with patch.object(OutcomeBook, "released", forgetful):
        yield


def answers_sent_once() -> AbstractContextManager[Any]:
    """A council that was away when the answer was sent is never sent it again."""

    async def nothing(_deliveries: Deliveries, _council: Any) -> None:
        pass

    return patch.object(Deliveries, "deliver_owed", nothing)


def refund_at_start() -> AbstractContextManager[Any]:
    """A node that starts after a crash forgets the rounds that it had reserved or spent."""
    start = parties.Council.boot

    def forgetful(council: Any) -> None:
        for name in council.disk.files if council.life > 1 else ():
            if name.endswith("ledger.db"):
                council.disk.files[name].shown[:] = council.shared.papers.node_images[council.council][name]
                council.disk.files[name].sync()
        start(council)

    return patch.object(parties.Council, "boot", forgetful)


PLANTED: Mapping[str, Planted] = {
    planted.__name__: planted
    for planted in (
        data_before_charge,
        ledger_not_waited_for,
        refund_at_start,
        answers_not_waited_for,
        lost_mask_left_in,
        no_deadline,
        rounds_left_open,
        no_reason,
        answers_owed_to_nobody,
        answers_sent_once,
    )
}
__all__ = ["PLANTED"]
