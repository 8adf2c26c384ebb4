"""A council's side of a round: one pure function per stage, from a frozen state and a message to the next.

Run by a council node; `session.ParticipantSession` holds the order and the repeats. Randomness and the
signing key are arguments. Everything the coordinator says is checked here, for it may be malicious: it is
only believed where councils of the pinned roster have signed.

References:
    Bonawitz et al. 2017 (eprint 2017/281), active-adversary variant; `protocol.md` 1.3.
"""

from protocols.encoding import sha256
from protocols.envelope import Sign, SignedMessage, sign_message
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.identifiers import CouncilId, Digest, RandomSource
from protocols.key_agreement import derive_key
from protocols.masks import ONE_CORE, Cores, MaskKey, add_masks
from protocols.ring import IntegerVector
from protocols.secagg.checks import accepted_adverts, check_headers, check_statements, check_subset, verify
from protocols.secagg.context import LedgerClaim, RoundContext
from protocols.secagg.dealing import Ends, Outgoing, Received, seal, split_seeds, unseal
from protocols.secagg.holder_masks import holder_mask, meet_holder
from protocols.secagg.key_schedule import mask_private_key, pair_label, pair_seed, pair_sign, self_label
from protocols.secagg.messages import (
    Advert,
    Dealt,
    KeyShare,
    Stage,
    dealt_body,
    decode_adverts,
    decode_shares,
    decode_statements,
    decode_survivors,
)
from protocols.secagg.participant_states import (
    Advertised,
    Cohort,
    Confirmed,
    Masked,
    ReadyToMask,
    SharedKeys,
    Unmasked,
)
from protocols.secagg.share_records import Opening, RevealedShare
from protocols.secagg.transcript import (
    ShareKind,
    adverts_view,
    leaf,
    self_seed_commitment,
    shares_view,
    survivors_view,
    unmask_kinds,
)
from protocols.shamir import encode_element, random_elements
from protocols.suite import PrivateKey, Suite


def advertise(
    context: RoundContext, me: CouncilId, sign: Sign, rng: RandomSource, claim: LedgerClaim
) -> tuple[Advertised, bytes]:
    """R0: draw this round's channel key and mask seed, and advertise the public halves.

    Args:
        context: The round, as this council has checked it.
        me: This council.
        sign: Its identity key.
        rng: Secure random bytes.
        claim: Its ledger after the reservation for this round.

    Returns:
        The state, and the advert to send.

    Raises:
        LocalProtocolError: This council is not eligible, or the claim is not about the eligible councils.
    """
    if me not in context.eligible or len(claim.seen) != len(context.eligible):
        raise LocalProtocolError(f"{me} is not eligible, or its claim is not about the eligible councils")
    [s_seed] = random_elements(1, rng)
    channel_private = PrivateKey.read(rng(context.suite.private_size), context.suite)
    mask_private = mask_private_key(s_seed, sid=context.sid, owner=me, suite=context.suite)
    holder_key, with_holder = (b"", None) if context.holder is None else meet_holder(context.holder.key, rng)
    advert = Advert(
        channel_key=channel_private.public, mask_key=mask_private.public, claim=claim, holder_key=holder_key
    )
    message = sign_message(sid=context.sid, stage=Stage.ADVERT, sender=me, body=advert.encode_body(), sign=sign)
    state = Advertised(
        context=context,
        me=me,
        s_seed=s_seed,
        channel_private=channel_private,
        mask_private=mask_private,
        with_holder=with_holder,
        advert=message,
    )
    return state, message.encode()


def share_keys(state: Advertised, adverts: bytes, rng: RandomSource, sign: Sign) -> tuple[SharedKeys, bytes]:
    """R1, first half: accept the cohort, then deal shares of both seeds to every member.

    Args:
        state: After :func:`advertise`.
        adverts: The coordinator's ADVERTS.
        rng: Secure random bytes.
        sign: This council's identity key.

    Returns:
        The state, with the thresholds and the members' ledger claims, and the key shares to send.

    Raises:
        CohortRuleBroken: Too few councils.
        RemoteProtocolError: An advert is not by an eligible council, a key is used twice, own advert changed.
    """
    context, me = state.context, state.me
    cohort, channel_keys = _accept_cohort(state, decode_adverts(adverts, context))
    agreed = {peer: state.channel_private.agree(key) for peer, key in channel_keys.items() if peer != me}
    pair_seeds = _pair_seeds(state, cohort)
    to = {
        peer: Outgoing(
            agreed=secret,
            channel_key=channel_keys[peer],
            mask_key=cohort.mask_keys[peer],
            pair_seed=pair_seeds.get(peer, b""),
        )
        for peer, secret in agreed.items()
    }
    [b_seed] = random_elements(1, rng)
    shares = split_seeds(b_seed, state.s_seed, members=cohort.members, threshold=cohort.thresholds.t, rng=rng)
    openings = seal(shares, sid=context.sid, h1=cohort.h1, dealer=me, to=to)
    encoded = [opening.encode() for opening in openings]
    body = dealt_body(cohort.h1, self_seed_commitment(context.sid, me, b_seed), [leaf(item) for item in encoded])
    message = sign_message(sid=context.sid, stage=Stage.KEY_SHARES, sender=me, body=body, sign=sign)
    shared = SharedKeys(
        context=context,
        me=me,
        cohort=cohort,
        b_seed=b_seed,
        channel_private=state.channel_private,
        mask_private=state.mask_private,
        agreed=agreed,
        pair_seeds=pair_seeds,
        with_holder=state.with_holder,
        own_share=shares[me],
        dealt=message,
    )
    return shared, message.encode() + b"".join(encoded)


