"""Regenerate the known-answer vectors: `make vectors`. A test fails when the files would change.

Each file holds `{"version": 1, "vectors": [{"operation", "note", "input", "success", "output" or "error"}]}`;
`operations.py` says what an operation is. `published.json` is not generated: its answers are the standards'.
"""

import json
from pathlib import Path

from protocols.secagg import Profile, Stage
from protocols.shamir import PRIME
from tests.simulation.secagg_rehearsal import REPLIES, REQUESTS, Rehearsal, council_ids
from tests.vectors.operations import run
from tests.vectors.seeded import SeededRandom

FOLDER = Path(__file__).parent
ROUND = {"seed": "vectors", "n": 4, "profile": "standard", "bits": 32, "cells": 2}


def vector(operation, note, **given):
    return {"operation": operation, "note": note, "input": given, **run(operation, given)}


def element(number):
    return number.to_bytes(32, "little").hex()


def ring_vectors():
    yield vector("ring_encode", "negative values reduce", bits=32, values=[0, 1, -1, 2**31 - 1, -(2**31), 2**32 + 5])
    yield vector("ring_encode", "negative values reduce", bits=64, values=[0, 1, -1, 2**63 - 1, -(2**63)])
    yield vector("ring_encode", "no such ring", bits=16, values=[0])
    yield vector("ring_decode", "to the signed half-range", bits=32, words="00000080ffffff7fffffffff")
    yield vector("ring_decode", "not whole words", bits=32, words="0000008000")


def shamir_vectors():
    rng = SeededRandom("shamir vectors")
    secret = element(int.from_bytes(rng(31), "little"))
    split = vector("shamir_split", "3 of 5", secret=secret, threshold=3, count=5, random=rng(64).hex())
    shares = split["output"]["shares"]
    yield split
    yield vector("shamir_split", "threshold over count", secret=secret, threshold=6, count=5, random="")
    for points in ([1, 2, 3], [5, 1, 4]):
        yield vector("shamir_combine", "any three", points=points, shares=[shares[point - 1] for point in points])
    yield vector("shamir_combine", "two of three give something else", points=[1, 2], shares=shares[:2])
    yield vector("shamir_combine", "a point twice", points=[1, 2, 2], shares=shares[:3])
    yield vector("shamir_combine", "the point of the secret", points=[0, 1, 2], shares=shares[:3])
    yield vector("shamir_combine", "a share that is p", points=[1, 2, 3], shares=[element(PRIME), *shares[1:3]])
    yield vector("shamir_combine", "a share too few", points=[1, 2, 3], shares=shares[:2])


def key_vectors():
    rng = SeededRandom("key vectors")
    secret, h, plan, sid = (rng(32).hex() for _ in range(4))
    lower, higher = council_ids(2)
    yield vector("mask_private", "the mask key of a seed", s_seed=element(7), sid=sid, owner=lower)
    yield vector("mask_private", "a seed that is p", s_seed=element(PRIME), sid=sid, owner=lower)
    yield vector("pair_key", "lower first", secret=secret, h2=h, plan_digest=plan, one=lower, other=higher)
    yield vector(
        "pair_key", "the same from the other end", secret=secret, h2=h, plan_digest=plan, one=higher, other=lower
    )
    yield vector("self_key", "a self mask", b_seed=element(9), h2=h, owner=lower)
    yield vector("channel_key", "there", secret=secret, h1=h, sender=lower, receiver=higher)
    yield vector("channel_key", "and back is another key", secret=secret, h1=h, sender=higher, receiver=lower)
    yield vector("commit_seed", "H(b_seed)", sid=sid, owner=lower, b_seed=element(9))
    for kind in ("SELF_MASK", "MASK_KEY"):
        yield vector("commit_share", kind, sid=sid, kind=kind, dealer=lower, receiver=higher, salt=h, share=element(3))
    for bits, sign in ((32, 1), (64, 1), (64, -1)):
        yield vector("mask", "a key stream", key=secret, bits=bits, cells=5, sign=sign)
    for note, point in (
        ("u = 0", 0),
        ("u = 1", 1),
        ("u = p - 1", PRIME - 1),
        ("u = p + 9", PRIME + 9),
        ("top bit set", 9 | 1 << 255),
    ):
        yield vector("x25519_public", note, public=element(point))
    yield vector("x25519_public", "the base point", public=element(9))


