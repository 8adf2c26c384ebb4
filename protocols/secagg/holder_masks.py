"""The mask that a council shares with the mask holder, from both ends.

A council makes a key for the holder alone, T_u, from random bytes that nothing else comes from. The seed of its key for
its peers is dealt out: whoever collects shares of that would know this mask too, and the holder would hold nothing.
"""

from dataclasses import dataclass, field

from protocols.identifiers import CouncilId, Digest, RandomSource
from protocols.key_agreement import KEY_SIZE, derive_key, private_key, public_bytes, shared_secret
from protocols.masks import MaskKey
from protocols.secagg.key_schedule import holder_label
from protocols.suite import PrivateKey, encapsulate

__all__ = ["Met", "holder_mask", "meet_holder", "met_by_holder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What a council and the mask holder have agreed on.

    Attributes:
        secret: X25519(T_u, H_pk), and behind it the secret in the ciphertext where the suite has one.
        ciphertext: As it stands behind T_u in the advert; empty where the suite has none.
    """

    secret: bytes = field(repr=False)
    ciphertext: bytes


def meet_holder(public: bytes, rng: RandomSource) -> tuple[bytes, Met]:
    """Make T_u and agree on a secret. Run by a council, which has let go of T_u's private key when this returns.

    Args:
        public: H_pk, checked.
        rng: Secure random bytes.

    Returns:
        What the advert says, and what is agreed.
    """
    private = private_key(rng(KEY_SIZE))
    secret, ciphertext = encapsulate(public)
    agreed = shared_secret(private, public[:KEY_SIZE]) + secret
    return public_bytes(private) + ciphertext, Met(secret=agreed, ciphertext=ciphertext)


def met_by_holder(private: PrivateKey, holder_key: bytes) -> Met:
    """The same from the other end. Run by the mask holder.

    Raises:
        RemoteProtocolError: The agreement gives zero: a key of small order.
    """
    ciphertext = holder_key[KEY_SIZE:]
    return Met(secret=private.agree(holder_key) + private.open(ciphertext), ciphertext=ciphertext)


def holder_mask(met: Met, *, h2: Digest, plan_digest: Digest, owner: CouncilId, holder: CouncilId) -> MaskKey:
    """The key of the mask, which each council adds and the sum of which the mask holder gives."""
    label = holder_label(h2, plan_digest, owner, holder, met.ciphertext)
    return MaskKey(key=derive_key(met.secret, label), sign=1)
