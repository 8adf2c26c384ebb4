"""Every key of a round and what it is bound to; no key has two uses.

=============  ==================================  =========================================
key            from                                bound to
=============  ==================================  =========================================
mask key S_u   s_seed_u                            "mask-key/v1", sid, u
channel u→v    X25519(C_u, C_v)                    "channel/v1", h1, u, v
pairwise mask  X25519(S_u, S_v)                    "mask/v1", h2, plan_digest, lower, higher
self mask      b_seed_u                            "self/v1", h2, u
holder's mask  X25519(T_u, H)                      "holder-mask/v1", h2, plan_digest, u, holder, ""
=============  ==================================  =========================================

The last is there where the agreement names a mask holder. T_u comes from no seed: what is dealt out can be rebuilt.

In the hybrid suite (`protocols.suite`) two secrets stand behind one another where X25519 alone stands here:

=============  ==================================  =========================================
mask key S_u   s_seed_u, 96 bytes                  "mask-key/v2", sid, u
channel u→v    X25519(C_u, C_v) ‖ KEM(C_v)         "channel/v2", h1, u, v, ciphertext
pair seed r    s_seed of the lower                 "pair-seed/v1", sid, lower, higher
wrapping of r  KEM(S_higher)                       "pair-wrap/v1", h1, lower, higher, ciphertext
pairwise mask  X25519(S_u, S_v) ‖ r                "mask/v2", h2, plan_digest, lower, higher
holder's mask  X25519(T_u, H) ‖ KEM(H)             "holder-mask/v1", h2, plan_digest, u, holder, ciphertext
=============  ==================================  =========================================

The lower sends r to the higher, wrapped, beside H(r). So the seed of either that drops out gives the pair's mask: the
lower's by deriving r, the higher's by opening what the lower sent, which the coordinator has. H(r) shows that both are
the same.

Channel and mask keys are different keys because the seed of the mask key becomes public when its council drops out.
"""

from typing import Literal

from protocols.encoding import length_prefixed
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.key_agreement import derive_key
from protocols.shamir import encode_element
from protocols.suite import PrivateKey, Suite


def mask_private_bytes(s_seed: int, *, sid: RoundId, owner: CouncilId, suite: Suite) -> bytes:
    """The private key that a seed stands for; revealing the seed reveals the key, and only then."""
    name = "mask-key/v1" if suite is Suite.X25519 else "mask-key/v2"
    return derive_key(encode_element(s_seed), length_prefixed(name, sid, owner.encode("ascii")), suite.private_size)


def mask_private_key(s_seed: int, *, sid: RoundId, owner: CouncilId, suite: Suite) -> PrivateKey:
    """:func:`mask_private_bytes` as a key."""
    return PrivateKey.read(mask_private_bytes(s_seed, sid=sid, owner=owner, suite=suite), suite)


def channel_label(h1: Digest, sender: CouncilId, receiver: CouncilId, ciphertext: bytes = b"") -> bytes:
    """HKDF info and AEAD associated data of the channel from `sender` to `receiver`."""
    ends = (h1, sender.encode("ascii"), receiver.encode("ascii"))
    return length_prefixed("channel/v2", *ends, ciphertext) if ciphertext else length_prefixed("channel/v1", *ends)


def pair_seed(s_seed: int, *, sid: RoundId, lower: CouncilId, higher: CouncilId) -> bytes:
    """r: the second half of a pair's secret, known to whoever knows the lower's seed."""
    return derive_key(
        encode_element(s_seed), length_prefixed("pair-seed/v1", sid, lower.encode("ascii"), higher.encode("ascii"))
    )


def wrap_label(h1: Digest, lower: CouncilId, higher: CouncilId, ciphertext: bytes) -> bytes:
    """HKDF info and AEAD associated data of r on its way to the higher of a pair."""
    return length_prefixed("pair-wrap/v1", h1, lower.encode("ascii"), higher.encode("ascii"), ciphertext)


def pair_label(h2: Digest, plan_digest: Digest, one: CouncilId, other: CouncilId, suite: Suite) -> bytes:
    """HKDF info of the pairwise mask, the same from both ends."""
    lower, higher = sorted((one.encode("ascii"), other.encode("ascii")))
    return length_prefixed("mask/v1" if suite is Suite.X25519 else "mask/v2", h2, plan_digest, lower, higher)


def pair_sign(me: CouncilId, peer: CouncilId) -> Literal[1, -1]:
    """+1 for the lower of the pair, -1 for the higher, so that the two masks cancel."""
    return 1 if me < peer else -1


def self_label(h2: Digest, owner: CouncilId) -> bytes:
    """HKDF info of the self mask."""
    return length_prefixed("self/v1", h2, owner.encode("ascii"))


def holder_label(h2: Digest, plan_digest: Digest, owner: CouncilId, holder: CouncilId, ciphertext: bytes) -> bytes:
    """HKDF info of the mask that a council shares with the mask holder; without a ciphertext in the classical suite."""
    ends = (owner.encode("ascii"), holder.encode("ascii"))
    return length_prefixed("holder-mask/v1", h2, plan_digest, *ends, ciphertext)