def agreement_vectors():
    rng = SeededRandom("agreement vectors")
    names = ("plan_digest", "roster_digest", "nonce")
    given = {name: rng(32).hex() for name in names} | {"coordinator_id": "coordinator", "attempt": 1}
    yield vector("sid", "first attempt", **given)
    yield vector("sid", "second attempt", **given | {"attempt": 2})
    yield vector("sid", "no attempt", **given | {"attempt": 0})
    yield vector("sid", "short nonce", **given | {"nonce": "00"})
    cases = [
        ("standard", 10, 10),
        ("careful", 10, 10),
        ("standard", 310, 250),
        ("careful", 310, 250),
        ("careful", 5, 5),
    ]
    refused = [("standard", 5, 3), ("careful", 310, 100), ("careful", 20, 7), ("standard", 10, 11)]
    for profile, eligible, n in cases + refused:
        yield vector(
            "thresholds", f"{n} of {eligible}", profile=profile, eligible=eligible, min_cohort=4, min_honest=3, n=n
        )
    yield vector(
        "thresholds", "below the agreement's cohort", profile="standard", eligible=20, min_cohort=10, min_honest=3, n=9
    )


def envelope_vectors():
    rng = SeededRandom("envelope vectors")
    private, sid, other = (rng(32).hex() for _ in range(3))
    signed = vector("sign", "a signed message", private=private, sid=sid, stage=7, sender="E06000001", body="00ff")
    yield signed
    identity = run("ed25519", {"private": private, "content": ""})["output"]["public"]
    message = bytes.fromhex(signed["output"]["message"])
    given = {"message": message.hex(), "sid": sid, "stage": 7, "identity": identity, "body_size": 2}
    yield vector("verify", "as signed", **given)
    yield vector("verify", "another round", **given | {"sid": other})
    yield vector("verify", "another stage", **given | {"stage": 8})
    yield vector(
        "verify",
        "another stage, and its byte changed",
        **given | {"stage": 8, "message": (message[:1] + b"\x08" + message[2:]).hex()},
    )
    yield vector("verify", "another version", **given | {"message": (b"\x02" + message[1:]).hex()})
    yield vector("verify", "another sender", **given | {"message": message.replace(b"E06000001", b"E06000002").hex()})
    yield vector("verify", "another body", **given | {"message": (message[:-1] + b"\x00").hex()})
    yield vector("verify", "bytes left over", **given | {"message": message.hex() + "00"})
    yield vector("verify", "cut short", **given | {"message": message[:-1].hex()})
    yield vector("verify", "another body length", **given | {"body_size": 3})


def round_vectors():
    lossy = {"MASKED_INPUT": [council_ids(5)[4]]}
    yield vector("secure_round", "four, standard", drop={}, **ROUND)
    yield vector(
        "secure_round",
        "five, careful, one lost after sharing keys",
        drop=lossy,
        **ROUND | {"n": 5, "profile": "careful", "bits": 64},
    )
    yield vector("secure_round", "four, standard, one lost", drop={"MASKED_INPUT": [council_ids(4)[3]]}, **ROUND)
    yield vector("secure_round", "three", drop={}, **ROUND | {"n": 3})


def decode_vectors():
    rehearsal = Rehearsal(
        ROUND["n"], profile=ROUND["profile"], cells=ROUND["cells"], bits=ROUND["bits"], seed=ROUND["seed"]
    ).play()
    me = council_ids(4)[1]
    for stage in sorted((*REPLIES, *REQUESTS)):
        message = (rehearsal.replies.get(stage) or rehearsal.requests.get(stage))[me]
        given = ROUND | {"stage": stage.name, "receiver": me}
        yield vector("decode", "as sent", message=message.hex(), **given)
        yield vector("decode", "another version", message="02" + message.hex()[2:], **given)
        yield vector("decode", "another stage", message="010a" + message.hex()[4:], **given)
        yield vector("decode", "bytes left over", message=message.hex() + "00", **given)
        yield vector("decode", "cut short", message=message.hex()[:-2], **given)


