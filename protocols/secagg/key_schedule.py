"""Every key of a round and what it is bound to; no key has two uses.

=============  ==================================  =========================================
key            from                                bound to
=============  ==================================  =========================================
mask key S_u   s_seed_u                            "mask-key/v1", sid, u
channel u→v    X25519(C_u, C_v)                    "channel/v1", h1, u, v
pairwise mask  X25519(S_u, S_v)                    "mask/v1", h2, plan_digest, lower, higher
self mask      b_seed_u                            "self/v1", h2, u
=============  ==================================  =========================================

Channel and mask keys are different X25519 keys because the seed of the mask key becomes public when its
council drops out.
"""

from typing import Literal

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocols.encoding import length_prefixed
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.key_agreement import derive_key, private_key
from protocols.shamir import encode_element


def mask_private_bytes(s_seed: int, *, sid: RoundId, owner: CouncilId) -> bytes:
    """The X25519 private key that a seed stands for; revealing the seed reveals the key, and only then."""
    return derive_key(encode_element(s_seed), length_prefixed("mask-key/v1", sid, owner.encode("ascii")))


def mask_private_key(s_seed: int, *, sid: RoundId, owner: CouncilId) -> X25519PrivateKey:
    """:func:`mask_private_bytes` as a key."""
    return private_key(mask_private_bytes(s_seed, sid=sid, owner=owner))


def channel_label(h1: Digest, sender: CouncilId, receiver: CouncilId) -> bytes:
    """HKDF info and AEAD associated data of the channel from `sender` to `receiver`."""
    return length_prefixed("channel/v1", h1, sender.encode("ascii"), receiver.encode("ascii"))


def pair_label(h2: Digest, plan_digest: Digest, one: CouncilId, other: CouncilId) -> bytes:
    """HKDF info of the pairwise mask, the same from both ends."""
    lower, higher = sorted((one.encode("ascii"), other.encode("ascii")))
    return length_prefixed("mask/v1", h2, plan_digest, lower, higher)


def pair_sign(me: CouncilId, peer: CouncilId) -> Literal[1, -1]:
    """+1 for the lower of the pair, -1 for the higher, so that the two masks cancel."""
    return 1 if me < peer else -1


def self_label(h2: Digest, owner: CouncilId) -> bytes:
    """HKDF info of the self mask."""
    return length_prefixed("self/v1", h2, owner.encode("ascii"))
