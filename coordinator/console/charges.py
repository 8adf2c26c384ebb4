"""Which question each charge of a council was for, by the rounds that the coordinator ran.

The council's own ledger is at the council. The coordinator knows which rounds a council was invited to and where it was
lost, and so whether the round was charged: a node spends before it reads a record, that is, before its masked input.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from coordinator.console.desk import Desk, KeyPages, cut
from coordinator.console.evidence import Check
from coordinator.console.question import QuestionFacts
from coordinator.progress import RunStage
from coordinator.store import Place, ProposalRow, RoundCouncilRow, RoundRow
from federated.attacker_words import shown_up
from federated.budget_statement import BudgetStatement, PeriodStatement
from federated.privacy import Charge, Totals
from federated.timestamps import parse_time, time_text
from protocols.identifiers import CouncilId, Digest

__all__ = ["LINES", "Charged", "Line", "account_check", "lines_of"]

LINES: Final = 25
"""Rounds on one page."""
MOST_ADDED: Final = 1000
"""Rounds of a council that one press of the button adds up."""
NOT_YET: Final = frozenset({RunStage.ADVERTISE_KEYS.label, RunStage.SHARE_KEYS.label})
"""Stages before a node has spent anything."""
ROUNDING: Final = Fraction(1, 1 << 63)
"""A ledger's sums are rounded up on a finer grid than this, one charge at a time."""


class Charged(StrEnum):
    """Whether a round was charged to a council."""

    YES = "yes"
    PERHAPS = "perhaps"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One round of a council.

    Attributes:
        row: The question.
        charged: Whether the council was charged.
        epsilon: Of the round, rounded up; None when it was not pure.
        rho: Of the round, rounded up.
        release: Digest of the answer, if the question has one.
    """

    row: ProposalRow
    title: str
    agreement: str
    plan: str
    manifest: str
    sid: str
    at: str
    charged: Charged
    charge: Charge
    epsilon: str | None
    rho: str
    release: str | None


def lines_of(
    desk: Desk, council: CouncilId, agreements: frozenset[str], *, start: Place | None, newer: bool
) -> tuple[tuple[Line, ...], KeyPages]:
    """One page of a council's rounds, newest first; those under other agreements are left out of it."""
    found = desk.store.rounds.of_council(council, size=LINES + 1, start=start, newer=newer)
    part, pages = cut(
        found, LINES, start=start, newer=newer, identity=lambda one: one[0].sid, address=f"/budgets/{council}?"
    )
    lines = _lines(desk, part)
    return tuple(line for line in lines if line.agreement in agreements), pages


def account_check(desk: Desk, council: CouncilId, statement: BudgetStatement, period: PeriodStatement) -> Check:
    """Whether the rounds that the coordinator ran explain what a council's statement says it has spent."""
    what = f"Sum under {period.agreement} in {period.period}"
    found = desk.store.rounds.of_council(council, size=MOST_ADDED + 1)
    if len(found) > MOST_ADDED:
        said = (
            f"Not added up: there are more than {MOST_ADDED:,} rounds. `federated budgets` and a copy of the ledger do."
        )
        return Check(what=what, holds=False, said=said)
    until = parse_time(statement.time)
    mine = [
        line
        for line in reversed(_lines(desk, found))
        if line.agreement == period.agreement and line.at[:4] == period.period and parse_time(line.at) <= until
    ]
    sure = _sum(line.charge for line in mine if line.charged is Charged.YES)
    most = _sum(line.charge for line in mine if line.charged is not Charged.NO)
    slack = len(mine) * ROUNDING
    explained = sure.rho <= period.spent.rho + slack and period.spent.rho <= most.rho + slack
    counted = f"rho {shown_up(sure.rho, decimals=6)}"
    if most.rho != sure.rho:
        counted += f" to {shown_up(most.rho, decimals=6)}"
    said = (
        f"The {len(mine)} rounds that this coordinator ran come to {counted}; the council states "
        f"{shown_up(period.spent.rho, decimals=6)}."
    )
    if explained:
        return Check(what=what, holds=True, said=said)
    return Check(what=what, holds=False, said=f"{said} Ask the council's reviewer for its ledger.")


def _sum(charges: Iterable[Charge]) -> Totals:
    total = Totals()
    for charge in charges:
        total = total.plus(charge)
    return total


def _lines(desk: Desk, found: tuple[tuple[RoundRow, RoundCouncilRow], ...]) -> tuple[Line, ...]:
    plans = {row.plan_digest for row, _ in found}
    proposals = desk.store.proposals.several(plans)
    releases = desk.store.releases.digests_of(plans)
    facts = {digest: QuestionFacts.read(row) for digest, row in proposals.items()}
    return tuple(_line(row, part, proposals, facts, releases) for row, part in found)


def _line(
    row: RoundRow,
    part: RoundCouncilRow,
    proposals: dict[Digest, ProposalRow],
    facts: dict[Digest, QuestionFacts],
    releases: dict[Digest, Digest],
) -> Line:
    known, charge = facts[row.plan_digest], facts[row.plan_digest].round_charge
    release = releases.get(row.plan_digest)
    return Line(
        row=proposals[row.plan_digest],
        title=known.title,
        agreement=known.agreement,
        plan=row.plan_digest.hex(),
        manifest=known.terms.manifest_digest.hex(),
        sid=row.sid.hex(),
        at=time_text(row.started_at),
        charged=_charged(part),
        charge=charge,
        epsilon=None if charge.epsilon is None else shown_up(charge.epsilon),
        rho=shown_up(charge.rho, decimals=6),
        release=None if release is None else release.hex(),
    )


def _charged(part: RoundCouncilRow) -> Charged:
    if part.outcome == "contributed":
        return Charged.YES
    return Charged.NO if part.stage in NOT_YET else Charged.PERHAPS
