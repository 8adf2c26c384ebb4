"""Rounds whose keys are agreed by X25519 and ML-KEM-768 together: the same sums, and X25519 alone opens no mask."""

from dataclasses import replace

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.envelope import sign_message
from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.key_agreement import derive_key
from protocols.ring import Ring
from protocols.secagg import BadKeyShare, BelowThreshold, CohortRules, Profile, Stage, accept_shares, participant
from protocols.secagg.key_schedule import pair_label, pair_seed
from protocols.secagg.messages import (
    advert_of,
    dealt_body,
    decode_advert,
    decode_adverts,
    decode_key_shares,
    decode_shares,
    encode_list,
    encode_shares,
)
from protocols.secagg.run import prepare, run_secure_sum
from protocols.secagg.transcript import leaf, pair_seed_commitment
from protocols.suite import KEM_KEY_SIZE, PrivateKey, Suite, check_public, encapsulate
from tests.simulation.secagg_rehearsal import Rehearsal, council_ids
from tests.vectors import reference
from tests.vectors.seeded import SeededRandom

COUNCILS = council_ids(7)
LOWEST, SECOND, HIGHEST = COUNCILS[0], COUNCILS[1], COUNCILS[-1]
KEM_PART = slice(32, None)


def rehearsal(**changes):
    return Rehearsal(7, suite=Suite.HYBRID, seed="hybrid", **changes)


@pytest.fixture(scope="module")
def honest():
    return rehearsal().play()


@pytest.mark.parametrize(
    "stage", [Stage.ADVERT, Stage.KEY_SHARES, Stage.MASKED_INPUT, Stage.CONFIRMATION, Stage.UNMASK]
)
@pytest.mark.parametrize("lost", [(LOWEST,), (HIGHEST,), (COUNCILS[3],), (LOWEST, HIGHEST)])
def test_the_sum_is_right_whoever_is_lost_and_when(stage, lost):
    played = rehearsal(min_honest=2).play(drop={stage: lost})
    counted = COUNCILS if stage in {Stage.CONFIRMATION, Stage.UNMASK} else [c for c in COUNCILS if c not in lost]
    result = played.aggregator.finish()
    assert result.u3 == tuple(counted)
    np.testing.assert_array_equal(result.total, played.expected(counted))


@pytest.mark.parametrize("bits", [32, 64])
def test_a_masked_input_is_the_one_that_the_specification_gives(bits):
    played = rehearsal(bits=bits).play(upto=Stage.MASKED_INPUT)
    seeds = {council: played.states[council][Stage.ADVERT].s_seed for council in COUNCILS}
    context = played.context
    for me in (LOWEST, COUNCILS[3], HIGHEST):
        ready = played.states[me][Stage.SHARES]
        pairs = {
            peer: reference.pair_seed(seeds[min(me, peer)], sid=context.sid, lower=min(me, peer), higher=max(me, peer))
            for peer in COUNCILS
        }
        given = reference.masked_input(
            me=me,
            seeds=(played.states[me][Stage.KEY_SHARES].b_seed, seeds[me]),
            public_keys=ready.cohort.mask_keys,
            vector=[int(value) for value in played.inputs[me]],
            sid=context.sid,
            h2=ready.h2,
            plan_digest=context.plan_digest,
            bits=bits,
            pair_seeds=pairs,
        )
        width = bits // 8
        sent = played.replies[Stage.MASKED_INPUT][me][-context.cells * width :]
        assert sent == b"".join(value.to_bytes(width, "little") for value in given)


def test_whoever_breaks_x25519_has_no_mask(honest):
    """Every X25519 secret of a pair, and every byte that was sent, do not give the pair's mask: only r with them does."""
    context = honest.context
    for lower, higher in ((LOWEST, HIGHEST), (SECOND, COUNCILS[3])):
        ready = honest.states[lower][Stage.SHARES]
        broken = honest.states[lower][Stage.ADVERT].mask_private.agree(ready.cohort.mask_keys[higher])
        seed = pair_seed(honest.states[lower][Stage.ADVERT].s_seed, sid=context.sid, lower=lower, higher=higher)
        label = pair_label(ready.h2, context.plan_digest, lower, higher, Suite.HYBRID)
        masks = {mask.key for mask in ready.masks}
        assert derive_key(broken + seed, label) in masks
        assert derive_key(broken, label) not in masks
        everything = b"".join(message for sent in honest.replies.values() for message in sent.values())
        assert seed not in everything
        assert broken not in everything


