"""The mask holder: without its opening no sum comes out, whoever else works together; with it, one sum for each round."""

from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from scipy import stats

from protocols.encoding import sha256
from protocols.envelope import sign_message
from protocols.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId, RoundId
from protocols.key_agreement import derive_key
from protocols.masks import add_masks
from protocols.ring import Ring
from protocols.secagg import (
    Aggregator,
    BelowThreshold,
    CohortRuleBroken,
    HolderSession,
    HolderState,
    ParticipantSession,
    Profile,
    Stage,
    holder_of,
    run_secure_sum,
    share_keys,
    size_limit,
)
from protocols.secagg.evidence import verify_opening
from protocols.secagg.holder_messages import OpeningRequest, decode_holder_opening, decode_opening_request
from protocols.secagg.key_schedule import holder_label, mask_private_key, pair_label, self_label
from protocols.secagg.messages import advert_of, decode_advert, decode_adverts, encode_list
from protocols.secagg.run import MASK_HOLDER
from protocols.secagg.transcript import adverts_view
from protocols.secagg.transitions import HOLDER, HolderEvent
from protocols.shamir import encode_element
from protocols.suite import KEM_CIPHERTEXT_SIZE, PrivateKey, Suite
from tests.simulation.secagg_rehearsal import REPLIES, Rehearsal, council_ids
from tests.vectors import reference
from tests.vectors.seeded import SeededRandom

VICTIM, COLLUDER, *_ = council_ids(5)


def refused(match, *, kind=RemoteProtocolError):
    return pytest.raises(kind, match=match)


@pytest.fixture(scope="module", params=Suite)
def honest(request):
    return Rehearsal(5, seed="holder", holder=True, suite=request.param, min_honest=2).play()


