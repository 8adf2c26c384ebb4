"""What a council that takes the place of others inherits of their privacy budgets: pure rules, no file, no clock.

When councils merge, or one gets a new code, each household has lost what *its* old council spent. The old councils'
households are different ones, so the successor starts with the largest spend of any predecessor, by agreement and
year, and not with the sum: the maximum of pure epsilon, of rho and of draws, each by itself. A later statement of a
predecessor may raise that and never lowers it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from federated.budget_statement import BudgetStatement, PeriodStatement
from federated.errors import PolicyRefusal
from federated.ledger_entries import LostCharge, read_lost, read_number, read_texts
from federated.privacy import Budget, Totals
from protocols.encoding import Json
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest, council_id

__all__ = ["Inheritance", "Predecessor", "check_only_raises", "inheriting_body", "predecessor_of", "read_inherited"]

NOTHING: Final = Totals()

Key = tuple[str, str]
"""Agreement and calendar year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """What one predecessor had spent when it stopped taking part.

    Attributes:
        council: Its code.
        counter: Number of the last entry of its ledger.
        head: Hash of that entry.
        time: When its node signed the statement.
        charges: What it had spent and reserved, one for each agreement and year.
    """

    council: CouncilId
    counter: int
    head: Digest
    time: str
    charges: tuple[LostCharge, ...]

    def body(self) -> Json:
        """As it stands in the body of the entry."""
        return {
            "council": self.council,
            "counter": self.counter,
            "head": self.head.hex(),
            "time": self.time,
            "charges": [charge.body() for charge in self.charges],
        }

    @property
    def totals(self) -> Mapping[Key, Totals]:
        """Its charges by agreement and year."""
        return {(charge.agreement, charge.period): charge.totals for charge in self.charges}


def predecessor_of(statement: BudgetStatement) -> Predecessor:
    """What is inherited from a predecessor's statement: what it spent, and what it had reserved and never settled."""
    return Predecessor(
        council=statement.council,
        counter=statement.counter,
        head=statement.head,
        time=statement.time,
        charges=tuple(_charge(period) for period in statement.periods),
    )


def _charge(period: PeriodStatement) -> LostCharge:
    # A reservation of a council that is gone will never be settled: what cannot be known counts against us.
    held = _sum(period.spent, period.reserved)
    return LostCharge(agreement=period.agreement, period=period.period, totals=held, budget=period.budget)


def check_only_raises(before: Predecessor | None, now: Predecessor) -> None:
    """Refuse a statement that shows less than one inherited from before, or another past.

    Raises:
        PolicyRefusal: `ledger_rollback`.
    """
    if before is None:
        return
    rewritten = now.counter == before.counter and now.head != before.head
    if now.counter < before.counter or rewritten or _is_less(now.totals, before.totals):
        raise PolicyRefusal(
            "ledger_rollback",
            f"This statement of {now.council} shows less than what was inherited from it before, at entry "
            f"{before.counter} of its ledger.",
            remedy="Ask for the predecessor's last statement: an earlier one is never taken.",
        )


def _is_less(now: Mapping[Key, Totals], before: Mapping[Key, Totals]) -> bool:
    return any(_largest(now.get(key, NOTHING), old) != now.get(key, NOTHING) for key, old in before.items())


class Inheritance:
    """What a ledger has inherited so far; only `take` changes it.

    Attributes:
        predecessors: The latest taken from each of them.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.predecessors: dict[CouncilId, Predecessor] = {}

    def take(self, found: Sequence[Predecessor]) -> None:
        """Inherit from these, all or none.

        Raises:
            ValueError: None is given, or one is given twice.
            PolicyRefusal: `ledger_rollback`: one shows less than before.
        """
        if not found or len({item.council for item in found}) < len(found):
            raise ValueError
        for item in found:
            check_only_raises(self.predecessors.get(item.council), item)
        self.predecessors.update({item.council: item for item in found})

    def budgets(self) -> dict[Key, Budget]:
        """The agreements' budgets as the predecessors last knew them."""
        return {(c.agreement, c.period): c.budget for item in self.predecessors.values() for c in item.charges}

    def totals(self, agreement: str, period: str) -> Totals:
        """The largest spend of any predecessor under one agreement in one year."""
        largest = NOTHING
        for item in self.predecessors.values():
            largest = _largest(largest, item.totals.get((agreement, period), NOTHING))
        return largest

    def of_year(self, period: str) -> Totals:
        """The same under all agreements of a year; never less than what any one predecessor spent under all of them."""
        total = NOTHING
        for agreement in sorted({name for name, when in self.budgets() if when == period}):
            total = _sum(total, self.totals(agreement, period))
        return total


def _largest(one: Totals, other: Totals) -> Totals:
    pure = None if one.epsilon is None or other.epsilon is None else max(one.epsilon, other.epsilon)
    return Totals(epsilon=pure, rho=max(one.rho, other.rho), draws=max(one.draws, other.draws))


def _sum(one: Totals, other: Totals) -> Totals:
    pure = None if one.epsilon is None or other.epsilon is None else one.epsilon + other.epsilon
    return Totals(epsilon=pure, rho=one.rho + other.rho, draws=one.draws + other.draws)


def inheriting_body(found: Iterable[Predecessor], *, by: str, roster: Digest) -> dict[str, Json]:
    """The body of the entry, without version and time.

    Args:
        found: What is inherited.
        by: Who did it.
        roster: Digest of the signed list of councils that names the predecessors.
    """
    ordered = sorted(found, key=lambda item: item.council)
    reason = f"the largest spend of {', '.join(item.council for item in ordered)}"
    return {"by": by, "reason": reason, "roster": roster.hex(), "from": [item.body() for item in ordered]}


def read_inherited(body: dict[str, Json]) -> tuple[Predecessor, ...]:
    """The predecessors of an inheriting entry, without version and time; empties the body it reads.

    Raises:
        ValueError: The body is not what such an entry holds; also `KeyError` and `TypeError`.
    """
    found = body.pop("from")
    if not isinstance(found, list):
        raise TypeError
    _, _, roster = read_texts(body, "by", "reason", "roster")
    _digest(roster)
    return tuple(_predecessor(item) for item in found)


def _predecessor(item: Json) -> Predecessor:
    if not isinstance(item, Mapping):
        raise TypeError
    fields = dict(item)
    charges, counter = fields.pop("charges"), read_number(fields.pop("counter"))
    if not isinstance(charges, list):
        raise TypeError
    council, head, time = read_texts(fields, "council", "head", "time")
    return Predecessor(
        council=council_id(council),
        counter=counter,
        head=_digest(head),
        time=time,
        charges=tuple(read_lost(dict(charge)) for charge in charges),
    )


def _digest(text: str) -> Digest:
    content = bytes.fromhex(text)
    if len(content) != DIGEST_SIZE:
        raise ValueError
    return Digest(content)