@pytest.mark.parametrize(("lower", "higher"), [(LOWEST, HIGHEST), (SECOND, COUNCILS[3])])
def test_channels_and_wrapped_seeds_are_those_that_the_specification_gives(honest, lower, higher):
    """Written a second time in `reference`: each key comes from every secret that it must, and from nothing less."""
    sid, h1 = honest.context.sid, honest.states[lower][Stage.SHARES].cohort.h1
    keys = {council: honest.states[council][Stage.ADVERT] for council in (lower, higher)}
    for sender, receiver in ((lower, higher), (higher, lower)):
        _, openings = decode_key_shares(honest.replies[Stage.KEY_SHARES][sender], honest.context, COUNCILS)
        opening = openings.opening(COUNCILS.index(receiver))
        ciphertext, sealed = opening.ciphertext[:1088], opening.ciphertext[1088:]
        mine, theirs = keys[sender].channel_private, keys[receiver].channel_private
        secrets = mine.x25519.exchange(theirs.x25519.public_key()), theirs.kem.decapsulate(ciphertext)
        ends = {"h1": h1, "sender": sender, "receiver": receiver, "ciphertext": ciphertext}
        key, label = reference.channel_key(*secrets, **ends)
        held = honest.states[receiver][Stage.SHARES].held[sender]
        assert AESGCM(key).decrypt(bytes(12), sealed, label) == held.encode()
        for half in ((secrets[0], b""), (b"", secrets[1]), (secrets[0], bytes(32)), (bytes(32), secrets[1])):
            with pytest.raises(InvalidTag):
                AESGCM(reference.channel_key(*half, **ends)[0]).decrypt(bytes(12), sealed, label)
    _, openings = decode_key_shares(honest.replies[Stage.KEY_SHARES][lower], honest.context, COUNCILS)
    wrapped = openings.opening(COUNCILS.index(higher)).wrapped
    ciphertext, sealed, commitment = wrapped[:1088], wrapped[1088:-32], wrapped[-32:]
    secret = keys[higher].mask_private.kem.decapsulate(ciphertext)
    key, label = reference.wrapping_key(secret, h1=h1, lower=lower, higher=higher, ciphertext=ciphertext)
    seed = reference.pair_seed(keys[lower].s_seed, sid=sid, lower=lower, higher=higher)
    assert AESGCM(key).decrypt(bytes(12), sealed, label) == seed
    assert commitment == reference.pair_commitment(seed, sid=sid, lower=lower, higher=higher)


def test_what_a_council_sealed_opens_for_nobody_else_and_in_nobody_elses_name(honest):
    """A colluding council that sends on what another one sealed, as its own, learns that it does not open."""
    round_ = rehearsal().advertise().share_keys().accept_shares()
    _, taken = next(entry for entry in entries_of(round_, HIGHEST) if entry[0].message.sender == LOWEST)
    _, own = next(entry for entry in entries_of(round_, HIGHEST) if entry[0].message.sender == SECOND)
    for changed in (replace(own, wrapped=taken.wrapped), replace(own, ciphertext=taken.ciphertext)):
        with pytest.raises(BadKeyShare) as caught:
            accept(round_, HIGHEST, resigned(round_, SECOND, HIGHEST, changed))
        assert caught.value.culprit == SECOND


def test_channel_keys_need_the_second_part_too(honest):
    """A share that was sealed without the encapsulated secret is not opened: so X25519 alone opens no share either."""
    ready = rehearsal().advertise().share_keys().accept_shares()
    dealt, opening = next(entry for entry in entries_of(ready, SECOND) if entry[0].message.sender == LOWEST)
    other = replace(opening, ciphertext=encapsulate(key_of(ready, SECOND))[1] + opening.ciphertext[1088:])
    with pytest.raises(BadKeyShare):
        accept(ready, SECOND, resigned(ready, LOWEST, SECOND, other))
    assert dealt.message.sender == LOWEST


@pytest.mark.parametrize(
    ("part", "at"),
    [("ciphertext", 0), ("ciphertext", 1087), ("ciphertext", 1088), ("wrapped", 0), ("wrapped", 1100), ("wrapped", -1)],
)
def test_whatever_a_dealer_seals_wrong_is_attributed_to_it(part, at):
    round_ = rehearsal().advertise().share_keys().accept_shares()
    _, opening = next(entry for entry in entries_of(round_, HIGHEST) if entry[0].message.sender == LOWEST)
    content = bytearray(getattr(opening, part))
    content[at] ^= 1
    changed = replace(opening, **{part: bytes(content)})
    with pytest.raises(BadKeyShare) as caught:
        accept(round_, HIGHEST, resigned(round_, LOWEST, HIGHEST, changed))
    assert caught.value.culprit == LOWEST
    assert leaf(caught.value.opening) == leaf(changed.encode())