# --- the sum ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("stage", [None, *REPLIES])
def test_the_sum_over_the_survivors_comes_out_whoever_is_lost_when(suite, stage):
    councils = council_ids(7)
    inputs = {council: np.arange(-3, 5, dtype=np.int64) * number for number, council in enumerate(councils, start=1)}
    drop = {} if stage is None else {stage: frozenset({councils[2], councils[5]})}
    result = run_secure_sum(inputs, rng=SeededRandom("held"), suite=suite, holder=True, min_honest=1, drop=drop)
    early = (Stage.ADVERT, Stage.KEY_SHARES, Stage.MASKED_INPUT)
    assert set(councils) - set(result.u3) == (drop[stage] if stage in early else set())
    assert result.total.tolist() == sum(inputs[council] for council in result.u3).tolist()


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("bits", [32, 64])
def test_a_masked_input_is_the_one_that_the_specification_gives(suite, bits):
    """What the council masks with is worked out from the holder's end, by a writing of its own."""
    round_ = Rehearsal(5, cells=7, bits=bits, seed="held reference", holder=True, suite=suite)
    private = round_.holder._private
    round_.play(upto=Stage.MASKED_INPUT)
    for council in council_ids(5):
        states = round_.states[council]
        advert = advert_of(decode_advert(round_.replies[Stage.ADVERT][council], round_.context), suite, held=True)
        secret = reference.x25519(private.x25519.private_bytes_raw(), advert.holder_key[:32])
        ciphertext = advert.holder_key[32:]
        assert len(ciphertext) == (KEM_CIPHERTEXT_SIZE if suite is Suite.HYBRID else 0)
        if ciphertext:
            secret += private.kem.decapsulate(ciphertext)
        hybrid = {} if suite is Suite.X25519 else {"pair_seeds": _pair_seeds(round_, council)}
        expected = reference.masked_input(
            me=council,
            seeds=(states[Stage.KEY_SHARES].b_seed, states[Stage.ADVERT].s_seed),
            public_keys=states[Stage.KEY_SHARES].cohort.mask_keys,
            vector=round_.inputs[council].tolist(),
            sid=round_.context.sid,
            h2=states[Stage.SHARES].h2,
            plan_digest=round_.context.plan_digest,
            bits=bits,
            holder={"id": MASK_HOLDER, "secret": secret, "ciphertext": ciphertext},
            **hybrid,
        )
        content = round_.replies[Stage.MASKED_INPUT][council][-7 * bits // 8 :]
        assert round_.context.ring.read(content).tolist() == expected


def _pair_seeds(round_, me):
    sid = round_.context.sid
    seeds = {council: round_.states[council][Stage.ADVERT].s_seed for council in council_ids(5)}
    pairs = {peer: sorted((me, peer)) for peer in seeds if peer != me}
    return {
        peer: reference.pair_seed(seeds[lower], sid=sid, lower=lower, higher=higher)
        for peer, (lower, higher) in pairs.items()
    }


def test_a_round_without_a_holder_has_the_bytes_it_always_had():
    """The vectors on file say so for every message; here, that nothing of the holder is in such a round."""
    plain = Rehearsal(5, seed="plain").play()
    assert plain.context.holder is None
    advert = advert_of(decode_advert(plain.replies[Stage.ADVERT][VICTIM], plain.context), Suite.X25519)
    assert advert.holder_key == b""
    assert len(plain.states[VICTIM][Stage.SHARES].masks) == 5
    assert plain.aggregator.finish().opening == b""


# --- without the opening ---------------------------------------------------------------------------------

CELLS = 40_000


def _uniform(words):
    return stats.chisquare(np.bincount(np.frombuffer(words.tobytes(), dtype=np.uint8), minlength=256)).pvalue


@pytest.mark.parametrize("suite", Suite)
def test_without_the_opening_the_coordinator_has_uniform_words(suite):
    """A coordinator that rebuilds every seed and takes off every mask it can: all but the holder's."""
    found = {}
    for opens in (False, True):
        round_ = Rehearsal(5, cells=CELLS, seed="closed", holder=True, suite=suite).play(withheld=not opens)
        aggregator = round_.aggregator
        if not opens:
            with refused("mask-holder, the mask holder, has not opened the sum", kind=LocalProtocolError):
                aggregator.finish()
            aggregator._context = replace(round_.context, holder=None)  # what a liar's own program leaves out
        found[opens] = aggregator.finish().total
    assert found[True].tolist() == round_.expected(round_.inputs).tolist()
    assert 0.001 < _uniform(found[False]) < 0.999
    assert _uniform(found[True]) < 1e-9  # the test has power: an opened sum fails it by far


@pytest.mark.parametrize("suite", Suite)
def test_all_councils_but_one_with_the_coordinator_and_every_seed_of_the_round_do_not_get_the_ones_figure(suite):
    """More than c collude, which is past what secure aggregation promises: the holder's mask is what is left."""
    round_ = Rehearsal(5, cells=CELLS, seed="alone", holder=True, suite=suite).play(withheld=True)
    context, states = round_.context, round_.states[VICTIM]
    b_seed, s_seed = states[Stage.KEY_SHARES].b_seed, states[Stage.ADVERT].s_seed  # as all others' shares give them
    h2, ring = states[Stage.SHARES].h2, context.ring
    words = ring.read(round_.replies[Stage.MASKED_INPUT][VICTIM][-ring.width * CELLS :]).copy()
    own = mask_private_key(s_seed, sid=context.sid, owner=VICTIM, suite=suite)
    pair_seeds = _pair_seeds(round_, VICTIM) if suite is Suite.HYBRID else {}
    known = {derive_key(encode_element(b_seed), self_label(h2, VICTIM))}
    for peer, public in states[Stage.KEY_SHARES].cohort.mask_keys.items():
        if peer != VICTIM:
            secret = own.agree(public) + pair_seeds.get(peer, b"")
            known.add(derive_key(secret, pair_label(h2, context.plan_digest, VICTIM, peer, suite)))
    # The key that the victim advertised for its peers gives nothing of the mask with the holder either.
    label = holder_label(h2, context.plan_digest, VICTIM, MASK_HOLDER, b"")
    known.add(derive_key(own.agree(context.holder.key), label))
    masks = states[Stage.SHARES].masks
    (left,) = [mask for mask in masks if mask.key not in known]
    add_masks(words, [mask.opposite() for mask in masks if mask.key in known], ring)
    assert 0.001 < _uniform(words) < 0.999
    add_masks(words, [left.opposite()], ring)
    assert ring.decode_signed(words).tolist() == round_.inputs[VICTIM].tolist()
    assert _uniform(words) < 1e-9


def test_no_two_rounds_and_no_two_councils_have_a_mask_with_the_holder_alike():
    keys = []
    for seed in ("one", "two"):
        round_ = Rehearsal(5, seed=seed, holder=True).play(upto=Stage.MASKED_INPUT)
        keys += [round_.states[council][Stage.SHARES].masks[-1].key for council in council_ids(5)]
    assert len(set(keys)) == 10


@pytest.mark.parametrize("suite", Suite)
def test_the_holder_is_shown_keys_and_signatures_and_no_figure(suite):
    sizes = set()
    for cells in (3, 300):
        round_ = Rehearsal(5, cells=cells, seed="shown", holder=True, suite=suite).play()
        vectors = [message[-cells * 8 :] for message in round_.replies[Stage.MASKED_INPUT].values()]
        assert not [vector for vector in vectors if vector[:16] in round_.opening_request]
        sizes.add(len(round_.opening_request))
    assert len(sizes) == 1


def test_what_the_holder_gives_is_uniform():
    round_ = Rehearsal(5, cells=CELLS, seed="given", holder=True).play()
    assert 0.001 < _uniform(np.frombuffer(round_.opening[-8 * CELLS :], dtype=np.uint64)) < 0.999


# --- what the holder refuses -----------------------------------------------------------------------------


def request_of(rehearsal):
    return decode_opening_request(rehearsal.opening_request, rehearsal.context)


def fresh(rehearsal):
    """A holder's session at the point where it is asked, in the very round that was rehearsed."""
    session = HolderSession(
        replace(rehearsal.context, holder=None),
        MASK_HOLDER,
        rehearsal.holder._sign,
        SeededRandom("unused"),
        identity=rehearsal.context.holder.identity,
    )
    session._state, session._context = HolderState.ADVERTISED, rehearsal.context
    session._private = PrivateKey.read(
        SeededRandom("key")(rehearsal.context.suite.private_size), rehearsal.context.suite
    )
    return session


def ask(rehearsal, request: OpeningRequest):
    session = fresh(rehearsal)
    try:
        return session.prepare(request.encode())
    finally:
        session.end()


def resigned(rehearsal, message, body):
    sign = rehearsal.sign(message.sender)
    return sign_message(sid=rehearsal.context.sid, stage=message.stage, sender=message.sender, body=body, sign=sign)


def swapped(items, at, item):
    return (*items[:at], item, *items[at + 1 :])


def test_the_honest_request_is_accepted(honest):
    # Without this, every refusal below could be for another reason.
    opened = ask(honest, request_of(honest))
    assert opened.survivors == honest.context.eligible
    result = honest_result(honest)
    assert opened.h3 == result.h3


def honest_result(rehearsal):
    aggregator = Aggregator(rehearsal.context)
    for stage, receive, close in (
        (Stage.ADVERT, aggregator.receive_advert, aggregator.close_adverts),
        (Stage.KEY_SHARES, aggregator.receive_key_shares, aggregator.close_key_shares),
        (Stage.MASKED_INPUT, aggregator.receive_masked_input, aggregator.close_masked_inputs),
        (Stage.CONFIRMATION, aggregator.receive_confirmation, aggregator.close_confirmations),
    ):
        for council, message in rehearsal.replies[stage].items():
            receive(council, message)
        close()
    aggregator.receive_opening(rehearsal.opening)
    for council, message in rehearsal.replies[Stage.UNMASK].items():
        aggregator.receive_unmask(council, message)
    return aggregator.finish()


@pytest.mark.parametrize(
    ("field", "match"),
    [
        ("adverts", "a body of 224 bytes; at most 192 are allowed"),
        ("dealt", "is said to have sent masked inputs|masked for another round of key shares"),
        ("headers", "is said to have confirmed|confirmed another list"),
    ],
)
def test_a_council_left_out_is_missed(honest, field, match):
    request = request_of(honest)
    with refused(match):
        ask(honest, replace(request, **{field: getattr(request, field)[:-1]}))


def test_an_advert_left_out_of_all_lists_is_missed(honest):
    """A smaller round than the councils signed for: their key shares name another view."""
    request = request_of(honest)
    shorter = [body.message.body[:-32] for body in request.dealt[:-1]]
    dealt = tuple(
        replace(body, message=resigned(honest, body.message, cut))
        for body, cut in zip(request.dealt[:-1], shorter, strict=True)
    )
    with refused("was shown other adverts"):
        ask(honest, replace(request, adverts=request.adverts[:-1], dealt=dealt, headers=request.headers[:-1]))


@pytest.mark.parametrize("field", ["adverts", "dealt", "headers", "statements"])
def test_a_council_twice_or_out_of_order_is_refused(honest, field):
    request = request_of(honest)
    items = getattr(request, field)
    for changed in ((items[0], *items[:-1]), items[::-1]):
        with refused("twice or out of order", kind=MalformedMessage):
            ask(honest, replace(request, **{field: changed}))


@pytest.mark.parametrize("field", ["adverts", "dealt", "headers", "statements"])
def test_a_message_that_its_council_did_not_sign_is_refused(honest, field):
    request = request_of(honest)
    items = getattr(request, field)
    message = items[0].message if field == "dealt" else items[0]
    forged = replace(message, signature=Ed25519PrivateKey.generate().sign(b""))
    with refused("not signed by its identity"):
        ask(
            honest,
            replace(
                request, **{field: swapped(items, 0, replace(items[0], message=forged) if field == "dealt" else forged)}
            ),
        )


def test_a_foreign_council_is_refused(honest):
    request = request_of(honest)
    stranger = CouncilId("E99999999")
    key = Ed25519PrivateKey.generate()
    for field, words in (("adverts", "not one of the 5 eligible"), ("statements", "not in the stage before")):
        items = getattr(request, field)
        foreign = sign_message(
            sid=honest.context.sid, stage=items[-1].stage, sender=stranger, body=items[-1].body, sign=key.sign
        )
        with refused(words):
            ask(honest, replace(request, **{field: swapped(items, len(items) - 1, foreign)}))


@pytest.mark.parametrize(
    ("field", "kept", "match"),
    [
        ("dealt", 3, "3 councils have dealt key shares; 4 are needed"),
        ("headers", 3, "3 councils have sent masked inputs; 4 are needed"),
        ("statements", 3, "3 councils have confirmed the survivors; 4 are needed"),
    ],
)
def test_fewer_than_t_are_refused(honest, field, kept, match):
    request = request_of(honest)
    with refused(match, kind=BelowThreshold):
        ask(honest, replace(request, **{field: getattr(request, field)[:kept]}))


def test_a_cohort_that_breaks_the_rules_is_refused(honest):
    request = request_of(honest)
    with refused("no round has fewer than 4", kind=CohortRuleBroken):
        ask(honest, replace(request, adverts=request.adverts[:3], dealt=(), headers=(), statements=()))


def test_statements_on_another_list_are_refused(honest):
    request = request_of(honest)
    other = resigned(honest, request.statements[0], sha256(b"another h3"))
    with refused("confirmed another list of survivors"):
        ask(honest, replace(request, statements=swapped(request.statements, 0, other)))


def test_headers_of_another_view_are_refused(honest):
    request = request_of(honest)
    other = resigned(honest, request.headers[0], sha256(b"another h2") + request.headers[0].body[32:])
    with refused("masked for another round of key shares"):
        ask(honest, replace(request, headers=swapped(request.headers, 0, other)))


def test_another_masked_vector_than_the_survivors_signed_for_is_refused(honest):
    request = request_of(honest)
    other = resigned(honest, request.headers[1], request.headers[1].body[:32] + sha256(b"another vector"))
    with refused("confirmed another list of survivors"):
        ask(honest, replace(request, headers=swapped(request.headers, 1, other)))


def test_adverts_of_another_round_are_refused(honest):
    another = Rehearsal(5, seed="another round", holder=True, suite=honest.context.suite).play()
    request = request_of(honest)
    # As if the councils had the same identities in both: the signature is of that round all the same.
    body = request_of(another).adverts[0].body
    sid = another.context.sid
    old = sign_message(sid=sid, stage=Stage.ADVERT, sender=VICTIM, body=body, sign=honest.sign(VICTIM))
    with refused("not signed by its identity for this round"):
        ask(honest, replace(request, adverts=swapped(request.adverts, 0, old)))


@pytest.mark.parametrize("copied", ["another's", "the holder's", "its own channel key"])
def test_a_key_that_is_in_use_is_refused_by_councils_aggregator_and_holder(honest, copied):
    suite = honest.context.suite
    adverts = list(decode_adverts(honest.requests[Stage.ADVERTS][VICTIM], honest.context))
    victim, own = (advert_of(message, suite, held=True) for message in adverts[:2])
    key = {
        "another's": victim.holder_key,
        "the holder's": honest.context.holder.key[:32] + own.holder_key[32:],
        "its own channel key": own.channel_key[:32] + own.holder_key[32:],
    }[copied]
    adverts[1] = resigned(honest, adverts[1], replace(own, holder_key=key).encode_body())
    with refused("in the adverts twice"):
        share_keys(
            honest.states[VICTIM][Stage.ADVERT],
            encode_list(Stage.ADVERTS, adverts),
            honest.rng,
            honest.sign(VICTIM),
        )
    with refused("in the adverts twice"):
        ask(honest, replace(request_of(honest), adverts=tuple(adverts)))
    aggregator = Aggregator(honest.context)
    aggregator.receive_advert(VICTIM, adverts[0].encode())
    with refused("in use already") as caught:
        aggregator.receive_advert(COLLUDER, adverts[1].encode())
    assert caught.value.culprit == COLLUDER


@pytest.mark.parametrize("point", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 + 9])
def test_a_key_for_the_holder_of_small_order_or_odd_encoding_is_refused(honest, point):
    suite, adverts = honest.context.suite, list(decode_adverts(honest.requests[Stage.ADVERTS][VICTIM], honest.context))
    own = advert_of(adverts[1], suite, held=True)
    key = point.to_bytes(32, "little") + own.holder_key[32:]
    adverts[1] = resigned(honest, adverts[1], replace(own, holder_key=key).encode_body())
    state = honest.states[VICTIM][Stage.ADVERT]
    with refused("X25519 public key"):
        share_keys(state, encode_list(Stage.ADVERTS, adverts), honest.rng, honest.sign(VICTIM))
    with refused("X25519 public key"):
        ask(honest, replace(request_of(honest), adverts=tuple(adverts)))


