"""What the ledger's tests share: charges, times and a short way to reserve."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from council_node.ledger import Ledger
from federated.ledger_entries import AgreementRef, Entry
from federated.privacy import Budget, Charge
from protocols.identifiers import CouncilId, Digest, RoundId

ME = CouncilId("E06000001")
PEERS = (CouncilId("E06000002"), CouncilId("E06000003"))
NOW = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
NEXT_YEAR = NOW + timedelta(days=365)
BUDGET = Budget(epsilon=Fraction(2), delta=Fraction(1, 10**6))
PURE = Charge(epsilon=Fraction(1, 2), rho=Fraction(1, 8), draws=100)
GAUSSIAN = Charge(epsilon=None, rho=Fraction(1, 200), draws=50)


def digest_of(text: str) -> Digest:
    return Digest(hashlib.sha256(text.encode()).digest())


def sid_of(text: str) -> RoundId:
    return RoundId(digest_of(text))


AGREEMENT = AgreementRef(id="north-east-2026", digest=digest_of("agreement"))
OTHER_AGREEMENT = AgreementRef(id="england-2026", digest=digest_of("other agreement"))


def reserve(ledger: Ledger, name: str, *, plan: str | None = None, **changes) -> Entry:
    wanted = {
        "sid": sid_of(name),
        "plan_digest": digest_of(plan or f"plan {name}"),
        "title": "Households owed a duty",
        "charge": PURE,
        "unit": "household",
        "agreement": AGREEMENT,
        "budget": BUDGET,
        "cap": None,
        "class_2": False,
        "attempts": 2,
        "now": NOW,
    }
    return ledger.reserve(**{**wanted, **changes})


def make_spent_ledger(folder: Path) -> Path:
    """The file of a ledger of two rounds, both spent."""
    path = folder / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger:
        for name in ("a", "b"):
            reserve(ledger, name)
            ledger.spend(sid_of(name), NOW)
    return path


@dataclass(frozen=True)
class Claim:
    counter: int
    seen: tuple[int, ...]
    head: bytes = bytes(32)
