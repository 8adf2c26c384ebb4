"""The councils' own budget statements, fetched afresh; the furthest one kept where a council does not answer.

The coordinator keeps no account of anybody's budget: it asks, checks who signed, and hands the statement on. What
the figures say is checked by whoever reads them, with `federated.budget_statement`.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from coordinator.office import Office
from coordinator.replies import Objection, read_budget_statement
from coordinator.store import BudgetRow
from federated.budget_statement import STATEMENT_KIND
from federated.errors import SignatureProblem
from federated.signing import statement_type, unsafe_payload
from protocols.identifiers import CouncilId
from protocols.wire.link_message import NO_REFERENCE, Kind

__all__ = ["Budgets"]


class Budgets:
    """Asks councils for their budget statements.

    Args:
        office: What the coordinator's parts share.
    """

    def __init__(self, office: Office) -> None:
        self._office = office

    async def statements(self, councils: Sequence[CouncilId]) -> Mapping[CouncilId, bytes]:
        """The newest signed statement of each of these councils that ever gave one.

        Only councils that are connected are asked: a reviewer should not wait for one that is switched off.
        """
        connected = self._office.courier.connected()
        fresh = await self._fetch([council for council in councils if council in connected])
        missing = [council for council in councils if council not in fresh]
        kept = await self._office.thread(self._office.store.membership.budgets, missing) if missing else ()
        found = {row.council: row.envelope for row in kept if self._holds(row)} | fresh
        return {council: found[council] for council in sorted(found)}

    def _holds(self, row: BudgetRow) -> bool:
        """Whether a kept statement is signed with the key that the council has on the list now.

        One from before it lost its key would have every reader refuse the whole reply.
        """
        roster = self._office.membership.roster
        entry = None if roster is None else roster.councils.get(row.council)
        if entry is None:
            return False
        try:
            read_budget_statement(row.envelope, council=row.council, key=entry.public_key)
        except SignatureProblem:
            return False
        return True

    async def _fetch(self, councils: Sequence[CouncilId]) -> dict[CouncilId, bytes]:
        fresh: dict[CouncilId, bytes] = {}
        office = self._office
        identities = office.identities()
        payloads = dict.fromkeys(councils, b"")
        asking = office.courier.ask(
            Kind.BUDGET_REQUEST, NO_REFERENCE, payloads, timeout_s=office.settings.stages.budget
        )
        async with aclosing(asking) as answers:
            async for council, answer in answers:
                if isinstance(answer, Objection) or council not in identities:
                    continue
                try:
                    read_budget_statement(answer.payload, council=council, key=identities[council])
                except SignatureProblem:
                    continue  # the last good one is served instead
                fresh[council] = answer.payload
        now = office.clock()
        before = await office.thread(office.store.membership.budgets, list(fresh)) if fresh else ()
        furthest = {row.council: _entries(row.envelope) for row in before}
        # One of a ledger that went backwards takes no other's place: a council that lost its ledger will need that one.
        rows = [
            BudgetRow(council=council, envelope=given, received_at=now)
            for council, given in fresh.items()
            if _entries(given) >= furthest.get(council, 0)
        ]
        if rows:
            await office.thread(office.store.membership.keep_budgets, rows)
        return fresh


def _entries(envelope: bytes) -> int:
    """How far the ledger of a statement had got, by what it says; 0 where it says nothing."""
    try:
        return int(json.loads(unsafe_payload(envelope, statement_type(STATEMENT_KIND)))["counter"])
    except (SignatureProblem, ValueError, KeyError, TypeError):
        return 0
