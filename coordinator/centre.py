"""The coordinator as one object, without sockets: its parts put together, started and stopped.

`coordinator.serve` gives it a gRPC link and a server, `coordinator.simulate` an in-process link.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Final, ParamSpec, TypeVar

from coordinator.budgets import Budgets
from coordinator.holding import Holding
from coordinator.inbox import Inbox
from coordinator.office import Office
from coordinator.presence import Presence
from coordinator.proposal_run import Crew
from coordinator.proposals import ProposalDesk
from coordinator.publish import Deliveries
from coordinator.roster import Membership, load_membership, membership_mark
from coordinator.rounds import RoundDriver
from coordinator.turns import Turns
from protocols.identifiers import CouncilId
from protocols.secagg import sum_masks
from protocols.secagg.mask_removal import MaskSum
from protocols.wire.link_message import NO_REFERENCE, Kind

__all__ = ["Centre"]

_STOP_S: Final = 2.0

P = ParamSpec("P")
T = TypeVar("T")


class Centre:
    """A running coordinator.

    Attributes:
        desk: Takes plans.
        inbox: Takes those that came over the web.
        budgets: Fetches budget statements.
        presence: Who is connected and up to date.

    Args:
        office: What the parts share.
        greet: Give councils the roster, and what they are owed, when they connect; off in one process, where nobody
            connects.
        sum_of: Sums masks when a round finishes.
    """

    def __init__(self, office: Office, *, greet: bool = True, sum_of: MaskSum = sum_masks) -> None:
        self._office = office
        self._deliveries = Deliveries(office)
        self.presence = Presence(office, greet=self._greet if greet else None)
        driver = RoundDriver(
            office.courier,
            timeouts=office.settings.stages,
            board=office.board,
            still_acting=office.still_acting,
            sum_of=sum_of,
        )
        rounds = office.settings.rounds
        self._turns = Turns(rounds.at_once, at_most=rounds.at_most, long_s=rounds.long)
        crew = Crew(
            presence=self.presence,
            driver=driver,
            holding=Holding(office.courier, office.settings.stages),
            deliveries=self._deliveries,
            turns=self._turns,
        )
        self.desk = ProposalDesk(office, crew)
        self.inbox = Inbox(office, self.desk.submit)
        self.budgets = Budgets(office)
        self._mark: object = None

    async def start(self) -> None:
        """Tidy up after an earlier stop, and go on with what was waiting."""
        await self.desk.recover()

    @property
    def rounds_under_way(self) -> int:
        """How many rounds run."""
        return self._turns.taken

    def require_roster(self) -> None:
        """Check that there is a roster in force.

        Raises:
            FederatedError: There is none.
        """
        self._office.membership.require_roster()

    async def drain(self, *, timeout_s: float) -> None:
        """Begin no further round, and give those under way so long to end."""
        self._turns.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._turns.idle()

    async def stop(self, *, timeout_s: float = _STOP_S) -> None:
        """Stop every run, end rounds under way and tell their councils; the link must still be up.

        Args:
            timeout_s: Seconds that messages on their way are given to arrive.
        """
        await self.desk.stop()
        await self.desk.end_own_rounds()
        await self._office.settle(timeout_s=timeout_s)
        self._office.thread.close()

    async def in_store(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call to the store in its turn."""
        return await self._office.thread(call, *args, **kwargs)

    async def refresh(self) -> None:
        """Read the roster and the agreements again if they changed, and hand a new roster to everyone connected."""
        office = self._office
        now = office.clock()
        mark = await office.thread(membership_mark, office.settings, office.store, now)
        if mark == self._mark:
            return
        found = await office.thread(load_membership, office.settings, office.store, now)
        self._mark = mark
        changed = found.roster_envelope != office.membership.roster_envelope
        self._note_problems(found)
        office.membership = found
        if changed and found.roster is not None:
            office.note("roster_in_force", {"epoch": found.roster.epoch, "councils": len(found.roster.councils)})
            self.presence.greet_all()

    def _note_problems(self, found: Membership) -> None:
        for problem in found.problems:
            if problem not in self._office.membership.problems:
                self._office.note("file_not_in_force", {"problem": problem})

    async def _greet(self, council: CouncilId) -> None:
        await self._send_roster(council)
        self._office.background(self._deliveries.deliver_owed(council))

    async def _send_roster(self, council: CouncilId) -> None:
        office = self._office
        envelope = office.membership.roster_envelope
        timeout_s = office.settings.stages.delivery
        asking = office.courier.ask(Kind.ROSTER, NO_REFERENCE, {council: envelope}, timeout_s=timeout_s)
        async with aclosing(asking) as answers:
            async for _council, _answer in answers:
                pass  # a node that will not have it says so in its own log, and refuses what it does not like