def test_a_seed_wrapped_wrong_for_a_council_that_is_then_lost_ends_the_round_with_a_name():
    """Nobody is there to complain, so the coordinator finds it when it takes the lost council's masks off."""
    round_ = rehearsal().advertise()
    adverts = round_.aggregator.close_adverts()
    for council, session in round_.sessions.items():
        message = session.share_keys(adverts[council])
        if council == LOWEST:
            message = changed_dealing(round_, message, HIGHEST)
        round_.aggregator.receive_key_shares(council, message)
    # The dealer knows its own message by its signature, so it plays on with the one that it sent.
    shares = round_.aggregator.close_key_shares()
    alive = [council for council in COUNCILS if council != HIGHEST]
    for council in alive:
        session = round_.sessions[council]
        if council == LOWEST:
            session._stage = replace(session._stage, dealt=own_message(round_, shares[council]))
        session.accept_shares(shares[council])
        round_.aggregator.receive_masked_input(council, session.mask(round_.inputs[council]))
    survivors = round_.aggregator.close_masked_inputs()
    for council in alive:
        round_.aggregator.receive_confirmation(council, round_.sessions[council].confirm_survivors(survivors[council]))
    statements = round_.aggregator.close_confirmations()
    for council in alive:
        round_.aggregator.receive_unmask(council, round_.sessions[council].unmask(statements[council]))
    with pytest.raises(BelowThreshold, match="does not give the mask") as caught:
        round_.aggregator.finish()
    assert caught.value.culprit == LOWEST


def another_seed(monkeypatch, dealer):
    """A council that sends another r than its own seed gives, and masks with that."""
    true = participant.pair_seed

    def false(s_seed, *, sid, lower, higher):
        return bytes(32) if lower == dealer else true(s_seed, sid=sid, lower=lower, higher=higher)

    monkeypatch.setattr(participant, "pair_seed", false)


@pytest.mark.parametrize("dealer", [LOWEST, COUNCILS[3]])
def test_a_dealer_that_sends_another_seed_than_its_own_gives_and_is_lost_is_named(monkeypatch, dealer):
    """Else its masks would stay in the sum, which would be published as if it were right."""
    another_seed(monkeypatch, dealer)
    played = rehearsal().play(drop={Stage.MASKED_INPUT: (dealer,)})
    with pytest.raises(BelowThreshold, match="does not give the mask") as caught:
        played.aggregator.finish()
    assert caught.value.culprit == dealer


def test_a_dealer_that_sends_another_seed_and_stays_spoils_nothing(monkeypatch):
    another_seed(monkeypatch, LOWEST)
    played = rehearsal().play()
    np.testing.assert_array_equal(played.aggregator.finish().total, played.expected(COUNCILS))


def test_a_seed_that_is_not_the_one_committed_to_is_refused_before_anything_is_charged():
    """Otherwise a dealer could commit to the seed that its own gives, and send another."""
    round_ = rehearsal().advertise().share_keys().accept_shares()
    _, opening = next(entry for entry in entries_of(round_, HIGHEST) if entry[0].message.sender == LOWEST)
    commitment = pair_seed_commitment(round_.context.sid, LOWEST, HIGHEST, bytes(32))
    changed = replace(opening, wrapped=opening.wrapped[:-32] + commitment)
    with pytest.raises(BadKeyShare) as caught:
        accept(round_, HIGHEST, resigned(round_, LOWEST, HIGHEST, changed))
    assert caught.value.culprit == LOWEST


@pytest.mark.parametrize("whose", ["another's", "its own channel's"])
def test_one_part_of_a_key_used_twice_is_refused_by_councils_and_aggregator(honest, whose):
    adverts = [decode_advert(message, honest.context) for message in honest.replies[Stage.ADVERT].values()]
    victim, own = advert_of(adverts[0], Suite.HYBRID), advert_of(adverts[1], Suite.HYBRID)
    taken = victim.mask_key if whose == "another's" else own.channel_key
    forged = replace(own, mask_key=own.mask_key[:32] + taken[KEM_PART])
    adverts[1] = signed(honest, adverts[1], forged.encode_body())
    with pytest.raises(RemoteProtocolError, match="in the adverts twice"):
        rehearsal().advertise().sessions[LOWEST].share_keys(encode_list(Stage.ADVERTS, adverts))
    fresh = rehearsal()
    fresh.aggregator.receive_advert(LOWEST, adverts[0].encode())
    with pytest.raises(RemoteProtocolError, match="in use already"):
        fresh.aggregator.receive_advert(SECOND, adverts[1].encode())


