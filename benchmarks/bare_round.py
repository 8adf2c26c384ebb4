"""The floor of a query: the bare cryptography of its round, nothing else, on the same cores.

Each node: key agreements, signatures, verifications, key derivations, AEAD, Shamir sharing and mask expansions, done
the same number of times as the protocol does them, in a plain loop, spread over all cores; then the coordinator's.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.key_agreement import derive_key
from protocols.masks import MaskKey, add_masks
from protocols.ring import Ring
from protocols.secagg import Thresholds
from protocols.shamir import random_elements, split

__all__ = ["bare_round_seconds"]

SHARE_BYTES = 128


def node_work(n: int, t: int, cells: int, bits: int) -> float:
    """One node's share of a round: seconds of its bare primitives."""
    begun = time.perf_counter()
    identity = Ed25519PrivateKey.generate()
    verifier = identity.public_key()
    message = os.urandom(200)
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
    for _ in range(5):  # advert, key shares, masked input, confirmation, unmask
        signature = identity.sign(message)
    for _ in range(3 * (n - 1) + t):  # adverts, key shares, survivors; t confirmations
        verifier.verify(signature, message)
    ring = Ring(bits=bits)
    vector = ring.encode(np.zeros(cells, dtype=np.int64))
    add_masks(vector, [MaskKey(key=os.urandom(32), sign=1) for _ in range(n)], ring)
    return time.perf_counter() - begun


def coordinator_work(n: int, cells: int, bits: int) -> float:
    """The coordinator's bare verifications and self masks, everyone present."""
    begun = time.perf_counter()
    identity = Ed25519PrivateKey.generate()
    signature = identity.sign(b"x")
    verifier = identity.public_key()
    for _ in range(5 * n):
        verifier.verify(signature, b"x")
    ring = Ring(bits=bits)
    total = ring.encode(np.zeros(cells, dtype=np.int64))
    add_masks(total, [MaskKey(key=os.urandom(32), sign=-1) for _ in range(n)], ring)
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