def test_an_advert_without_a_key_for_the_holder_is_no_advert_of_its_round(honest):
    adverts = list(decode_adverts(honest.requests[Stage.ADVERTS][VICTIM], honest.context))
    own = advert_of(adverts[1], honest.context.suite, held=True)
    without = resigned(honest, adverts[1], replace(own, holder_key=b"").encode_body())
    with refused("were expected", kind=MalformedMessage):
        decode_advert(without.encode(), honest.context)


# --- one list, ever --------------------------------------------------------------------------------------


def two_lists(seed="two lists", suite=Suite.X25519):
    """A round in which the coordinator could ask for two lists of survivors: all of them sign whatever they are asked."""
    round_ = Rehearsal(5, seed=seed, holder=True, suite=suite).play(upto=Stage.MASKED_INPUT)
    found = []
    for left_out in (set(), {council_ids(5)[4]}):
        aggregator = Aggregator(round_.context)
        for council, message in round_.replies[Stage.ADVERT].items():
            aggregator.receive_advert(council, message)
        aggregator.close_adverts()
        for council, message in round_.replies[Stage.KEY_SHARES].items():
            aggregator.receive_key_shares(council, message)
        aggregator.close_key_shares()
        for council, message in round_.replies[Stage.MASKED_INPUT].items():
            if council not in left_out:
                aggregator.receive_masked_input(council, message)
        aggregator.close_masked_inputs()
        for council in council_ids(5):
            if council not in left_out:
                body, sid = aggregator._h3, round_.context.sid
                signed = sign_message(
                    sid=sid, stage=Stage.CONFIRMATION, sender=council, body=body, sign=round_.sign(council)
                )
                aggregator.receive_confirmation(council, signed.encode())
        aggregator.close_confirmations()
        found.append(aggregator.opening_request())
    return round_, *found