def test_a_second_part_that_is_no_key_is_refused():
    public = PrivateKey.read(bytes(range(96)), Suite.HYBRID).public
    check_public(public, Suite.HYBRID)
    with pytest.raises(MalformedMessage, match="ML-KEM-768"):
        check_public(public[:32] + b"\xff" * KEM_KEY_SIZE, Suite.HYBRID)
    for cut in (public[:32], public[:-1], public + b"\0"):
        with pytest.raises(MalformedMessage, match="bytes"):
            check_public(cut, Suite.HYBRID)


def test_councils_of_another_suite_are_refused(honest):
    """The suite is the agreement's: a coordinator that shows adverts of the weaker one is refused, and the reverse."""
    weak = Rehearsal(7, seed="hybrid").advertise()
    with pytest.raises(MalformedMessage):
        decode_adverts(weak.aggregator.close_adverts()[LOWEST], honest.context)
    with pytest.raises(MalformedMessage):
        decode_adverts(honest.requests[Stage.ADVERTS][LOWEST], weak.context)


def test_the_secrets_of_a_round_go_with_its_stages(honest):
    for council in COUNCILS:
        after = [name for stage in (Stage.SHARES, Stage.UNMASK) for name in honest.states[council][stage].__slots__]
        assert not {"channel_private", "mask_private", "agreed", "pair_seeds", "s_seed", "b_seed"} & set(after)


def test_the_whole_round_on_one_page_takes_a_suite():
    councils = council_ids(5)
    inputs = {council: np.arange(3, dtype=np.int64) + place for place, council in enumerate(councils)}
    result = run_secure_sum(
        inputs, rng=SeededRandom("one page"), suite=Suite.HYBRID, drop={Stage.MASKED_INPUT: frozenset(councils[:1])}
    )
    np.testing.assert_array_equal(result.total, sum(inputs[council] for council in councils[1:]))


def test_a_party_without_the_suite_named_plays_the_first_one():
    rules = CohortRules(profile=Profile.CAREFUL, eligible_count=4, min_cohort=4, min_honest=2)
    parties = prepare(council_ids(4), rules=rules, ring=Ring(bits=64), cells=1, rng=SeededRandom("first"))
    assert parties.context.suite is Suite.X25519


def signed(round_, message, body):
    return sign_message(
        sid=round_.context.sid, stage=message.stage, sender=message.sender, body=body, sign=round_.sign(message.sender)
    )


def entries_of(round_, receiver):
    return decode_shares(round_.requests[Stage.SHARES][receiver], round_.context, receiver=receiver, members=7)


def key_of(round_, council):
    return advert_of(decode_advert(round_.replies[Stage.ADVERT][council], round_.context), Suite.HYBRID).channel_key


def resigned(round_, dealer, receiver, opening):
    """SHARES for a receiver in which a dealer has signed another opening for it."""
    found = []
    for dealt, kept in entries_of(round_, receiver):
        if dealt.message.sender != dealer:
            found.append((dealt.message, kept.encode()))
            continue
        rows = [dealt.leaf(position) for position in range(7)]
        rows[COUNCILS.index(receiver)] = leaf(opening.encode())
        body = dealt_body(dealt.h1, dealt.self_commitment, rows)
        found.append((signed(round_, dealt.message, body), opening.encode()))
    return encode_shares([message.encode() for message, _ in found], [kept for _, kept in found])


def accept(round_, receiver, shares):
    return accept_shares(round_.states[receiver][Stage.KEY_SHARES], shares)


def changed_dealing(round_, message, receiver):
    """A KEY_SHARES message whose wrapped seed for one receiver is spoilt, signed like that."""
    dealt, openings = decode_key_shares(message, round_.context, COUNCILS)
    position = COUNCILS.index(receiver)
    opening = openings.opening(position)
    spoilt = replace(opening, wrapped=bytes([opening.wrapped[0] ^ 1]) + opening.wrapped[1:]).encode()
    encoded = [spoilt if place == position else openings.encoded(place) for place in range(7)]
    body = dealt_body(dealt.h1, dealt.self_commitment, [leaf(item) for item in encoded])
    return signed(round_, dealt.message, body).encode() + b"".join(encoded)


def own_message(round_, shares):
    entries = decode_shares(shares, round_.context, receiver=LOWEST, members=7)
    return next(dealt.message for dealt, _ in entries if dealt.message.sender == LOWEST)
