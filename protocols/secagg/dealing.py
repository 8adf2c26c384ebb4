"""Dealing the two seeds of a council, and opening what others dealt (R1).

Each member v gets AES-256-GCM(b_share ‖ s_share ‖ salt_b ‖ salt_s) under a key used once, from u to v in
this round, hence with a zero nonce. The associated data names h1, u and v. In the hybrid suite the key's ciphertext
stands before it, and each v above u also gets the pair's seed r, wrapped for its mask key: the seed of v opens it too.
H(r) stands beside it, so that a dealer cannot send one r and be rebuilt to another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.errors import MalformedMessage
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest, RandomSource, RoundId
from protocols.key_agreement import derive_key
from protocols.secagg.errors import BadKeyShare
from protocols.secagg.key_schedule import channel_label, wrap_label
from protocols.secagg.messages import Dealt, KeyShare, decode_key_share
from protocols.secagg.share_records import SALT_SIZE, Opening
from protocols.secagg.transcript import ShareKind, pair_seed_commitment, share_commitment
from protocols.shamir import encode_element, split
from protocols.suite import PrivateKey, encapsulate

_NONCE: Final = bytes(12)  # each key encrypts one message


def split_seeds(
    b_seed: int, s_seed: int, *, members: Sequence[CouncilId], threshold: int, rng: RandomSource
) -> dict[CouncilId, KeyShare]:
    """Shares of both seeds for every member of U1, the dealer included, each with its own two salts."""
    b_shares = split(b_seed, threshold=threshold, count=len(members), rng=rng)
    s_shares = split(s_seed, threshold=threshold, count=len(members), rng=rng)
    salts = rng(2 * SALT_SIZE * len(members))
    return {
        member: KeyShare(
            b_share=encode_element(b_share),
            s_share=encode_element(s_share),
            b_salt=salts[start : start + SALT_SIZE],
            s_salt=salts[start + SALT_SIZE : start + 2 * SALT_SIZE],
        )
        for member, b_share, s_share, start in zip(
            members, b_shares, s_shares, range(0, len(salts), 2 * SALT_SIZE), strict=True
        )
    }


def commitments(sid: RoundId, dealer: CouncilId, receiver: CouncilId, share: KeyShare) -> tuple[Digest, Digest]:
    """The two commitments to a key share."""
    return (
        share_commitment(sid, ShareKind.SELF_MASK, dealer, receiver, salt=share.b_salt, share=share.b_share),
        share_commitment(sid, ShareKind.MASK_KEY, dealer, receiver, salt=share.s_salt, share=share.s_share),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a dealer needs to seal a share for one receiver.

    Attributes:
        agreed: Secret of the X25519 keys of both channels.
        channel_key: The receiver's.
        mask_key: The receiver's.
        pair_seed: Seed of the pair where the dealer is the lower and the suite has one; else empty.
    """

    agreed: bytes = field(repr=False)
    channel_key: bytes
    mask_key: bytes
    pair_seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """From whom to whom, in which view."""

    sid: RoundId
    h1: Digest
    dealer: CouncilId
    receiver: CouncilId


def seal(
    shares: Mapping[CouncilId, KeyShare],
    *,
    sid: RoundId,
    h1: Digest,
    dealer: CouncilId,
    to: Mapping[CouncilId, Outgoing],
) -> tuple[Opening, ...]:
    """Commit to every share and encrypt it for its receiver; `to` has every member but the dealer."""
    return tuple(
        _sealed(share, Ends(sid=sid, h1=h1, dealer=dealer, receiver=receiver), to.get(receiver))
        for receiver, share in shares.items()
    )


def _sealed(share: KeyShare, ends: Ends, to: Outgoing | None) -> Opening:
    b_commitment, s_commitment = commitments(ends.sid, ends.dealer, ends.receiver, share)
    if to is None:
        return Opening(b_commitment=b_commitment, s_commitment=s_commitment, ciphertext=b"")
    secret, ciphertext = encapsulate(to.channel_key)
    label = channel_label(ends.h1, ends.dealer, ends.receiver, ciphertext)
    sealed = AESGCM(derive_key(to.agreed + secret, label)).encrypt(_NONCE, share.encode(), label)
    return Opening(
        b_commitment=b_commitment,
        s_commitment=s_commitment,
        ciphertext=ciphertext + sealed,
        wrapped=_wrapped(to.pair_seed, ends, to.mask_key) if to.pair_seed else b"",
    )