@pytest.mark.parametrize("suite", Suite)
def test_the_same_request_gets_the_same_bytes_and_another_ends_the_round(suite):
    """The difference of the two sums would be one council's figure."""
    round_, first, second = two_lists(suite=suite)
    opening = round_.holder.open(first)
    assert round_.holder.open(first) == opening
    assert round_.holder.state is HolderState.OPENED
    with refused("a second, different list of survivors"):
        round_.holder.open(second)
    assert round_.holder.state is HolderState.ENDED
    for request in (first, second):
        with refused("the round has ended"):
            round_.holder.open(request)


def test_the_second_list_alone_would_have_been_opened():
    round_, _, second = two_lists()
    assert len(round_.holder.prepare(second).survivors) == 4


def test_what_is_prepared_is_not_yet_opened_and_binds_the_holder_to_it():
    round_, first, second = two_lists()
    opened = round_.holder.prepare(first)
    assert round_.holder.state is HolderState.PREPARED
    assert round_.holder.prepare(first) is opened
    with refused("a second, different list of survivors"):
        round_.holder.open(second)
    assert round_.holder.state is HolderState.ENDED


def test_a_refused_request_ends_the_round_for_the_holder_and_leaves_no_secret(honest):
    session = fresh(honest)
    request = request_of(honest)
    with refused("3 councils have confirmed", kind=BelowThreshold):
        session.open(replace(request, statements=request.statements[:3]).encode())
    assert session.state is HolderState.ENDED
    assert (session._private, session._masks, session._reply) == (None, (), b"")
    with refused("the round has ended"):
        session.open(honest.opening_request)


