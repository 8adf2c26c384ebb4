"""What a council says about its own privacy budget, signed by its node and checked by anyone.

The node fills a `BudgetStatement` from its ledger and signs its bytes as a ``budget-statement`` (DSSE). A reviewer
opens it with the council's public key from the roster, and `read_statement` works every figure out again; with an
earlier statement at hand, `check_succession` finds a ledger that went backwards.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

from federated.errors import FileProblem, PolicyRefusal
from federated.privacy import Budget, Totals, zcdp_epsilon
from federated.privacy.budget import FILTER_SHARE_OF_DELTA
from protocols.encoding import Json, canonical_json
from protocols.errors import ProtocolError
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest, council_id

__all__ = [
    "STATEMENT_KIND",
    "BudgetStatement",
    "PeriodStatement",
    "check_succession",
    "committed",
    "equivalent_epsilon",
    "read_statement",
]

STATEMENT_KIND: Final = "budget-statement"
"""Kind of signed statement, for `federated.signing.sign_statement`."""
CLOSED_VERSION: Final = 2
"""Version of the last statement of a ledger that was closed; all others are of 1."""
NOT_PURE: Final = "not pure"
MILLIONTHS: Final = 10**6
_EXACT: Final = re.compile(r"[0-9]{1,4000}(?:/[1-9][0-9]{0,3999})?")
_DECIMAL: Final = re.compile(r"[0-9]{1,40}\.[0-9]{6}")


def equivalent_epsilon(totals: Totals, delta: Fraction) -> Fraction:
    """The epsilon that these charges amount to at `delta`: an upper bound, in whole millionths.

    The smaller of the pure sum (where every charge was pure) and the conversion of the zCDP sum, at the part of
    delta that the filter decides at.
    """
    converted = zcdp_epsilon(totals.rho, delta * FILTER_SHARE_OF_DELTA)
    smaller = converted if totals.epsilon is None else min(converted, totals.epsilon)
    return Fraction(ceil(smaller * MILLIONTHS), MILLIONTHS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodStatement:
    """Where one agreement's budget of one calendar year stands.

    Attributes:
        agreement: Id of the agreement.
        period: Calendar year of asking.
        budget: The agreement's budget, as of the latest question.
        spent: Charges of rounds in which the masked input was or may have been sent.
        reserved: Charges of rounds under way.
        rounds: Number of rounds charged.
    """

    agreement: str
    period: str
    budget: Budget
    spent: Totals
    reserved: Totals
    rounds: int

    @property
    def equivalent(self) -> Fraction:
        """`equivalent_epsilon` of what is spent."""
        return equivalent_epsilon(self.spent, self.budget.delta)

    def canonical(self) -> Json:
        """As canonical JSON; exact rationals are text."""
        return {
            "agreement": self.agreement,
            "period": self.period,
            "budget": {"epsilon": str(self.budget.epsilon), "delta": str(self.budget.delta)},
            "spent": _totals_json(self.spent),
            "reserved": _totals_json(self.reserved),
            "equivalent_epsilon": _decimal(self.equivalent),
            "rounds": self.rounds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatement:
    """One council's ledger at one moment.

    Attributes:
        council: Whose ledger.
        counter: Number of its last entry.
        head: Hash of its last entry, which fixes every entry before it.
        time: When, as `federated.timestamps` writes it.
        exhausted: The ledger takes no charge until the council's reviewer has reconciled it.
        periods: Sorted by agreement and period.
        closed: The ledger takes no charge ever again, so this is its last word: what a successor inherits.
    """

    council: CouncilId
    counter: int
    head: Digest
    time: str
    exhausted: bool
    periods: tuple[PeriodStatement, ...]
    closed: bool = False

    def canonical(self) -> dict[str, Json]:
        """The body to sign: of version 2 for a ledger that is closed, else of version 1."""
        return {
            "version": CLOSED_VERSION if self.closed else 1,
            "council": self.council,
            "counter": self.counter,
            "head": self.head.hex(),
            "time": self.time,
            "exhausted": self.exhausted,
            "periods": [period.canonical() for period in self.periods],
            **({"closed": True} if self.closed else {}),
        }


def read_statement(payload: bytes, *, council: CouncilId) -> BudgetStatement:
    """Read a statement's signed bytes and work its figures out again. Run by the reviewer and the coordinator.

    Args:
        payload: Content of the envelope, after its signature was checked with the council's key.
        council: Whose key that was.

    Raises:
        FileProblem: Not a statement of version 1 or 2, of another council, or with a figure that does not follow from
            the others.
    """
    try:
        claimed = json.loads(payload)
        statement = _statement(claimed)
        derived = canonical_json(statement.canonical())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ProtocolError) as error:
        raise FileProblem(
            "This is not a budget statement of version 1 or 2.", remedy="Ask the council's node for a new one."
        ) from error
    if statement.council != council:
        raise FileProblem(
            f"The budget statement speaks of council {statement.council}, but {council} signed it.",
            remedy="Do not use it; tell the reviewer of both councils.",
        )
    if derived != payload:
        raise FileProblem(
            f"The budget statement of {council} does not add up: its equivalent epsilon or its form is not "
            "what follows from its own figures.",
            remedy="Ask the council's reviewer.",
        )
    return statement


def check_succession(earlier: BudgetStatement, later: BudgetStatement) -> None:
    """Hold a later statement of the same council against an earlier one.

    Raises:
        PolicyRefusal: `ledger_rollback`: the ledger went backwards, or its history was rewritten.
    """
    same_place = earlier.counter == later.counter
    if later.counter < earlier.counter or (same_place and earlier.head != later.head):
        raise PolicyRefusal(
            "ledger_rollback",
            f"The ledger of {later.council} stood at entry {earlier.counter} before and now shows another past.",
            remedy="Ask the council's reviewer whether it was restored from a backup.",
        )
    now = {(period.agreement, period.period): period.spent for period in later.periods}
    for period in earlier.periods:
        if _shrank(period.spent, now.get((period.agreement, period.period))):
            raise PolicyRefusal(
                "ledger_rollback",
                f"The ledger of {later.council} shows less spent than before under {period.agreement}.",
                remedy="Ask the council's reviewer whether charges were lost with a backup.",
            )


def _shrank(before: Totals, after: Totals | None) -> bool:
    if after is None:
        return True
    pure_again = before.epsilon is None and after.epsilon is not None
    less_pure = before.epsilon is not None and after.epsilon is not None and after.epsilon < before.epsilon
    return pure_again or less_pure or after.rho < before.rho or after.draws < before.draws


def _decimal(value: Fraction) -> str:
    whole, rest = divmod(value.numerator * (MILLIONTHS // value.denominator), MILLIONTHS)
    return f"{whole}.{rest:06d}"


def _totals_json(totals: Totals) -> Json:
    epsilon = NOT_PURE if totals.epsilon is None else str(totals.epsilon)
    return {"epsilon": epsilon, "rho": str(totals.rho), "draws": totals.draws}


def _statement(body: Mapping[str, Json]) -> BudgetStatement:
    exhausted, periods = body["exhausted"], body["periods"]
    # Its form is compared afterwards, so "closed" is true with version 2 and absent with version 1.
    if body["version"] not in {1, CLOSED_VERSION} or not isinstance(exhausted, bool) or not isinstance(periods, list):
        raise ValueError
    head = bytes.fromhex(_text(body["head"]))
    if len(head) != DIGEST_SIZE:
        raise ValueError
    return BudgetStatement(
        council=council_id(_text(body["council"])),
        counter=_count(body["counter"]),
        head=Digest(head),
        time=_text(body["time"]),
        exhausted=exhausted,
        periods=tuple(_period(item) for item in periods),
        closed=body["version"] == CLOSED_VERSION,
    )


def _period(body: Mapping[str, Json]) -> PeriodStatement:
    budget = body["budget"]
    if not isinstance(budget, Mapping) or not _DECIMAL.fullmatch(_text(body["equivalent_epsilon"])):
        raise TypeError
    return PeriodStatement(
        agreement=_text(body["agreement"]),
        period=_text(body["period"]),
        budget=Budget(epsilon=_exact(budget["epsilon"]), delta=_exact(budget["delta"])),
        spent=_totals(body["spent"]),
        reserved=_totals(body["reserved"]),
        rounds=_count(body["rounds"]),
    )


def _totals(body: Json) -> Totals:
    if not isinstance(body, Mapping):
        raise TypeError
    epsilon = None if body["epsilon"] == NOT_PURE else _exact(body["epsilon"])
    return Totals(epsilon=epsilon, rho=_exact(body["rho"]), draws=_count(body["draws"]))


def _exact(value: Json) -> Fraction:
    if not _EXACT.fullmatch(_text(value)):
        raise ValueError
    return Fraction(_text(value))


def _count(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def committed(statement: BudgetStatement, agreement: str, period: str) -> Totals:
    """What a council has spent and reserved under an agreement in a year."""
    for item in statement.periods:
        if (item.agreement, item.period) == (agreement, period):
            pure = item.spent.epsilon is not None and item.reserved.epsilon is not None
            return Totals(
                epsilon=(item.spent.epsilon or Fraction(0)) + (item.reserved.epsilon or Fraction(0)) if pure else None,
                rho=item.spent.rho + item.reserved.rho,
                draws=item.spent.draws + item.reserved.draws,
            )
    return Totals()