def _accept_cohort(state: Advertised, messages: tuple[SignedMessage, ...]) -> tuple[Cohort, dict[CouncilId, bytes]]:
    context = state.context
    thresholds = context.rules.thresholds(len(messages))
    # A coordinator that leaves this council out, or changes its keys, would have it mask for nobody.
    if state.advert not in messages:
        raise RemoteProtocolError(f"the adverts do not hold the one that {state.me} sent")
    adverts = accepted_adverts(context, messages, known=state.advert)
    cohort = Cohort(
        members=tuple(adverts),
        thresholds=thresholds,
        claims={council: advert.claim for council, advert in adverts.items()},
        mask_keys={council: advert.mask_key for council, advert in adverts.items()},
        h1=adverts_view(context.sid, messages, context.holder),
    )
    return cohort, {council: advert.channel_key for council, advert in adverts.items()}


def _pair_seeds(state: Advertised, cohort: Cohort) -> dict[CouncilId, bytes]:
    if state.context.suite is Suite.X25519:
        return {}
    sid, me = state.context.sid, state.me
    return {peer: pair_seed(state.s_seed, sid=sid, lower=me, higher=peer) for peer in cohort.members if me < peer}


def accept_shares(state: SharedKeys, shares: bytes) -> ReadyToMask:
    """R1, second half: open and check what every member dealt. Nothing has been charged before this passes.

    Checks: (1) U2 is within U1, holds this council and has t members; (2) own message came back as sent;
    (3) every signature, over this council's own view of the adverts; (4) every opening is the one signed;
    (5) every share decrypts to what its commitments say.

    Args:
        state: After :func:`share_keys`.
        shares: The coordinator's SHARES for this council.

    Raises:
        BadKeyShare: (5) fails; the exception carries the dealer's signed message for a complaint.
        RemoteProtocolError: Any other check fails.
    """
    context, me, cohort = state.context, state.me, state.cohort
    entries = decode_shares(shares, context, receiver=me, members=len(cohort.members))
    sharers = tuple(dealt.message.sender for dealt, _ in entries)
    check_subset(sharers, cohort.members, threshold=cohort.thresholds.t, what="dealt key shares")  # (1)
    if state.dealt not in (dealt.message for dealt, _ in entries):  # (1), (2)
        raise RemoteProtocolError(f"the key shares do not hold the message that {me} sent")
    position = cohort.members.index(me)
    opened = {dealt.message.sender: _open(state, dealt, opening, position) for dealt, opening in entries}
    pair_seeds = {peer: state.pair_seeds.get(peer, seed) for peer, (_, seed) in opened.items()}
    h2 = shares_view(cohort.h1, (dealt.message for dealt, _ in entries))
    return ReadyToMask(
        context=context,
        me=me,
        cohort=cohort,
        sharers=sharers,
        h2=h2,
        masks=(*_mask_keys(state, pair_seeds, h2), *_holder_mask(state, h2)),
        held={peer: share for peer, (share, _) in opened.items()},
    )


def _open(state: SharedKeys, dealt: Dealt, opening: Opening, position: int) -> tuple[KeyShare, bytes]:
    dealer = dealt.message.sender
    if dealer != state.me:
        verify(state.context, dealt.message)  # (3)
    if dealt.h1 != state.cohort.h1:
        raise RemoteProtocolError(f"{dealer} was shown other adverts than {state.me}")
    if leaf(opening.encode()) != dealt.leaf(position):  # (4): here it is the courier that is at fault
        raise RemoteProtocolError(f"the key share delivered for {dealer} is not the one that it signed")
    if dealer == state.me:
        return state.own_share, b""
    ends = Ends(sid=state.context.sid, h1=state.cohort.h1, dealer=dealer, receiver=state.me)
    by = Received(
        agreed=state.agreed[dealer],
        channel_private=state.channel_private,
        mask_private=state.mask_private,
        ciphertext_size=state.context.suite.ciphertext_size,
    )
    return unseal(dealt, opening, ends, by)  # (5)


def _mask_keys(state: SharedKeys, pair_seeds: dict[CouncilId, bytes], h2: Digest) -> tuple[MaskKey, ...]:
    own = MaskKey(key=derive_key(encode_element(state.b_seed), self_label(h2, state.me)), sign=1)
    return (own, *(_pair_mask(state, peer, seed, h2) for peer, seed in pair_seeds.items() if peer != state.me))