def test_no_secret_is_left_once_opened_but_the_reply(honest):
    assert honest.holder.state is HolderState.OPENED
    assert (honest.holder._private, honest.holder._masks) == (None, ())
    assert honest.holder.open(honest.opening_request) == honest.opening


# --- the holder's own order ------------------------------------------------------------------------------


def bare(rehearsal, *, sign=None, identity=None):
    key = Ed25519PrivateKey.generate()
    return HolderSession(
        replace(rehearsal.context, holder=None),
        MASK_HOLDER,
        sign or key.sign,
        SeededRandom("bare"),
        identity=identity or key.public_key().public_bytes_raw(),
    )


def test_the_holders_table_is_walked_one_way(honest):
    session = bare(honest)
    with pytest.raises(LocalProtocolError, match="out of order"):
        session.open(honest.opening_request)
    session.advertise()
    assert session.state is HolderState.ADVERTISED
    with pytest.raises(LocalProtocolError, match="out of order"):
        session.advertise()
    session.end()
    with pytest.raises(LocalProtocolError, match="out of order"):
        session.advertise()
    assert not [event for (state, event) in HOLDER if state is HolderState.ENDED and event is not HolderEvent.END]
    assert all(HOLDER[state, HolderEvent.END] is HolderState.ENDED for state in HolderState)


