"""What a council knows after each stage: one frozen type per stage, holding only what later stages need.

Going from one type to the next drops the secrets that are done with: the seeds and private keys with
`SharedKeys`, the mask keys with `ReadyToMask`, the shares of the other councils with `Confirmed`.
No secret shows in a `repr`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from protocols.envelope import SignedMessage
from protocols.identifiers import CouncilId, Digest
from protocols.masks import MaskKey
from protocols.secagg.cohort import Thresholds
from protocols.secagg.context import LedgerClaim, RoundContext
from protocols.secagg.holder_masks import Met
from protocols.secagg.messages import KeyShare
from protocols.suite import PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertised:
    """After R0: keys advertised, cohort not known yet.

    Attributes:
        with_holder: What T_u and the mask holder's key agree on; None without a mask holder. The private key of T_u is
            let go of at once, and its bytes are dealt to nobody.
    """

    context: RoundContext
    me: CouncilId
    s_seed: int = field(repr=False)
    channel_private: PrivateKey = field(repr=False)
    mask_private: PrivateKey = field(repr=False)
    with_holder: Met | None = field(repr=False)
    advert: SignedMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """U1 as its adverts say; public.

    Attributes:
        members: U1, sorted; a member's Shamir point is 1 + its position.
        thresholds: n, t, c and h of the round; h fixes the noise share.
        claims: Ledger claim of every member; a node behind a peer's record of it refuses.
        mask_keys: Advertised mask key of every member.
        h1: The view of all adverts.
    """

    members: tuple[CouncilId, ...]
    thresholds: Thresholds
    claims: Mapping[CouncilId, LedgerClaim] = field(repr=False)
    mask_keys: Mapping[CouncilId, bytes] = field(repr=False)
    h1: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKeys:
    """After the first half of R1: own seeds dealt to every member.

    Attributes:
        agreed: Secret of the X25519 keys of this council's channel and every other member's.
        pair_seeds: Seeds of the pairs in which this council is the lower; none where the suite has none.
        with_holder: As after R0.
    """

    context: RoundContext
    me: CouncilId
    cohort: Cohort
    b_seed: int = field(repr=False)
    channel_private: PrivateKey = field(repr=False)
    mask_private: PrivateKey = field(repr=False)
    agreed: Mapping[CouncilId, bytes] = field(repr=False)
    pair_seeds: Mapping[CouncilId, bytes] = field(repr=False)
    with_holder: Met | None = field(repr=False)
    own_share: KeyShare = field(repr=False)
    dealt: SignedMessage

    @property
    def members(self) -> tuple[CouncilId, ...]:
        """U1, sorted."""
        return self.cohort.members

    @property
    def thresholds(self) -> Thresholds:
        """n, t, c, h."""
        return self.cohort.thresholds

    @property
    def claims(self) -> Mapping[CouncilId, LedgerClaim]:
        """Ledger claim of every member."""
        return self.cohort.claims


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyToMask:
    """After R1: every share opened and checked. Nothing has been charged yet.

    Attributes:
        sharers: U2, sorted.
        h2: The view of all dealt shares.
        masks: Own self mask, one mask per other member of U2, and the mask holder's where there is one.
        held: Shares of the seeds of every member of U2, own ones included.
    """

    context: RoundContext
    me: CouncilId
    cohort: Cohort
    sharers: tuple[CouncilId, ...]
    h2: Digest
    masks: tuple[MaskKey, ...] = field(repr=False)
    held: Mapping[CouncilId, KeyShare] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """After R2: the masked input has left, under the signed `header`."""

    context: RoundContext
    me: CouncilId
    cohort: Cohort
    sharers: tuple[CouncilId, ...]
    h2: Digest
    header: SignedMessage
    held: Mapping[CouncilId, KeyShare] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """After R3: one list of survivors signed; there is never a second."""

    context: RoundContext
    me: CouncilId
    cohort: Cohort
    sharers: tuple[CouncilId, ...]
    survivors: tuple[CouncilId, ...]
    h3: Digest
    held: Mapping[CouncilId, KeyShare] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasked:
    """After R4: answered, with every secret dropped."""

    context: RoundContext
    me: CouncilId
    cohort: Cohort
    survivors: tuple[CouncilId, ...]
    h3: Digest


StageState: TypeAlias = Advertised | SharedKeys | ReadyToMask | Masked | Confirmed | Unmasked