def holder_key_vectors():
    rng = SeededRandom("holder key vectors")
    secret, h, plan = (rng(32).hex() for _ in range(3))
    given = {"secret": secret, "h2": h, "plan_digest": plan, "owner": council_ids(1)[0], "holder": "lga"}
    yield vector("holder_key", "without a ciphertext", ciphertext="", **given)
    yield vector("holder_key", "with one, which the label binds", ciphertext="00ff", **given)
    yield vector("holder_key", "of another council", ciphertext="", **given | {"owner": council_ids(2)[1]})
    yield vector("holder_key", "of another holder", ciphertext="", **given | {"holder": "lgb"})


def holder_message_vectors():
    given = ROUND | {"holder": True}
    played = Rehearsal(**ROUND | {"profile": Profile.STANDARD}, holder=True).play()
    me = council_ids(4)[1]
    messages = {
        "ADVERT": played.replies[Stage.ADVERT][me],
        "ADVERTS": played.requests[Stage.ADVERTS][me],
        "HOLDER_ADVERT": played.context.holder.advert,
        "OPENING_REQUEST": played.opening_request,
        "OPENING": played.opening,
    }
    for stage, message in messages.items():
        named = given | {"stage": stage, "receiver": me}
        yield vector("decode", "as sent", message=message.hex(), **named)
        yield vector("decode", "another version", message="02" + message.hex()[2:], **named)
        yield vector("decode", "another stage", message="010d" + message.hex()[4:], **named)
        yield vector("decode", "bytes left over", message=message.hex() + "00", **named)
        yield vector("decode", "cut short", message=message.hex()[:-2], **named)
    without = Rehearsal(**ROUND | {"profile": Profile.STANDARD}).play()
    plain = without.replies[Stage.ADVERT][me].hex()
    yield vector("decode", "an advert without a key for the holder", message=plain, **named | {"stage": "ADVERT"})
    head = messages["OPENING"][: -ROUND["cells"] * ROUND["bits"] // 8]
    opened = {"head": head.hex(), "sid": played.context.sid.hex(), "identity": played.context.holder.identity.hex()}
    yield vector("opening", "as signed", holder="mask-holder", **opened)
    yield vector("opening", "another round", holder="mask-holder", **opened | {"sid": bytes(32).hex()})
    yield vector("opening", "another holder", holder="lga", **opened)
    yield vector("opening", "with the vector", holder="mask-holder", **opened | {"head": messages["OPENING"].hex()})


def holder_round_vectors():
    given = ROUND | {"holder": True}
    yield vector("secure_round", "four, standard, with a mask holder", drop={}, **given)
    yield vector(
        "secure_round",
        "five, careful, one lost after sharing keys, with a mask holder",
        drop={"MASKED_INPUT": [council_ids(5)[4]]},
        **given | {"n": 5, "profile": "careful", "bits": 64},
    )
    yield vector("secure_round", "three, with a mask holder", drop={}, **given | {"n": 3})


def files():
    """Content of each generated file by name."""
    groups = {
        "primitives.json": (ring_vectors, shamir_vectors, key_vectors),
        "messages.json": (envelope_vectors, decode_vectors),
        "rounds.json": (agreement_vectors, round_vectors),
        "holder.json": (holder_key_vectors, holder_message_vectors, holder_round_vectors),
    }
    return {name: _text([item for group in members for item in group()]) for name, members in groups.items()}


def _text(vectors):
    lines = ",\n    ".join(json.dumps(item) for item in vectors)
    return f'{{\n  "version": 1,\n  "vectors": [\n    {lines}\n  ]\n}}\n'


def main():
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="ascii")
        print(f"wrote {name}: {text.count('operation')} vectors")


if __name__ == "__main__":
    main()