def test_a_holder_that_does_not_sign_with_the_pinned_key_advertises_nothing(honest):
    session = bare(honest, identity=Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    with pytest.raises(LocalProtocolError, match="does not sign with the key that the agreement pins"):
        session.advertise()
    assert session.state is HolderState.CREATED


def test_a_holder_is_not_given_an_advert(honest):
    with pytest.raises(LocalProtocolError, match="makes its own advert"):
        HolderSession(honest.context, MASK_HOLDER, honest.holder._sign, SeededRandom("x"), identity=bytes(32))


@pytest.mark.parametrize("key", ["id", "identity"])
def test_a_council_is_no_mask_holder(honest, key):
    held = honest.context.holder
    same = {"id": VICTIM} if key == "id" else {"identity": honest.context.identities[VICTIM]}
    with pytest.raises(LocalProtocolError, match="none of the eligible councils"):
        replace(honest.context, holder=replace(held, **same))


# --- what councils check ---------------------------------------------------------------------------------


def test_the_holders_advert_counts_in_its_own_round_by_its_own_key_alone(honest):
    held, context = honest.context.holder, honest.context
    given = {"sid": context.sid, "id": held.id, "identity": held.identity, "suite": context.suite}
    assert holder_of(held.advert, **given) == held
    with refused("not signed by its identity for this round") as caught:
        holder_of(held.advert, **given | {"sid": RoundId(sha256(b"another round"))})
    assert caught.value.culprit == held.id
    with refused("not signed by its identity"):
        holder_of(held.advert, **given | {"identity": honest.context.identities[VICTIM]})
    with refused("the mask holder is lga; this advert is by mask-holder"):
        holder_of(held.advert, **given | {"id": CouncilId("lga")})
    other = Suite.HYBRID if context.suite is Suite.X25519 else Suite.X25519
    with pytest.raises(MalformedMessage):
        holder_of(held.advert, **given | {"suite": other})


@pytest.mark.parametrize("point", [0, 1, 2**255 - 20, 2**255 - 19])
def test_a_holders_key_of_small_order_is_refused(honest, point):
    held, context = honest.context.holder, honest.context
    body = point.to_bytes(32, "little") + held.key[32:]
    forged = sign_message(
        sid=context.sid, stage=Stage.HOLDER_ADVERT, sender=held.id, body=body, sign=honest.holder._sign
    )
    with refused("X25519 public key"):
        holder_of(forged.encode(), sid=context.sid, id=held.id, identity=held.identity, suite=context.suite)


def test_a_council_that_was_shown_another_key_of_the_holder_is_in_no_round_with_the_others(honest):
    """The holder's own second advert for one round, shown to one council: its key shares are of another view."""
    context, suite = honest.context, honest.context.suite
    body = PrivateKey.read(SeededRandom("second")(suite.private_size), suite).public
    second = sign_message(
        sid=context.sid, stage=Stage.HOLDER_ADVERT, sender=MASK_HOLDER, body=body, sign=honest.holder._sign
    )
    holder = holder_of(second.encode(), sid=context.sid, id=MASK_HOLDER, identity=context.holder.identity, suite=suite)
    round_ = Rehearsal(5, seed="holder", holder=True, suite=suite, min_honest=2)
    shown = replace(round_.context, holder=holder)
    round_.sessions[VICTIM] = ParticipantSession(shown, VICTIM, round_.sign(VICTIM), SeededRandom("victim"))
    round_.advertise()
    adverts = round_.aggregator.close_adverts()
    dealt = {council: session.share_keys(adverts[council]) for council, session in round_.sessions.items()}
    with refused("dealt for other adverts") as caught:
        round_.aggregator.receive_key_shares(VICTIM, dealt[VICTIM])
    assert caught.value.culprit == VICTIM
    messages = decode_adverts(adverts[VICTIM], shown)
    assert adverts_view(context.sid, messages, holder) != adverts_view(context.sid, messages, context.holder)
    assert adverts_view(context.sid, messages, None) not in {
        adverts_view(context.sid, messages, one) for one in (holder, context.holder)
    }


# --- what the coordinator checks -------------------------------------------------------------------------


def asking(rehearsal):
    """An aggregator that has the confirmations, and has not been given the opening."""
    aggregator = Aggregator(rehearsal.context)
    for stage, receive, close in (
        (Stage.ADVERT, aggregator.receive_advert, aggregator.close_adverts),
        (Stage.KEY_SHARES, aggregator.receive_key_shares, aggregator.close_key_shares),
        (Stage.MASKED_INPUT, aggregator.receive_masked_input, aggregator.close_masked_inputs),
        (Stage.CONFIRMATION, aggregator.receive_confirmation, aggregator.close_confirmations),
    ):
        for council, message in rehearsal.replies[stage].items():
            receive(council, message)
        close()
    return aggregator


def reopened(rehearsal, *, h3=None, sid=None, sender=MASK_HOLDER, sign=None, vector=None):
    head, given = decode_holder_opening(rehearsal.opening, rehearsal.context)
    body = (h3 or head.body[:32]) + head.body[32:]
    signed = sign_message(
        sid=sid or rehearsal.context.sid,
        stage=Stage.OPENING,
        sender=sender,
        body=body,
        sign=sign or rehearsal.holder._sign,
    )
    return signed.encode() + (bytes(given) if vector is None else vector)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"h3": sha256(b"another list")}, "opened another list of survivors"),
        ({"vector": bytes(3 * 8)}, "signed another vector"),
        ({"sid": RoundId(sha256(b"another round"))}, "not signed by its identity for this round"),
        ({"sign": Ed25519PrivateKey.generate().sign}, "not signed by its identity"),
        ({"sender": VICTIM}, "the sum was opened by E00000001; the mask holder is mask-holder"),
        ({"vector": bytes(2 * 8)}, "cut short"),
    ],
)
def test_a_false_opening_is_refused_naming_the_holder(honest, change, match):
    aggregator = asking(honest)
    with refused(match) as caught:
        aggregator.receive_opening(reopened(honest, **change))
    assert caught.value.culprit == MASK_HOLDER
    aggregator.receive_opening(honest.opening)  # and the round goes on


