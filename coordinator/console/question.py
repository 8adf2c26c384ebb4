"""What the register says of a question, read off its signed plan and manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from coordinator.proposal_states import OPEN
from coordinator.store import ProposalRow
from federated.manifest import MANIFEST_TYPE, Manifest, parse_manifest
from federated.plan import PLAN_TYPE, Terms, read_terms
from federated.privacy import Charge
from federated.signing import unsafe_payload

__all__ = ["QuestionFacts", "charge_of", "manifest_of", "title_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionFacts:
    """A plan's own figures. The plan was derived anew when it came in, so they follow from its question.

    Attributes:
        charge: What the whole answer costs.
        round_charge: What one round costs.
        rounds: That the answer takes.
        councils: Codes of those asked.
    """

    title: str
    dataset: str
    unit: str
    period: tuple[str, str]
    agreement: str
    mechanism: str
    cells: int
    tables: tuple[str, ...]
    charge: Charge
    round_charge: Charge
    rounds: int
    delta: Fraction
    councils: tuple[str, ...]
    fewest: int
    terms: Terms

    @classmethod
    def read(cls, row: ProposalRow) -> "QuestionFacts":
        """From the plan as signed."""
        plan = _plan(row)
        question, period = plan["question"], plan["question"]["period"]
        return cls(
            title=str(question["title"]),
            dataset=str(question["dataset"]),
            unit=str(question["unit"]),
            period=(str(period["from"]), str(period["to"])),
            agreement=str(plan["agreement"]["id"]),
            mechanism=str(plan["mechanism"]),
            cells=int(plan["cells"]),
            tables=tuple(str(table["name"]) for table in plan["tables"]),
            charge=charge_of(plan),
            round_charge=_round_charge(plan),
            rounds=max(1, int(plan["rounds"])),
            delta=Fraction(plan["delta"]),
            councils=tuple(plan["eligible"]),
            fewest=int(plan["cohort"]["min_cohort"]),
            terms=read_terms(plan["terms"]),
        )

    def overdue(self, row: ProposalRow, now: datetime) -> bool:
        """Whether the answer was promised by now, and the question is still open."""
        return row.state in OPEN and now > self.terms.return_by


def title_of(row: ProposalRow) -> str:
    """The question's title."""
    return str(_plan(row)["question"]["title"])


def charge_of(plan: Mapping[str, Any]) -> Charge:
    """What a plan's answer costs, from its canonical JSON."""
    claimed = plan["charge"]
    epsilon = claimed["epsilon"]
    return Charge(
        epsilon=None if epsilon is None else Fraction(epsilon),
        rho=Fraction(claimed["rho"]),
        draws=int(claimed["draws"]),
    )


def manifest_of(row: ProposalRow) -> Manifest:
    """The manifest as signed."""
    return parse_manifest(unsafe_payload(row.manifest_envelope, MANIFEST_TYPE))


def _plan(row: ProposalRow) -> dict[str, Any]:
    # Signature and content were checked when it came in, before it was kept.
    plan: dict[str, Any] = json.loads(unsafe_payload(row.plan_envelope, PLAN_TYPE))
    return plan


def _round_charge(plan: Mapping[str, Any]) -> Charge:
    whole, rounds = charge_of(plan), max(1, int(plan["rounds"]))
    if rounds == 1:
        return whole
    return Charge(epsilon=None, rho=Fraction(plan["round_charge"]["rho"]), draws=whole.draws // rounds)
