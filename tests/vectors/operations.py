"""What the known-answer vectors exercise: named operations from JSON to JSON.

Bytes are hexadecimal text. An operation that refuses its input raises a `ProtocolError`; the vector then has
`"success": false` and the name of the error.
"""

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from protocols.encoding import sha256
from protocols.envelope import read_signed, sign_message, verify_message
from protocols.errors import ProtocolError
from protocols.key_agreement import check_public_key, derive_key, private_key, shared_secret
from protocols.masks import MaskKey, add_masks
from protocols.ring import Ring
from protocols.secagg import CohortRules, Profile, Stage, round_id
from protocols.secagg.evidence import verify_opening
from protocols.secagg.holder_masks import Met, holder_mask
from protocols.secagg.holder_messages import decode_holder_advert, decode_holder_opening, decode_opening_request
from protocols.secagg.key_schedule import channel_label, mask_private_bytes, pair_label, pair_sign, self_label
from protocols.secagg.messages import (
    advert_of,
    decode_advert,
    decode_adverts,
    decode_confirmation,
    decode_key_shares,
    decode_masked_input,
    decode_shares,
    decode_statements,
    decode_survivors,
    decode_unmask,
)
from protocols.secagg.transcript import ShareKind, self_seed_commitment, share_commitment, unmask_kinds
from protocols.shamir import combine, decode_element, encode_element, split, weights_at_zero
from protocols.suite import Suite
from protocols.wire.codec import Reader
from tests.simulation.secagg_rehearsal import REPLIES, Rehearsal

unhex = bytes.fromhex


def run(operation, given):
    """Perform an operation: `{"success": …, "output": …}` or `{"success": false, "error": …}`."""
    try:
        output = OPERATIONS[operation](**given)
    except ProtocolError as problem:
        return {"success": False, "error": type(problem).__name__}
    return {"success": True, "output": output}


def x25519(private, public):
    return {"secret": shared_secret(private_key(unhex(private)), unhex(public)).hex()}


def x25519_public(public):
    check_public_key(unhex(public))
    return {}


def ed25519(private, content):
    key = Ed25519PrivateKey.from_private_bytes(unhex(private))
    return {"public": key.public_key().public_bytes_raw().hex(), "signature": key.sign(unhex(content)).hex()}


def hkdf(secret, info):
    return {"key": derive_key(unhex(secret), unhex(info)).hex()}


def aes_ctr(key, counter, content):
    return {"content": Cipher(AES256(unhex(key)), CTR(unhex(counter))).encryptor().update(unhex(content)).hex()}


def aes_gcm(key, content):
    return {"ciphertext": AESGCM(unhex(key)).encrypt(bytes(12), unhex(content), b"").hex()}


def mask(key, bits, cells, sign):
    ring = Ring(bits=bits)
    total = ring.zeros(cells)
    add_masks(total, [MaskKey(key=unhex(key), sign=sign)], ring)
    return {"words": total.tobytes().hex()}


def ring_encode(bits, values):
    return {"words": Ring(bits=bits).encode(np.array(values, dtype=np.int64)).tobytes().hex()}


def ring_decode(bits, words):
    ring = Ring(bits=bits)
    return {"values": ring.decode_signed(ring.read(unhex(words))).tolist()}


def shamir_split(secret, threshold, count, random):
    shares = split(
        decode_element(unhex(secret)), threshold=threshold, count=count, rng=lambda size: unhex(random)[:size]
    )
    return {"shares": [encode_element(share).hex() for share in shares]}


def shamir_combine(points, shares):
    secret = combine(weights_at_zero(points), [decode_element(unhex(share)) for share in shares])
    return {"secret": encode_element(secret).hex()}


def sid(plan_digest, roster_digest, coordinator_id, attempt, nonce):
    found = round_id(
        plan_digest=unhex(plan_digest),
        roster_digest=unhex(roster_digest),
        coordinator_id=coordinator_id,
        attempt=attempt,
        nonce=unhex(nonce),
    )
    return {"sid": found.hex()}


def thresholds(profile, eligible, min_cohort, min_honest, n):
    rules = CohortRules(profile=Profile(profile), eligible_count=eligible, min_cohort=min_cohort, min_honest=min_honest)
    found = rules.thresholds(n)
    return {"n": found.n, "t": found.t, "c": found.c, "h": found.h}


def mask_private(s_seed, sid, owner):
    return {
        "private": mask_private_bytes(
            decode_element(unhex(s_seed)), sid=unhex(sid), owner=owner, suite=Suite.X25519
        ).hex()
    }


def pair_key(secret, h2, plan_digest, one, other):
    key = derive_key(unhex(secret), pair_label(unhex(h2), unhex(plan_digest), one, other, Suite.X25519))
    return {"key": key.hex(), "sign_of_one": pair_sign(one, other), "sign_of_other": pair_sign(other, one)}


def self_key(b_seed, h2, owner):
    return {"key": derive_key(unhex(b_seed), self_label(unhex(h2), owner)).hex()}


def channel_key(secret, h1, sender, receiver):
    return {"key": derive_key(unhex(secret), channel_label(unhex(h1), sender, receiver)).hex()}


