"""The masking of a council written a second time, from the standards, with none of the project's code.

Slow and plain: HKDF from `hmac`, X25519 as the ladder of RFC 7748, counters encrypted one by one.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

P = 2**255 - 19


def prefixed(*fields):
    return b"".join(len(field).to_bytes(8, "big") + field for field in fields)


def hkdf(secret, info):
    """The first 32 bytes: a longer output begins with the same ones."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def x25519(scalar, point):
    k = int.from_bytes(scalar, "little")
    k = (k & ~7 & ~(1 << 255)) | 1 << 254
    u = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        x3, z3 = (d * a + c * b) ** 2 % P, u * (d * a - c * b) ** 2 % P
        aa, bb = a * a % P, b * b % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def stream(key, cells, width):
    encryptor = Cipher(AES(key), ECB()).encryptor()
    count = -(-cells * width // 16)
    content = b"".join(encryptor.update(number.to_bytes(16, "big")) for number in range(count))
    return [int.from_bytes(content[at : at + width], "little") for at in range(0, cells * width, width)]


def pair_seed(s_seed, *, sid, lower, higher):
    """r of a pair in the hybrid suite, from the mask seed of the lower."""
    return hkdf(s_seed.to_bytes(32, "little"), prefixed(b"pair-seed/v1", sid, lower.encode(), higher.encode()))


def channel_key(x25519_secret, kem_secret, *, h1, sender, receiver, ciphertext):
    """Of the hybrid suite, and the associated data."""
    label = prefixed(b"channel/v2", h1, sender.encode(), receiver.encode(), ciphertext)
    return hkdf(x25519_secret + kem_secret, label), label


def wrapping_key(kem_secret, *, h1, lower, higher, ciphertext):
    """What the pair's seed is wrapped with, and the associated data."""
    label = prefixed(b"pair-wrap/v1", h1, lower.encode(), higher.encode(), ciphertext)
    return hkdf(kem_secret, label), label


def pair_commitment(seed, *, sid, lower, higher):
    return hashlib.sha256(prefixed(b"pair-commit/v1", sid, lower.encode(), higher.encode(), seed)).digest()


def masked_input(*, me, seeds, public_keys, vector, sid, h2, plan_digest, bits, pair_seeds=None, holder=None):
    """y of a council from its two seeds, as integers below 2^bits; with the seed of each of its pairs, in the hybrid.

    `holder` gives what the council and the mask holder agreed on: `secret`, `ciphertext` and the `id` of the holder.
    """
    version = b"v1" if pair_seeds is None else b"v2"
    b_seed, s_seed = (seed.to_bytes(32, "little") for seed in seeds)
    private = hkdf(s_seed, prefixed(b"mask-key/" + version, sid, me.encode()))
    total = [
        value + word
        for value, word in zip(
            vector, stream(hkdf(b_seed, prefixed(b"self/v1", h2, me.encode())), len(vector), bits // 8), strict=True
        )
    ]
    for peer, public in public_keys.items():
        if peer == me:
            continue
        lower, higher = sorted((me, peer))
        secret = x25519(private, public[:32]) + (b"" if pair_seeds is None else pair_seeds[peer])
        key = hkdf(secret, prefixed(b"mask/" + version, h2, plan_digest, lower.encode(), higher.encode()))
        sign = 1 if me == lower else -1
        total = [value + sign * word for value, word in zip(total, stream(key, len(vector), bits // 8), strict=True)]
    if holder is not None:
        secret, ciphertext = holder["secret"], holder.get("ciphertext", b"")
        label = prefixed(b"holder-mask/v1", h2, plan_digest, me.encode(), holder["id"].encode(), ciphertext)
        words = stream(hkdf(secret, label), len(vector), bits // 8)
        total = [value + word for value, word in zip(total, words, strict=True)]
    return [value % 2**bits for value in total]