def test_an_opening_sent_again_counts_once_and_another_is_refused(honest):
    aggregator = asking(honest)
    for _ in range(2):
        aggregator.receive_opening(honest.opening)
    with refused("not the same"):
        aggregator.receive_opening(reopened(honest, vector=bytes(3 * 8)))
    for council, message in honest.replies[Stage.UNMASK].items():
        aggregator.receive_unmask(council, message)
    result = aggregator.finish()
    assert result.total.tolist() == honest.expected(honest.inputs).tolist()
    head = result.opening
    given = {"sid": honest.context.sid, "holder": MASK_HOLDER, "identity": honest.context.holder.identity}
    assert verify_opening(head, **given) == result.h3
    with refused("not signed by its identity"):
        verify_opening(head, **given | {"sid": RoundId(sha256(b"another round"))})
    with refused("not signed by its identity"):
        verify_opening(head, **given | {"identity": honest.context.identities[VICTIM]})
    with refused("the sum was opened by mask-holder; the mask holder is lga"):
        verify_opening(head, **given | {"holder": CouncilId("lga")})
    with pytest.raises(MalformedMessage):
        verify_opening(b"", **given)


def test_a_round_without_a_holder_takes_no_opening_and_asks_nobody(honest):
    plain = Rehearsal(5, seed="plain").play()
    aggregator = asking(plain)
    for call in (aggregator.opening_request, lambda: aggregator.receive_opening(honest.opening)):
        with pytest.raises(LocalProtocolError, match="the round has no mask holder"):
            call()