def holder_key(secret, h2, plan_digest, owner, holder, ciphertext):
    met = Met(secret=unhex(secret), ciphertext=unhex(ciphertext))
    mask = holder_mask(met, h2=unhex(h2), plan_digest=unhex(plan_digest), owner=owner, holder=holder)
    return {"key": mask.key.hex(), "sign": mask.sign}


def opening(head, sid, holder, identity):
    return {"h3": verify_opening(unhex(head), sid=unhex(sid), holder=holder, identity=unhex(identity)).hex()}


def commit_seed(sid, owner, b_seed):
    return {"commitment": self_seed_commitment(unhex(sid), owner, decode_element(unhex(b_seed))).hex()}


def commit_share(*, sid, kind, dealer, receiver, salt, share):
    kind = ShareKind[kind]
    found = share_commitment(unhex(sid), kind, dealer, receiver, salt=unhex(salt), share=unhex(share))
    return {"commitment": found.hex()}


def sign(private, sid, stage, sender, body):
    key = Ed25519PrivateKey.from_private_bytes(unhex(private))
    return {
        "message": sign_message(sid=unhex(sid), stage=stage, sender=sender, body=unhex(body), sign=key.sign)
        .encode()
        .hex()
    }


def verify(message, sid, stage, identity, body_size):
    reader = Reader(unhex(message), what="the message", limit=1000)
    signed = read_signed(reader, stage=stage, body_size=body_size)
    reader.finish()
    verify_message(signed, sid=unhex(sid), identity=unhex(identity))
    return {"sender": signed.sender, "body": signed.body.hex()}


def secure_round(*, drop, **given):
    """A whole round from a seed: a digest of every message, and the sum."""
    rehearsal = _rehearse(**given, drop=drop)
    result = rehearsal.aggregator.finish()
    return {
        "inputs": {council: vector.tolist() for council, vector in rehearsal.inputs.items()},
        "sid": rehearsal.context.sid.hex(),
        "replies": {
            stage.name: {council: sha256(message).hex() for council, message in rehearsal.replies[stage].items()}
            for stage in REPLIES
        },
        "requests": {
            stage.name: {council: sha256(message).hex() for council, message in messages.items()}
            for stage, messages in rehearsal.requests.items()
        },
        "h2": result.h2.hex(),
        "h3": result.h3.hex(),
        "u3": list(result.u3),
        "total": result.total.tolist(),
        **({} if rehearsal.holder is None else _held(rehearsal, result)),
    }


def _held(rehearsal, result):
    return {
        "holder_advert": sha256(rehearsal.context.holder.advert).hex(),
        "opening_request": sha256(rehearsal.opening_request).hex(),
        "opening": sha256(rehearsal.opening).hex(),
        "opening_head": result.opening.hex(),
    }


def decode(*, stage, receiver, message, **given):
    """Decode a message as the round from that seed would, and say who signed what is in it."""
    rehearsal = _rehearse(**given, drop={})
    context, members = rehearsal.context, rehearsal.context.eligible
    content, stage = unhex(message), Stage[stage]
    kinds = tuple(unmask_kinds(members, members).values())
    decoders = {
        Stage.ADVERT: lambda: [_advert(decode_advert(content, context), context)],
        Stage.ADVERTS: lambda: [_advert(item, context) for item in decode_adverts(content, context)],
        Stage.KEY_SHARES: lambda: [decode_key_shares(content, context, members)[0].message.sender],
        Stage.SHARES: lambda: [
            dealt.message.sender
            for dealt, _ in decode_shares(content, context, receiver=receiver, members=len(members))
        ],
        Stage.MASKED_INPUT: lambda: [decode_masked_input(content, context)[0].sender],
        Stage.SURVIVORS: lambda: [item.sender for item in decode_survivors(content, context)],
        Stage.CONFIRMATION: lambda: [decode_confirmation(content, context).sender],
        Stage.STATEMENTS: lambda: [item.sender for item in decode_statements(content, context)],
        Stage.UNMASK: lambda: [decode_unmask(content, context, kinds)[0].sender],
        Stage.HOLDER_ADVERT: lambda: [decode_holder_advert(content, context.suite).sender],
        Stage.OPENING_REQUEST: lambda: _opening_request(content, context),
        Stage.OPENING: lambda: [decode_holder_opening(content, context)[0].sender],
    }
    return {"signed_by": decoders[stage]()}


def _advert(message, context):
    advert_of(message, Suite.X25519, held=context.holder is not None)
    return message.sender


def _opening_request(content, context):
    request = decode_opening_request(content, context)
    lists = (request.adverts, [one.message for one in request.dealt], request.headers, request.statements)
    return [item.sender for one in lists for item in one]


def _rehearse(*, seed, n, profile, bits, cells, drop, holder=False):
    losses = {Stage[stage]: set(councils) for stage, councils in drop.items()}
    return Rehearsal(n, profile=Profile(profile), cells=cells, bits=bits, seed=seed, holder=holder).play(drop=losses)


OPERATIONS = {
    operation.__name__: operation
    for operation in (
        aes_ctr,
        aes_gcm,
        channel_key,
        commit_seed,
        commit_share,
        decode,
        ed25519,
        hkdf,
        holder_key,
        mask,
        mask_private,
        opening,
        pair_key,
        ring_decode,
        ring_encode,
        secure_round,
        self_key,
        shamir_combine,
        shamir_split,
        sid,
        sign,
        thresholds,
        verify,
        x25519,
        x25519_public,
    )
}