def _pair_mask(state: SharedKeys, peer: CouncilId, seed: bytes, h2: Digest) -> MaskKey:
    context = state.context
    secret = state.mask_private.agree(state.cohort.mask_keys[peer]) + seed
    label = pair_label(h2, context.plan_digest, state.me, peer, context.suite)
    return MaskKey(key=derive_key(secret, label), sign=pair_sign(state.me, peer))


def _holder_mask(state: SharedKeys, h2: Digest) -> tuple[MaskKey, ...]:
    context = state.context
    if context.holder is None:
        return ()
    if state.with_holder is None:  # else its figure would leave without the mask that was agreed
        raise LocalProtocolError(f"{state.me} has agreed on nothing with {context.holder.id}, the mask holder")
    holder = context.holder.id
    return (holder_mask(state.with_holder, h2=h2, plan_digest=context.plan_digest, owner=state.me, holder=holder),)


def mask_input(state: ReadyToMask, vector: IntegerVector, sign: Sign, cores: Cores = ONE_CORE) -> tuple[Masked, bytes]:
    """R2: add every mask to s·x + η and send it. Step 6 of 8; called once, after the charge is durable.

    Args:
        state: After :func:`accept_shares`.
        vector: s·x + η, not reduced: statistic times scale plus this council's noise share.
        sign: This council's identity key.
        cores: Where the masks are made.

    Returns:
        The state, and the masked input to send; a retry sends the same bytes.

    Raises:
        LocalProtocolError: The vector is not of the plan's length, or not 64-bit integers.

    Shapes:
        `(cells,)`.

    Privacy:
        Uniform to anyone who lacks this council's self mask, one pairwise mask or the mask holder's. The noise must
        be in `vector` already: a masked input cannot be noised afterwards.
    """
    context = state.context
    if vector.shape != (context.cells,):
        raise LocalProtocolError(f"the vector has shape {vector.shape}; the plan has {context.cells} cells")
    masked = context.ring.encode(vector)
    add_masks(masked, state.masks, context.ring, cores)
    content = masked.data
    body = state.h2 + sha256(content)
    header = sign_message(sid=context.sid, stage=Stage.MASKED_INPUT, sender=state.me, body=body, sign=sign)
    following = Masked(
        context=context,
        me=state.me,
        cohort=state.cohort,
        sharers=state.sharers,
        h2=state.h2,
        header=header,
        held=state.held,
    )
    return following, b"".join((header.encode(), content))


def confirm_survivors(state: Masked, survivors: bytes, sign: Sign) -> tuple[Confirmed, bytes]:
    """R3: sign the list of councils whose masked inputs arrived. One such list per round, ever.

    Raises:
        BelowThreshold: Fewer than t survivors.
        RemoteProtocolError: A survivor that is not in U2, own input missing or changed, a bad signature.
    """
    context = state.context
    headers = decode_survivors(survivors, context)
    listed = tuple(header.sender for header in headers)
    check_subset(listed, state.sharers, threshold=state.cohort.thresholds.t, what="sent masked inputs")
    if state.header not in headers:
        raise RemoteProtocolError(f"the survivors do not hold the masked input that {state.me} sent")
    check_headers(context, headers, h2=state.h2, known=state.header)
    h3 = survivors_view(state.h2, headers)
    statement = sign_message(sid=context.sid, stage=Stage.CONFIRMATION, sender=state.me, body=h3, sign=sign)
    following = Confirmed(
        context=context,
        me=state.me,
        cohort=state.cohort,
        sharers=state.sharers,
        survivors=listed,
        h3=h3,
        held=state.held,
    )
    return following, statement.encode()


def unmask(state: Confirmed, statements: bytes, sign: Sign) -> tuple[Unmasked, bytes]:
    """R4: once t survivors have signed one list, reveal one share for each council of U2.

    For a survivor its share of b_seed, for a lost council its share of s_seed: the list of kinds is made from
    U3, one kind a council, so both can never be asked for. All secrets are dropped with the state.

    Raises:
        BelowThreshold: Fewer than t statements.
        RemoteProtocolError: A statement by another council, about another list, or not signed.
    """
    context = state.context
    messages = decode_statements(statements, context)
    check_statements(context, messages, state.survivors, h3=state.h3, threshold=state.cohort.thresholds.t)
    kinds = unmask_kinds(state.sharers, state.survivors)
    revealed = b"".join(_reveal(state.held[owner], kind).encode() for owner, kind in kinds.items())
    answer = sign_message(sid=context.sid, stage=Stage.UNMASK, sender=state.me, body=state.h3 + revealed, sign=sign)
    following = Unmasked(context=context, me=state.me, cohort=state.cohort, survivors=state.survivors, h3=state.h3)
    return following, answer.encode()


def _reveal(share: KeyShare, kind: ShareKind) -> RevealedShare:
    match kind:
        case ShareKind.SELF_MASK:
            return RevealedShare(kind=kind, share=share.b_share, salt=share.b_salt)
        case ShareKind.MASK_KEY:
            return RevealedShare(kind=kind, share=share.s_share, salt=share.s_salt)
