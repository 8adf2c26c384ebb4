"""The floor of a query: the bare cryptography of its round, nothing else, on the same cores.

Each node: key agreements, signatures, verifications, key derivations, AEAD, Shamir sharing, commitments and mask
expansions, done the same number of times as the protocol does them, in a plain loop, spread over all cores; then the
coordinator's.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from protocols.key_agreement import derive_key
from protocols.secagg import Thresholds
from protocols.shamir import random_elements, split

__all__ = ["bare_round_seconds", "expand_and_add", "expand_and_add_on", "node_work"]

SHARE_BYTES = 128
COMMITTED_BYTES = 200
BLOCK_BYTES = 256 * 1024


def expand_and_add(keys: Sequence[bytes], cells: int, bits: int = 64) -> None:
    """One AES-CTR expand-and-add for each key, over a vector of so many cells, in one reused buffer."""
    word = np.dtype(f"<u{bits // 8}")
    total, zeros, buffer = np.zeros(cells, word), memoryview(bytes(BLOCK_BYTES)), bytearray(BLOCK_BYTES + 16)
    words = np.frombuffer(memoryview(buffer)[:BLOCK_BYTES], word)
    for key in keys:
        stream = Cipher(AES256(key), CTR(bytes(16))).encryptor()
        for start in range(0, cells, len(words)):
            block = total[start : start + len(words)]
            stream.update_into(zeros[: block.nbytes], buffer)
            np.add(block, words[: len(block)], out=block)


def expand_and_add_on(cores: int, keys: Sequence[bytes], cells: int, bits: int = 64) -> None:
    """The same with the keys dealt out to that many threads; the primitive lets them run side by side."""
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda part: expand_and_add(keys[part::cores], cells, bits), range(cores)))


@cache
def signed(n: int) -> tuple[bytes, tuple[tuple[Ed25519PublicKey, bytes], ...]]:
    """A message, and n keys with their signatures of it; made once in a process and no part of the floor."""
    message, keys = os.urandom(200), [Ed25519PrivateKey.generate() for _ in range(n)]
    return message, tuple((key.public_key(), key.sign(message)) for key in keys)


def node_work(n: int, t: int, cells: int, bits: int) -> float:
    """One node's share of a round: seconds of its bare primitives."""
    message, senders = signed(n)
    begun = time.perf_counter()
    identity = Ed25519PrivateKey.generate()
    channel, mask = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    peer = X25519PrivateKey.generate().public_key()
    for _ in range(n - 1):  # channel and mask keys, and what is derived from them
        secret = channel.exchange(peer)
        derive_key(secret, b"out")
        derive_key(secret, b"in")
        derive_key(mask.exchange(peer), b"mask")
    for seed in random_elements(2, os.urandom):
        split(seed, threshold=t, count=n, rng=os.urandom)
    box = AESGCM(os.urandom(32))
    plain = os.urandom(SHARE_BYTES)
    for _ in range(n - 1):
        box.decrypt(bytes(12), box.encrypt(bytes(12), plain, b""), b"")
    committed = os.urandom(COMMITTED_BYTES)
    for _ in range(6 * n):  # two commitments and a leaf for each other council, and theirs checked
        hashlib.sha256(committed).digest()
    for _ in range(5):  # advert, key shares, masked input, confirmation, unmask
        identity.sign(message)
    for body, count in ((104 + 8 * n, n - 1), (64 + 32 * n, n - 1), (64, n - 1), (32, t)):
        hashed = bytes(body)  # of an advert, key shares, a masked input's header, a confirmation
        for verifier, signature in senders[:count]:
            hashlib.sha256(hashed).digest()
            verifier.verify(signature, message)
    expand_and_add([os.urandom(32) for _ in range(n)], cells, bits)
    return time.perf_counter() - begun


def coordinator_work(n: int, cells: int, bits: int) -> float:
    """The coordinator's bare verifications and self masks, everyone present."""
    begun = time.perf_counter()
    identity = Ed25519PrivateKey.generate()
    signature = identity.sign(b"x")
    verifier = identity.public_key()
    for _ in range(5 * n):
        verifier.verify(signature, b"x")
    expand_and_add([os.urandom(32) for _ in range(n)], cells, bits)
    return time.perf_counter() - begun


def bare_round_seconds(thresholds: Thresholds, *, cells: int, bits: int, cores: int) -> float:
    """Seconds a round's bare cryptography takes on `cores` cores, nodes side by side, then the coordinator."""
    n, t = thresholds.n, thresholds.t
    with ProcessPoolExecutor(max_workers=cores) as pool:
        list(pool.map(node_work, [n] * cores, [t] * cores, [cells] * cores, [bits] * cores))  # warm
        begun = time.perf_counter()
        list(pool.map(node_work, [n] * n, [t] * n, [cells] * n, [bits] * n))
        nodes = time.perf_counter() - begun
    return nodes + coordinator_work(n, cells, bits)
