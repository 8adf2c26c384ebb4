"""What a ledger's entries hold and how each is written, hashed and read back: pure, no file, no clock.

Each entry is `hash = SHA-256("ledger/v1", counter, kind, body, previous hash)` over length-prefixed fields, so a
change to any entry breaks every later one. Reading is strict: an unknown field or another spelling is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final

from federated.privacy import Budget, Charge, Totals
from federated.timestamps import time_text
from protocols.encoding import Json, canonical_json, digest
from protocols.errors import LocalProtocolError
from protocols.identifiers import DIGEST_SIZE, Digest, RoundId

__all__ = [
    "GENESIS",
    "MARK_BITS",
    "MAX_COUNTER",
    "MAX_MARK",
    "RECONCILED_VERSION",
    "RESERVED_VERSION",
    "AgreementRef",
    "Entry",
    "EntryKind",
    "LedgerRound",
    "LostCharge",
    "RoundState",
    "make_entry",
    "mark_of",
    "period_of",
    "read_lost",
    "read_number",
    "read_round",
    "read_sid",
    "read_texts",
    "stamped",
]

GENESIS: Final = Digest(bytes(DIGEST_SIZE))
"""What the first entry names as its predecessor."""
MAX_COUNTER: Final = 2**30
MARK_BITS: Final = 32
MAX_MARK: Final = MAX_COUNTER << MARK_BITS
RESERVED_VERSION: Final = 2
"""Version of an entry that reserves a charge; version 1 does not say what the question read. Kinds not named have 1."""
RECONCILED_VERSION: Final = 2
"""Version of an entry that reconciles; version 1 does not say how far the lost entries were known."""
NOT_PURE: Final = "none"
"""Text of a charge that has no pure epsilon."""
_EXACT: Final = re.compile(r"[0-9]{1,4000}(?:/[1-9][0-9]{0,3999})?")
_YEAR: Final = re.compile(r"[0-9]{4}")


class EntryKind(StrEnum):
    """What an entry records."""

    OPENED = "opened"
    RESERVED = "reserved"
    SPENT = "spent"
    RELEASED = "released"
    RECONCILED = "reconciled"
    EXHAUSTED = "exhausted"
    INHERITED = "inherited"
    CLOSED = "closed"


class RoundState(StrEnum):
    """Where a round's charge stands. `SPENT` and `RELEASED` are final."""

    RESERVED = "reserved"
    SPENT = "spent"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRef:
    """The agreement a charge falls under."""

    id: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRound:
    """One round's charge.

    Attributes:
        sid: The round; a known one is never charged again, nor run.
        plan_digest: Plan it carries out.
        title: The question's title, for people.
        agreement: Whose budget it falls on.
        period: Calendar year of asking (UTC), for example ``2026``.
        charge: Exact cost to one privacy unit.
        unit: Privacy unit, ``household`` or ``person``.
        budget: The agreement's budget of the period, as it stood then.
        class_2: Whether the question read special category, criminal-offence or immigration columns, which a council
            may cap apart. An entry of version 1 does not say, and then counts as if it had.
        state: Where the charge stands.
        counter: Entry that reserved it.
    """

    sid: RoundId
    plan_digest: Digest
    title: str
    agreement: AgreementRef
    period: str
    charge: Charge
    unit: str
    budget: Budget
    class_2: bool = True
    state: RoundState = RoundState.RESERVED
    counter: int = 0

    def body(self) -> dict[str, Json]:
        """The body of the entry that reserves it, of version 2, without time."""
        return {
            "version": RESERVED_VERSION,
            "class_2": self.class_2,
            "sid": self.sid.hex(),
            "plan_digest": self.plan_digest.hex(),
            "title": self.title,
            "agreement": self.agreement.id,
            "agreement_digest": self.agreement.digest.hex(),
            "period": self.period,
            **_cost(self.charge),
            "unit": self.unit,
            **_limits(self.budget),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LostCharge:
    """Charges of no round of this ledger: lost with a backup and written back, or inherited from a predecessor.

    Attributes:
        agreement: Id of the agreement they fell under.
        period: Calendar year in which they were asked.
        totals: Their sum, for example an earlier budget statement's total less this ledger's.
        budget: The agreement's budget of that year.
    """

    agreement: str
    period: str
    totals: Totals
    budget: Budget

    def body(self) -> Json:
        """As it stands in the body of a reconciling entry."""
        return {
            "agreement": self.agreement,
            "period": self.period,
            **_cost(self.totals),
            **_limits(self.budget),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One link of the chain."""

    counter: int
    kind: EntryKind
    body: Mapping[str, Json]
    previous: Digest
    hash: Digest

    @property
    def row(self) -> tuple[int, str, str, bytes, bytes]:
        """As it is stored."""
        return self.counter, self.kind.value, canonical_json(self.body).decode("ascii"), self.previous, self.hash


def make_entry(counter: int, kind: EntryKind, body: Mapping[str, Json], previous: Digest) -> Entry:
    """Link a body to the chain's head."""
    fields = (counter.to_bytes(8, "big"), kind.value.encode("ascii"), canonical_json(body), previous)
    return Entry(counter=counter, kind=kind, body=body, previous=previous, hash=digest("ledger/v1", *fields))


def mark_of(counter: int, head: bytes) -> int:
    """What a peer remembers of an advert, in 8 bytes: the number of the ledger's last entry, then 4 of its hash.

    The number alone would not do: a ledger that was put back grows past it again, with other entries.
    """
    return counter << MARK_BITS | int.from_bytes(head[: MARK_BITS // 8], "big")


def stamped(now: datetime, body: Mapping[str, Json]) -> dict[str, Json]:
    """A body with its time, and with version 1 unless it says another.

    Raises:
        LocalProtocolError: `now` has no time zone, so it does not say which moment it means.
    """
    return {"version": 1, "time": time_text(_aware(now)), **body}


def period_of(now: datetime) -> str:
    """The budget period a moment falls in: the calendar year (UTC) of asking, whatever data is asked about."""
    return time_text(_aware(now))[:4]


def _aware(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise LocalProtocolError("a time needs a time zone: pass UTC")
    return now


def _limits(budget: Budget) -> dict[str, Json]:
    return {"budget_epsilon": str(budget.epsilon), "budget_delta": str(budget.delta)}


def _cost(cost: Charge | Totals) -> dict[str, Json]:
    epsilon = NOT_PURE if cost.epsilon is None else str(cost.epsilon)
    return {"epsilon": epsilon, "rho": str(cost.rho), "draws": cost.draws}


def read_texts(body: Mapping[str, Json], *names: str) -> tuple[str, ...]:
    """The fields of a body that holds these texts and nothing else. This and the readers below raise `ValueError`."""
    if set(body) != set(names):
        raise ValueError
    return tuple(_text(body[name]) for name in names)


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def read_number(value: Json) -> int:
    """A whole number of at least 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def _yes_or_no(value: Json) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _exact(value: Json) -> Fraction:
    if not isinstance(value, str) or not _EXACT.fullmatch(value):
        raise ValueError
    return Fraction(value)


def _digest(value: Json) -> Digest:
    content = bytes.fromhex(value) if isinstance(value, str) else b""
    if len(content) != DIGEST_SIZE:
        raise ValueError
    return Digest(content)


def read_sid(body: Mapping[str, Json]) -> RoundId:
    """The round of a body that names a round and nothing else."""
    (sid,) = read_texts(body, "sid")
    return RoundId(_digest(sid))


def _totals(body: dict[str, Json]) -> Totals:
    epsilon = body.pop("epsilon")
    pure = None if epsilon == NOT_PURE else _exact(epsilon)
    return Totals(epsilon=pure, rho=_exact(body.pop("rho")), draws=read_number(body.pop("draws")))


def _budget(body: dict[str, Json]) -> Budget:
    return Budget(epsilon=_exact(body.pop("budget_epsilon")), delta=_exact(body.pop("budget_delta")))


def _year(value: Json) -> str:
    if not isinstance(value, str) or not _YEAR.fullmatch(value):
        raise ValueError
    return value


def read_lost(body: dict[str, Json]) -> LostCharge:
    """A charge written back when the ledger was reconciled; empties the body it reads."""
    totals, period, budget = _totals(body), _year(body.pop("period")), _budget(body)
    return LostCharge(agreement=read_texts(body, "agreement")[0], period=period, totals=totals, budget=budget)


def read_round(body: dict[str, Json], counter: int, *, version: int) -> LedgerRound:
    """The round of a reserving entry, without version and time; empties the body it reads."""
    class_2 = _yes_or_no(body.pop("class_2")) if version == RESERVED_VERSION else True
    cost, period = _totals(body), _year(body.pop("period"))
    charge = Charge(epsilon=cost.epsilon, rho=cost.rho, draws=cost.draws)
    sid, plan_digest = RoundId(_digest(body.pop("sid"))), _digest(body.pop("plan_digest"))
    agreement_digest = _digest(body.pop("agreement_digest"))
    budget = _budget(body)
    title, agreement, unit = read_texts(body, "title", "agreement", "unit")
    return LedgerRound(
        sid=sid,
        plan_digest=plan_digest,
        title=title,
        agreement=AgreementRef(id=agreement, digest=agreement_digest),
        period=period,
        charge=charge,
        unit=unit,
        budget=budget,
        class_2=class_2,
        counter=counter,
    )
