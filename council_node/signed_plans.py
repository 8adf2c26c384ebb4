"""Opening a signed plan against pinned papers: the first checks of step 3, the same for every party that makes them."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from council_node.pinned_papers import PinnedPapers
from federated.agreement import Agreement
from federated.errors import SignatureProblem
from federated.plan import MAX_PLAN_BYTES, PLAN_TYPE, Plan, open_plan
from federated.roster import Roster
from federated.schema import Schema
from federated.signing import open_envelope, unsafe_payload
from protocols.encoding import sha256
from protocols.identifiers import Digest

__all__ = ["PLANS_KEPT", "OpenedPlan", "PlanReader"]

ENVELOPE_LIMIT: Final = 2 * MAX_PLAN_BYTES
PLANS_KEPT: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPlan:
    """A plan whose signature holds and whose figures follow from its question, and the agreement it is under."""

    plan: Plan
    agreement: Agreement


class PlanReader:
    """Opens plans; remembers the last of them.

    Args:
        papers: The agreements and the list of councils that they are held against.
        schema: The data dictionary.
    """

    def __init__(self, papers: PinnedPapers, schema: Schema) -> None:
        self._papers = papers
        self._schema = schema
        self._plans: dict[tuple[Digest, Digest, Digest], Plan] = {}

    def open(self, envelope: bytes, digest: Digest, now: datetime) -> OpenedPlan:
        """Check a plan and give it with its agreement.

        Checks, in order: (0) the analyst's signature, under an agreement that this party accepted; (1) the list of
        councils in force; (2) every figure of the plan, derived again from the question.

        Args:
            envelope: The plan as signed.
            digest: Of the plan it is said to be.
            now: Time, UTC.

        Raises:
            FederatedError: A check fails; a refusal names its rule.
        """
        agreement = self._papers.agreement(_agreement_id(envelope), now)
        content = open_envelope(envelope, PLAN_TYPE, agreement.analyst_keys, limit=ENVELOPE_LIMIT).payload  # (0)
        if sha256(content) != digest:
            raise SignatureProblem("The proposal is not the plan it is said to be.")
        roster = self._papers.roster(now)  # (1)
        return OpenedPlan(plan=self._plan(content, agreement, roster), agreement=agreement)  # (2)

    def _plan(self, content: bytes, agreement: Agreement, roster: Roster) -> Plan:
        """The plan, derived once for the same bytes, agreement and roster: it is a pure function of these."""
        name = (sha256(content), agreement.digest, roster.digest)
        if name not in self._plans:
            while len(self._plans) >= PLANS_KEPT:
                self._plans.pop(next(iter(self._plans)))
            self._plans[name] = open_plan(content, agreement=agreement, roster=roster, schema=self._schema)
        return self._plans[name]


def _agreement_id(envelope: bytes) -> str:
    """Which agreement the plan says it is under: only to look up the keys it must be signed by."""
    try:
        return str(json.loads(unsafe_payload(envelope, PLAN_TYPE, limit=ENVELOPE_LIMIT))["agreement"]["id"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SignatureProblem("The plan does not say which agreement it is under.") from error
