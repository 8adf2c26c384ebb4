"""What every party of a round must agree on before the first message."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from protocols.encoding import digest
from protocols.envelope import IDENTITY_KEY_SIZE
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest, RoundId
from protocols.ring import Ring
from protocols.secagg.cohort import CohortRules
from protocols.suite import Suite
from protocols.wire.codec import unsigned

NONCE_SIZE: Final = 32
COUNTER_SIZE: Final = 8
_ILL_FORMED: Final = "a ledger claim has counters of 8 bytes without sign and a head of 32 bytes"


def round_id(
    *,
    plan_digest: Digest,
    roster_digest: Digest,
    coordinator_id: str,
    attempt: int,
    nonce: bytes,
    counted_at: bytes = b"",
) -> RoundId:
    """`sid`, the one name of a round (`protocol.md` 1.2); a node refuses one it has seen.

    Args:
        plan_digest: SHA-256 of the plan's bytes.
        roster_digest: SHA-256 of the roster's bytes.
        coordinator_id: As the roster names it.
        attempt: 1 for the first round of a plan.
        nonce: 32 random bytes of the coordinator.
        counted_at: Where the plan takes several rounds, which one this is and what public point it is counted at: so
            the round's name, and with it every key and mask, differs between nodes that were told different points.

    Raises:
        LocalProtocolError: A digest or the nonce is not 32 bytes, or the attempt is below 1.
    """
    if len(plan_digest) != DIGEST_SIZE or len(roster_digest) != DIGEST_SIZE or len(nonce) != NONCE_SIZE or attempt < 1:
        raise LocalProtocolError("a round id needs two digests and a nonce of 32 bytes each, and an attempt from 1")
    attempt_bytes = unsigned(attempt, 4)
    fields = [plan_digest, roster_digest, coordinator_id.encode(), attempt_bytes, nonce]
    return RoundId(digest("round/v1", *fields, *([counted_at] if counted_at else [])))


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerClaim:
    """What a council's advert says about its privacy ledger; a restored ledger is found by it.

    Attributes:
        counter: The ledger's own counter, after the reservation for this round.
        head: Hash at the head of the ledger's chain.
        seen: What this council remembers of each eligible council's last signed entry, in their order: number and
            start of its hash in 8 bytes, as the node defines them; 0 for none.
    """

    counter: int
    head: bytes
    seen: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse counters that do not fit the advert."""
        try:
            struct.pack(f">{1 + len(self.seen)}Q", self.counter, *self.seen)  # a quarter of the time of looking at each
        except struct.error as problem:
            raise LocalProtocolError(_ILL_FORMED) from problem
        if len(self.head) != DIGEST_SIZE:
            raise LocalProtocolError(_ILL_FORMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The mask holder of a round: a second body without whose opening no sum comes out. Made by `holder_of` alone.

    Attributes:
        id: As the agreement names it; never that of a council.
        identity: Raw Ed25519 public key that the agreement pins for it.
        advert: Its HOLDER_ADVERT for this round, as signed; enters h1.
        key: H_pk, the public key of the round's suite in that advert.
    """

    id: CouncilId
    identity: bytes = field(repr=False)
    advert: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundContext:
    """One round, as plan, agreement and pinned roster fix it. Each node builds it for itself.

    Attributes:
        sid: From :func:`round_id`.
        plan_digest: Enters every pairwise mask, so two nodes with different plans make noise, not data.
        eligible: Councils of the named group, sorted.
        identities: Raw Ed25519 public key pinned for each eligible council, and for no other.
        rules: Of the agreement, for the named group.
        ring: Of the plan.
        cells: Length of every vector, at least 1.
        suite: What keys are agreed with; of the agreement, so that no coordinator can choose the weaker one.
        holder: The mask holder; None where the agreement names none.
    """

    sid: RoundId
    plan_digest: Digest
    eligible: tuple[CouncilId, ...]
    identities: Mapping[CouncilId, bytes] = field(repr=False)
    rules: CohortRules
    ring: Ring
    cells: int
    suite: Suite
    holder: Holder | None

    def __post_init__(self) -> None:
        """Refuse a context that two parties could read differently."""
        if len(self.sid) != DIGEST_SIZE or len(self.plan_digest) != DIGEST_SIZE or self.cells < 1:
            raise LocalProtocolError("a round has a sid and a plan digest of 32 bytes and at least one cell")
        if list(self.eligible) != sorted(set(self.eligible)) or len(self.eligible) != self.rules.eligible_count:
            raise LocalProtocolError("the eligible councils are sorted, different, and as many as the rules say")
        keys = self.identities.values()
        # One key under two names would be one council with two votes.
        if any(len(key) != IDENTITY_KEY_SIZE for key in keys) or len(set(keys)) != len(self.eligible):
            raise LocalProtocolError("every eligible council has its own pinned identity key of 32 bytes")
        if self.identities.keys() != set(self.eligible):
            raise LocalProtocolError("identities are pinned for the eligible councils and for no others")
        # A council that held the masks as well would be no second body.
        if self.holder is not None and (self.holder.id in self.identities or self.holder.identity in set(keys)):
            raise LocalProtocolError("the mask holder is none of the eligible councils, and has a key of its own")

    @property
    def vector_bytes(self) -> int:
        """Bytes of a masked vector on the wire."""
        return self.cells * self.ring.width

    def identity(self, council: CouncilId) -> bytes:
        """The pinned identity of an eligible council.

        Raises:
            RemoteProtocolError: The council is not eligible: invented, or of another group.
        """
        identity = self.identities.get(council)
        if identity is None:
            raise RemoteProtocolError(f"{council} is not one of the {len(self.eligible)} eligible councils")
        return identity