def _wrapped(pair_seed: bytes, ends: Ends, mask_key: bytes) -> bytes:
    secret, ciphertext = encapsulate(mask_key)
    label = wrap_label(ends.h1, ends.dealer, ends.receiver, ciphertext)
    sealed = AESGCM(derive_key(secret, label)).encrypt(_NONCE, pair_seed, label)
    return ciphertext + sealed + pair_seed_commitment(ends.sid, ends.dealer, ends.receiver, pair_seed)


def check_pair_seed(pair_seed: bytes, ends: Ends, wrapped: bytes) -> None:
    """Refuse a pair's seed that the lower of the pair did not commit to.

    Raises:
        MalformedMessage: It is another.
    """
    if pair_seed_commitment(ends.sid, ends.dealer, ends.receiver, pair_seed) != wrapped[-DIGEST_SIZE:]:
        raise MalformedMessage("the pair's seed is not the one committed to")


def unwrap(wrapped: bytes, ends: Ends, mask_private: PrivateKey, *, ciphertext_size: int) -> bytes:
    """The pair's seed that the lower of a pair sent to the higher; empty where the suite has none.

    Args:
        wrapped: From the lower's opening.
        ends: The lower as dealer, the higher as receiver.
        mask_private: The higher's.
        ciphertext_size: Of the suite.

    Raises:
        InvalidTag: It cannot be opened.
        MalformedMessage: It is not the one committed to.
    """
    if not wrapped:
        return b""
    ciphertext, sealed = wrapped[:ciphertext_size], wrapped[ciphertext_size:-DIGEST_SIZE]
    label = wrap_label(ends.h1, ends.dealer, ends.receiver, ciphertext)
    seed = AESGCM(derive_key(mask_private.open(ciphertext), label)).decrypt(_NONCE, sealed, label)
    check_pair_seed(seed, ends, wrapped)
    return seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a receiver opens a dealer's message with.

    Attributes:
        agreed: Secret of the X25519 keys of both channels.
        channel_private: The receiver's.
        mask_private: The receiver's.
        ciphertext_size: Of the suite.
    """

    agreed: bytes = field(repr=False)
    channel_private: PrivateKey = field(repr=False)
    mask_private: PrivateKey = field(repr=False)
    ciphertext_size: int


def unseal(dealt: Dealt, opening: Opening, ends: Ends, by: Received) -> tuple[KeyShare, bytes]:
    """Decrypt a key share and check it against its commitments.

    Args:
        dealt: The dealer's signed message; its signature and its leaf for `opening` have been checked, so
            whatever is wrong here was signed by the dealer.
        opening: Commitments and ciphertext for this council.
        ends: The dealer, this council, and its view of the adverts.
        by: This council's keys.

    Returns:
        The share, and the pair's seed where the dealer is the lower and the suite has one, else nothing.

    Raises:
        BadKeyShare: It does not decrypt, is no field element, or is not what the commitments say.
    """
    ciphertext, sealed = opening.ciphertext[: by.ciphertext_size], opening.ciphertext[by.ciphertext_size :]
    label = channel_label(ends.h1, ends.dealer, ends.receiver, ciphertext)
    try:
        key = derive_key(by.agreed + by.channel_private.open(ciphertext), label)
        share = decode_key_share(AESGCM(key).decrypt(_NONCE, sealed, label))
        seed = unwrap(opening.wrapped, ends, by.mask_private, ciphertext_size=by.ciphertext_size)
    except (InvalidTag, MalformedMessage) as problem:
        raise _bad("cannot be opened", dealt, opening) from problem
    if commitments(ends.sid, ends.dealer, ends.receiver, share) != (opening.b_commitment, opening.s_commitment):
        raise _bad("is not the one committed to", dealt, opening)
    return share, seed


def _bad(what: str, dealt: Dealt, opening: Opening) -> BadKeyShare:
    dealer = dealt.message.sender
    return BadKeyShare(
        f"the key share that {dealer} dealt and signed {what}",
        culprit=dealer,
        evidence=dealt.message.encode(),
        opening=opening.encode(),
    )
