"""Dealing the two seeds of a council, and opening what others dealt (R1).

Each member v gets AES-256-GCM(b_share ‖ s_share ‖ salt_b ‖ salt_s) under a key used once, from u to v in
this round, hence with a zero nonce. The associated data names h1, u and v.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId, Digest, RandomSource, RoundId
from protocols.secagg.errors import BadKeyShare
from protocols.secagg.key_schedule import channel_label
from protocols.secagg.messages import Dealt, KeyShare, decode_key_share
from protocols.secagg.share_records import SALT_SIZE, Opening
from protocols.secagg.transcript import ShareKind, share_commitment
from protocols.shamir import encode_element, split

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


def seal(
    shares: Mapping[CouncilId, KeyShare],
    *,
    sid: RoundId,
    h1: Digest,
    dealer: CouncilId,
    keys: Mapping[CouncilId, bytes],
) -> tuple[Opening, ...]:
    """Commit to every share and encrypt it for its receiver; `keys` are the dealer's outgoing channels."""

    def sealed(receiver: CouncilId, share: KeyShare) -> Opening:
        b_commitment, s_commitment = commitments(sid, dealer, receiver, share)
        ciphertext = b""
        if receiver != dealer:
            ciphertext = AESGCM(keys[receiver]).encrypt(_NONCE, share.encode(), channel_label(h1, dealer, receiver))
        return Opening(b_commitment=b_commitment, s_commitment=s_commitment, ciphertext=ciphertext)

    return tuple(sealed(receiver, share) for receiver, share in shares.items())


def unseal(dealt: Dealt, opening: Opening, *, sid: RoundId, h1: Digest, receiver: CouncilId, key: bytes) -> KeyShare:
    """Decrypt a key share and check it against its commitments.

    Args:
        dealt: The dealer's signed message; its signature and its leaf for `opening` have been checked, so
            whatever is wrong here was signed by the dealer.
        opening: Commitments and ciphertext for `receiver`.
        sid: The round.
        h1: This council's view of the adverts.
        receiver: This council.
        key: Of the channel from the dealer.

    Raises:
        BadKeyShare: It does not decrypt, is no field element, or is not what the commitments say.
    """
    dealer = dealt.message.sender
    try:
        share = decode_key_share(AESGCM(key).decrypt(_NONCE, opening.ciphertext, channel_label(h1, dealer, receiver)))
    except (InvalidTag, MalformedMessage) as problem:
        raise _bad("cannot be opened", dealt, opening) from problem
    if commitments(sid, dealer, receiver, share) != (opening.b_commitment, opening.s_commitment):
        raise _bad("is not the one committed to", dealt, opening)
    return share


def _bad(what: str, dealt: Dealt, opening: Opening) -> BadKeyShare:
    dealer = dealt.message.sender
    return BadKeyShare(
        f"the key share that {dealer} dealt and signed {what}",
        culprit=dealer,
        evidence=dealt.message.encode(),
        opening=opening.encode(),
    )
