"""A whole round on one page: every party in memory, in the order in which things happen.

For reading and for tests. In the federation the councils are `council_node` processes, the aggregator is
driven by `coordinator`, and the bytes below travel over a `CouncilLink`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from protocols.encoding import sha256
from protocols.identifiers import DIGEST_SIZE, CouncilId, RandomSource
from protocols.ring import Ring
from protocols.secagg.aggregator import Aggregator
from protocols.secagg.cohort import CohortRules, Profile
from protocols.secagg.context import NONCE_SIZE, LedgerClaim, RoundContext, round_id
from protocols.secagg.mask_holder import HolderSession, holder_of
from protocols.secagg.messages import Stage
from protocols.secagg.secure_sum import SecureSum
from protocols.secagg.session import ParticipantSession
from protocols.suite import Suite

MASK_HOLDER: Final = CouncilId("mask-holder")
_NOBODY: Mapping[Stage, frozenset[CouncilId]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """A round about to begin: what everyone agreed on, each council's session, and any mask holder's."""

    context: RoundContext
    councils: Mapping[CouncilId, ParticipantSession]
    holder: HolderSession | None


def prepare(
    councils: Iterable[CouncilId],
    *,
    rules: CohortRules,
    ring: Ring,
    cells: int,
    rng: RandomSource,
    suite: Suite = Suite.X25519,
    holder: bool = False,
) -> Parties:
    """Make identities, a roster of them, and a session for each council.

    Args:
        councils: The eligible councils.
        rules: Of the agreement.
        ring: Of the plan.
        cells: Of the plan.
        rng: Secure random bytes for every party.
        suite: Of the agreement.
        holder: Whether the agreement names a mask holder.
    """
    identities = {council: Ed25519PrivateKey.from_private_bytes(rng(32)) for council in sorted(councils)}
    plan_digest, roster_digest = sha256(b"plan"), sha256(b"roster")
    context = RoundContext(
        sid=round_id(
            plan_digest=plan_digest,
            roster_digest=roster_digest,
            coordinator_id="coordinator",
            attempt=1,
            nonce=rng(NONCE_SIZE),
        ),
        plan_digest=plan_digest,
        eligible=tuple(identities),
        identities={council: key.public_key().public_bytes_raw() for council, key in identities.items()},
        rules=rules,
        ring=ring,
        cells=cells,
        suite=suite,
        holder=None,
    )
    session = None
    if holder:
        key = Ed25519PrivateKey.from_private_bytes(rng(32))
        identity = key.public_key().public_bytes_raw()
        session = HolderSession(context, MASK_HOLDER, key.sign, rng, identity=identity)
        advert = session.advertise()
        met = holder_of(advert, sid=context.sid, id=MASK_HOLDER, identity=identity, suite=suite)
        context = replace(context, holder=met)
    sessions = {council: ParticipantSession(context, council, key.sign, rng) for council, key in identities.items()}
    return Parties(context=context, councils=sessions, holder=session)


def run_secure_sum(
    inputs: Mapping[CouncilId, NDArray[np.int64]],
    *,
    rng: RandomSource,
    profile: Profile = Profile.CAREFUL,
    ring: Ring | None = None,
    min_cohort: int = 4,
    min_honest: int = 3,
    suite: Suite = Suite.X25519,
    holder: bool = False,
    drop: Mapping[Stage, frozenset[CouncilId]] = _NOBODY,
) -> SecureSum:
    """Sum one vector per council so that nothing but the sum comes out.

    Args:
        inputs: s·x + η of each council, all of one shape `(cells,)`.
        rng: Secure random bytes for every party.
        profile: Standard or careful.
        ring: 64 bits if not given.
        min_cohort: Fewest councils in a round.
        min_honest: Fewest honest noise shares.
        suite: What keys are agreed with.
        holder: Whether a mask holder must open the sum.
        drop: Councils that are lost for good before their message of a stage arrives (`ADVERT`, `KEY_SHARES`,
            `MASKED_INPUT`, `CONFIRMATION` or `UNMASK`).

    Returns:
        The sum over the councils whose masked input arrived.

    Raises:
        BelowThreshold: Too few councils are left at some stage; nothing is revealed.
    """
    rules = CohortRules(profile=profile, eligible_count=len(inputs), min_cohort=min_cohort, min_honest=min_honest)
    cells = len(next(iter(inputs.values())))
    ring = ring or Ring(bits=64)
    parties = prepare(inputs, rules=rules, ring=ring, cells=cells, rng=rng, suite=suite, holder=holder)
    councils, aggregator, lost = dict(parties.councils), Aggregator(parties.context), set[CouncilId]()

    def replies(
        stage: Stage, requests: Mapping[CouncilId, bytes], answer: Callable[[CouncilId, bytes], bytes]
    ) -> Iterator[tuple[CouncilId, bytes]]:
        lost.update(drop.get(stage, ()))
        return ((council, answer(council, request)) for council, request in requests.items() if council not in lost)

    # Before: where there is a mask holder, it has advertised a key (`prepare`), which every council is shown.
    # R0. Every council draws a channel key and the seed of its mask key, and advertises the public halves.
    claim = LedgerClaim(counter=1, head=bytes(DIGEST_SIZE), seen=(0,) * len(inputs))
    invitations = dict.fromkeys(councils, b"")
    for council, advert in replies(Stage.ADVERT, invitations, lambda council, _: councils[council].advertise(claim)):
        aggregator.receive_advert(council, advert)

    # R1. U1 is fixed, with it n, t, c and h. Each council deals both of its seeds to all of U1, encrypted.
    adverts = aggregator.close_adverts()
    for council, dealt in replies(Stage.KEY_SHARES, adverts, lambda c, request: councils[c].share_keys(request)):
        aggregator.receive_key_shares(council, dealt)

    # R2. U2 is fixed. Each council checks every share dealt to it, and only then masks: one self mask, and with
    # each other council a mask that one adds and the other takes away. The aggregator adds what arrives.
    def mask(council: CouncilId, request: bytes) -> bytes:
        councils[council].accept_shares(request)
        return councils[council].mask(inputs[council])

    for council, masked in replies(Stage.MASKED_INPUT, aggregator.close_key_shares(), mask):
        aggregator.receive_masked_input(council, masked)

    # R3. U3 is fixed: the survivors. Each signs the one list of them that it will ever sign.
    survivors = aggregator.close_masked_inputs()
    for council, signed in replies(Stage.CONFIRMATION, survivors, lambda c, req: councils[c].confirm_survivors(req)):
        aggregator.receive_confirmation(council, signed)

    # Shown what the councils signed, and t signatures on that list, the mask holder gives the sum of the survivors'
    # masks with it; that of another list never.
    statements = aggregator.close_confirmations()
    if parties.holder is not None:
        aggregator.receive_opening(parties.holder.open(aggregator.opening_request()))

    # R4. Shown the t signatures, each council reveals its share of every survivor's self-mask seed and of every lost
    # council's mask-key seed: never both for one council.
    for council, shares in replies(Stage.UNMASK, statements, lambda c, request: councils[c].unmask(request)):
        aggregator.receive_unmask(council, shares)

    # Finish. Self masks of survivors and the masks left dangling by lost councils come off the sum.
    return aggregator.finish()