def test_nobody_is_asked_before_the_confirmations_are_in(honest):
    aggregator = Aggregator(honest.context)
    with pytest.raises(LocalProtocolError, match="out of order"):
        aggregator.opening_request()


# --- the messages ----------------------------------------------------------------------------------------


def test_the_three_messages_are_read_as_they_were_written_and_in_no_other_form(honest):
    context = honest.context
    request = request_of(honest)
    assert request.encode() == honest.opening_request
    head, vector = decode_holder_opening(honest.opening, context)
    assert head.encode() + bytes(vector) == honest.opening
    readers = {
        honest.opening_request: lambda content: decode_opening_request(content, context),
        honest.opening: lambda content: decode_holder_opening(content, context),
        context.holder.advert: lambda content: holder_of(
            content, sid=context.sid, id=MASK_HOLDER, identity=context.holder.identity, suite=context.suite
        ),
    }
    for message, read in readers.items():
        for cut in {0, 1, 2, 3, len(message) // 2, len(message) - 1}:
            with pytest.raises(MalformedMessage):
                read(message[:cut])
        with pytest.raises(MalformedMessage):
            read(message + b"\0")
        for at in (0, 1):
            with pytest.raises(MalformedMessage):
                read(message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :])
    stages = (Stage.OPENING_REQUEST, Stage.OPENING, Stage.HOLDER_ADVERT)
    limits = [size_limit(stage, context) for stage in stages]
    assert all(len(message) <= limit for message, limit in zip(readers, limits, strict=True))


def test_no_message_is_decoded_past_the_most_it_can_have(honest):
    for stage, read in (
        (Stage.OPENING_REQUEST, decode_opening_request),
        (Stage.OPENING, decode_holder_opening),
    ):
        with refused("at most", kind=MalformedMessage):
            read(bytes(size_limit(stage, honest.context) + 1), honest.context)


def test_the_largest_request_fits_the_limit():
    """And the limit leaves little room above it: ids as long as they may be, and signatures of all."""
    round_ = Rehearsal(9, seed="large", holder=True, profile=Profile.CAREFUL, bits=32)
    round_.play()
    assert round_.context.ring == Ring(bits=32)
    slack = size_limit(Stage.OPENING_REQUEST, round_.context) - len(round_.opening_request)
    assert 0 < slack < 9 * 4 * 32 + 9 * 200
