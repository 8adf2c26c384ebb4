"""A scripted malicious coordinator, alone and with colluding councils, against honest participants.

The coordinator's own power is to choose the bytes that each council is sent. A colluding council's power is
its identity key, which it signs anything with.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.encoding import sha256
from protocols.envelope import SignedMessage, sign_message
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.identifiers import CouncilId
from protocols.masks import add_masks
from protocols.secagg import (
    BadKeyShare,
    BelowThreshold,
    CohortRuleBroken,
    LedgerClaim,
    ParticipantSession,
    ParticipantState,
    Profile,
    Stage,
    accept_shares,
    confirm_survivors,
    mask_input,
    share_keys,
    unmask,
)
from protocols.secagg import participant as participant_module
from protocols.secagg.messages import (
    Advert,
    Dealt,
    advert_of,
    dealt_body,
    decode_advert,
    decode_adverts,
    decode_confirmation,
    decode_masked_input,
    decode_shares,
    decode_survivors,
    decode_unmask,
    encode_list,
    encode_shares,
)
from protocols.secagg.transcript import ShareKind, leaf, survivors_view, unmask_kinds
from protocols.shamir import combine, decode_element, weights_at_zero
from protocols.suite import Suite
from tests.simulation.secagg_rehearsal import Rehearsal, council_ids

VICTIM = CouncilId("E00000001")
COLLUDER = CouncilId("E00000002")


def refused(match: str, *, kind=RemoteProtocolError):
    return pytest.raises(kind, match=match)


def resign(rehearsal, message: SignedMessage, body: bytes) -> SignedMessage:
    """What a colluding council signs instead."""
    sign = rehearsal.sign(message.sender)
    return sign_message(sid=rehearsal.context.sid, stage=message.stage, sender=message.sender, body=body, sign=sign)


@pytest.fixture(scope="module")
def honest():
    return Rehearsal(5, seed="adversary").play()


@pytest.fixture(scope="module")
def lossy():
    """One council lost after dealing its key shares."""
    return Rehearsal(5, seed="adversary, lossy").play(drop={Stage.MASKED_INPUT: {council_ids(5)[4]}})


# --- R0: who is in the round -------------------------------------------------------------------------------


def deal(rehearsal, adverts: Sequence[SignedMessage], victim=VICTIM):
    state = rehearsal.states[victim][Stage.ADVERT]
    return share_keys(state, encode_list(Stage.ADVERTS, adverts), rehearsal.rng, rehearsal.sign(victim))


def adverts_of(rehearsal):
    return list(decode_adverts(rehearsal.requests[Stage.ADVERTS][VICTIM], rehearsal.context))


def test_the_honest_adverts_are_accepted(honest):
    # Without this, every refusal below could be for another reason.
    state, _ = deal(honest, adverts_of(honest))
    assert state.members == honest.context.eligible


def forged_advert(rehearsal, sender, sign):
    advert = Advert(channel_key=b"\x09" + bytes(31), mask_key=b"\x0a" + bytes(31), claim=rehearsal.claim)
    body = advert.encode_body()
    return sign_message(sid=rehearsal.context.sid, stage=Stage.ADVERT, sender=sender, body=body, sign=sign)


def test_an_invented_council_is_refused(honest):
    invented = forged_advert(honest, CouncilId("E99999999"), Ed25519PrivateKey.generate().sign)
    with refused("not one of the 5 eligible"):
        deal(honest, [*adverts_of(honest)[:4], invented])


def test_an_invented_identity_under_an_eligible_name_is_refused(honest):
    impostor = forged_advert(honest, council_ids(5)[4], Ed25519PrivateKey.generate().sign)
    with refused("not signed by its identity") as caught:
        deal(honest, [*adverts_of(honest)[:4], impostor])
    assert caught.value.culprit == council_ids(5)[4]


def test_a_council_listed_twice_is_refused(honest):
    adverts = adverts_of(honest)
    with refused("twice or out of order"):
        deal(honest, [*adverts[:4], adverts[3]])
    second = forged_advert(honest, COLLUDER, honest.sign(COLLUDER))
    with refused("twice or out of order"):
        deal(honest, [adverts[0], adverts[1], second, *adverts[2:4]])


def test_a_list_out_of_order_is_refused(honest):
    with refused("twice or out of order"):
        deal(honest, adverts_of(honest)[::-1])


def test_leaving_the_victim_out_or_swapping_its_keys_is_refused(honest):
    big = Rehearsal(7, seed="adversary, left out").play(upto=Stage.KEY_SHARES)
    with refused("do not hold the one that E00000001 sent"):
        deal(big, adverts_of(big)[1:])
    swapped = forged_advert(honest, VICTIM, Ed25519PrivateKey.generate().sign)
    with refused("do not hold the one that E00000001 sent"):
        deal(honest, [swapped, *adverts_of(honest)[1:]])


def test_a_swapped_key_of_another_council_is_refused(honest):
    adverts = adverts_of(honest)
    advert = advert_of(adverts[2], Suite.X25519)
    swapped = Advert(channel_key=b"\x09" + bytes(31), mask_key=advert.mask_key, claim=advert.claim).encode_body()
    adverts[2] = SignedMessage(
        stage=Stage.ADVERT, sender=adverts[2].sender, body=swapped, signature=adverts[2].signature
    )
    with refused("not signed by its identity"):
        deal(honest, adverts)


@pytest.mark.parametrize("copy", ["channel of another", "mask of another", "its own"])
def test_a_key_used_twice_is_refused_by_councils_and_aggregator(honest, copy):
    adverts = adverts_of(honest)
    victim, own = advert_of(adverts[0], Suite.X25519), advert_of(adverts[1], Suite.X25519)
    keys = {
        "channel of another": (victim.channel_key, own.mask_key),
        "mask of another": (own.channel_key, victim.mask_key),
        "its own": (own.channel_key, own.channel_key),
    }[copy]
    advert = Advert(channel_key=keys[0], mask_key=keys[1], claim=own.claim)
    adverts[1] = resign(honest, adverts[1], advert.encode_body())
    with refused("in the adverts twice"):
        deal(honest, adverts)
    fresh = Rehearsal(5, seed="adversary")
    fresh.aggregator.receive_advert(VICTIM, adverts[0].encode())
    with refused("in use already") as caught:
        fresh.aggregator.receive_advert(COLLUDER, adverts[1].encode())
    assert caught.value.culprit == COLLUDER


@pytest.mark.parametrize("point", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 + 9])
@pytest.mark.parametrize("which", ["channel_key", "mask_key"])
def test_a_key_of_small_order_or_odd_encoding_is_refused(honest, point, which):
    adverts = adverts_of(honest)
    own = advert_of(adverts[1], Suite.X25519)
    keys = {"channel_key": own.channel_key, "mask_key": own.mask_key, which: point.to_bytes(32, "little")}
    adverts[1] = resign(honest, adverts[1], Advert(**keys, claim=own.claim).encode_body())
    with refused("X25519 public key"):
        deal(honest, adverts)


def test_a_round_shrunk_to_the_colluders_and_one_victim_is_refused():
    """E = 20, careful: six colluders and the victim. By its own size the round would have c = 2, t = 5, h = 3."""
    rehearsal = Rehearsal(7, eligible=20, seed="shrunk").advertise()
    adverts = [decode_advert(message, rehearsal.context) for message in rehearsal.replies[Stage.ADVERT].values()]
    with refused("only 1 honest noise shares", kind=CohortRuleBroken) as caught:
        deal(rehearsal, adverts)
    assert caught.value.rule == "min_honest"


@pytest.mark.parametrize(
    ("n", "eligible", "profile", "min_cohort", "rule"),
    [
        (3, 12, Profile.STANDARD, 4, "smallest_round"),
        (9, 12, Profile.STANDARD, 10, "min_cohort"),
        (4, 21, Profile.CAREFUL, 4, "quorum"),
        (6, 100, Profile.STANDARD, 4, "min_honest"),
    ],
)
def test_a_cohort_that_breaks_a_rule_is_refused_by_the_council_itself(n, eligible, profile, min_cohort, rule):
    rehearsal = Rehearsal(n, eligible=eligible, profile=profile, min_cohort=min_cohort, seed="rules").advertise()
    adverts = [decode_advert(message, rehearsal.context) for message in rehearsal.replies[Stage.ADVERT].values()]
    with pytest.raises(CohortRuleBroken) as caught:
        deal(rehearsal, adverts)
    assert caught.value.rule == rule
    with pytest.raises(BelowThreshold):
        rehearsal.aggregator.close_adverts()


def test_an_advert_of_another_round_is_refused(honest):
    other = Rehearsal(5, seed="adversary, another round", cells=2).advertise()
    replayed = decode_advert(other.replies[Stage.ADVERT][COLLUDER], other.context)
    signed = sign_message(
        sid=other.context.sid, stage=Stage.ADVERT, sender=COLLUDER, body=replayed.body, sign=honest.sign(COLLUDER)
    )
    with refused("for this round and stage"):
        deal(honest, [adverts_of(honest)[0], signed, *adverts_of(honest)[2:]])


# --- R1: key shares ----------------------------------------------------------------------------------------


def entries_of(rehearsal, victim=VICTIM):
    members = len(rehearsal.context.eligible)
    return list(
        decode_shares(rehearsal.requests[Stage.SHARES][victim], rehearsal.context, receiver=victim, members=members)
    )


def shares_message(entries):
    return encode_shares([dealt.message.encode() for dealt, _ in entries], [opening.encode() for _, opening in entries])


def accept(rehearsal, entries, victim=VICTIM):
    return accept_shares(rehearsal.states[victim][Stage.KEY_SHARES], shares_message(entries))


def test_the_honest_shares_are_accepted(honest):
    assert accept(honest, entries_of(honest)).sharers == honest.context.eligible


def test_too_few_key_shares_are_refused(honest):
    assert len(accept(honest, entries_of(honest)[:4]).sharers) == 4
    with refused("3 councils have dealt key shares; 4 are needed", kind=BelowThreshold):
        accept(honest, entries_of(honest)[:3])


def test_key_shares_without_ones_own_are_refused(honest):
    with refused("do not hold the message that E00000001 sent"):
        accept(honest, entries_of(honest)[1:])


def test_key_shares_by_a_council_outside_the_cohort_are_refused():
    rehearsal = Rehearsal(7, seed="outside").advertise(drop={council_ids(7)[6]}).share_keys().accept_shares()
    entries = list(
        decode_shares(rehearsal.requests[Stage.SHARES][VICTIM], rehearsal.context, receiver=VICTIM, members=6)
    )
    outsider = council_ids(7)[6]
    body, opening = entries[4][0].message.body, entries[4][1]
    message = sign_message(
        sid=rehearsal.context.sid, stage=Stage.KEY_SHARES, sender=outsider, body=body, sign=rehearsal.sign(outsider)
    )
    stranger = Dealt(message=message, h1=entries[4][0].h1, self_commitment=b"")
    with refused("E00000007 is said to have dealt key shares but was not in the stage before"):
        accept(rehearsal, [*entries, (stranger, opening)])


def test_another_councils_opening_is_refused_without_blaming_the_dealer(honest):
    """The courier swaps in the opening that the dealer made for somebody else."""
    entries = entries_of(honest)
    other = entries_of(honest, COLLUDER)[2][1]
    entries[2] = (entries[2][0], other)
    with refused("delivered for E00000003 is not the one that it signed") as caught:
        accept(honest, entries)
    assert caught.value.culprit is None
    assert not isinstance(caught.value, BadKeyShare)


def test_councils_shown_different_adverts_refuse_each_other():
    """Equivocation: a colluding council signs two adverts, and each half of the cohort is shown one of them."""
    left, right = (Rehearsal(5, seed="equivocation").advertise() for _ in range(2))
    adverts = [decode_advert(message, left.context) for message in left.replies[Stage.ADVERT].values()]
    second = Advert(channel_key=b"\x09" + bytes(31), mask_key=b"\x0a" + bytes(31), claim=left.claim).encode_body()
    others = [resign(left, advert, second) if advert.sender == COLLUDER else advert for advert in adverts]
    dealt_left = deal(left, adverts)
    dealt_right = deal(right, others, victim=council_ids(5)[2])
    assert dealt_left[0].cohort.h1 != dealt_right[0].cohort.h1
    message = dealt_right[0].dealt
    honest = Rehearsal(5, seed="equivocation").play(upto=Stage.MASKED_INPUT)
    entries = entries_of(honest)
    entries[2] = (Dealt(message=message, h1=dealt_right[0].cohort.h1, self_commitment=b""), entries[2][1])
    with refused("E00000003 was shown other adverts than E00000001"):
        accept(honest, entries)


def test_masks_of_different_views_do_not_cancel(honest):
    """Even if no signature were checked: other key shares in view, other masks, and noise comes out."""
    full = accept(honest, entries_of(honest))
    entries = entries_of(honest, COLLUDER)[:4]
    partial = accept(honest, entries, victim=COLLUDER)
    ring = honest.context.ring
    same, different = ring.zeros(64), ring.zeros(64)
    mine = next(mask for peer, mask in zip(full.sharers[1:], full.masks[1:], strict=True) if peer == COLLUDER)
    theirs = partial.masks[1]  # the colluder's mask with the victim, derived from a view without the last council
    add_masks(different, [mine, theirs], ring)
    agreed = accept(honest, entries_of(honest, COLLUDER), victim=COLLUDER).masks[1]
    add_masks(same, [mine, agreed], ring)
    assert not same.any()
    assert np.count_nonzero(different) == 64


# --- R1: a dealer that lies ---------------------------------------------------------------------------------


def lying_dealer(rehearsal, change):
    """The colluder deals again to the victim, changed, and signs it; returns the victim's entries."""
    entries = entries_of(rehearsal)
    dealt, opening = entries[1]
    changed = change(opening)
    leaves = [leaf(changed.encode()), *(dealt.leaf(position) for position in range(1, 5))]
    message = resign(rehearsal, dealt.message, dealt_body(dealt.h1, dealt.self_commitment, leaves))
    entries[1] = (Dealt(message=message, h1=dealt.h1, self_commitment=dealt.self_commitment), changed)
    return entries, message


@pytest.mark.parametrize("field", ["b_commitment", "s_commitment", "ciphertext"])
def test_a_bad_key_share_is_attributed_with_evidence(honest, field):
    def change(opening):
        content = bytearray(getattr(opening, field))
        content[0] ^= 1
        return type(opening)(**{name: getattr(opening, name) for name in opening.__slots__} | {field: bytes(content)})

    entries, message = lying_dealer(honest, change)
    with pytest.raises(BadKeyShare) as caught:
        accept(honest, entries)
    assert caught.value.culprit == COLLUDER
    assert caught.value.evidence == message.encode()
    assert leaf(caught.value.opening) == entries[1][0].leaf(0)


def test_a_session_ends_on_a_bad_key_share_before_anything_was_masked(honest):
    def change(opening):
        return type(opening)(
            b_commitment=opening.b_commitment, s_commitment=opening.s_commitment, ciphertext=bytes(144)
        )

    entries, _ = lying_dealer(honest, change)
    session = Rehearsal(5, seed="adversary").advertise().share_keys().sessions[VICTIM]
    with pytest.raises(BadKeyShare):
        session.accept_shares(shares_message(entries))
    assert session.state is ParticipantState.ENDED
    with pytest.raises(LocalProtocolError):
        session.mask(honest.inputs[VICTIM])


def test_a_share_that_is_no_field_element_is_bad(honest, monkeypatch):
    rehearsal = Rehearsal(5, seed="no element").advertise()
    genuine = participant_module.split_seeds

    def split(*arguments, **named):
        shares = genuine(*arguments, **named)
        victims = shares[VICTIM]
        shares[VICTIM] = type(victims)(
            b_share=b"\xff" * 32, s_share=victims.s_share, b_salt=victims.b_salt, s_salt=victims.s_salt
        )
        return shares

    colluder = rehearsal.sessions.pop(COLLUDER)
    adverts = rehearsal.aggregator.close_adverts()
    for council, session in rehearsal.sessions.items():
        rehearsal.aggregator.receive_key_shares(council, session.share_keys(adverts[council]))
    monkeypatch.setattr(participant_module, "split_seeds", split)
    rehearsal.aggregator.receive_key_shares(COLLUDER, colluder.share_keys(adverts[COLLUDER]))
    with pytest.raises(BadKeyShare) as caught:
        rehearsal.sessions[VICTIM].accept_shares(rehearsal.aggregator.close_key_shares()[VICTIM])
    assert caught.value.culprit == COLLUDER


# --- R3: who survived -----------------------------------------------------------------------------------------


def headers_of(rehearsal):
    return list(decode_survivors(rehearsal.requests[Stage.SURVIVORS][VICTIM], rehearsal.context))


def confirm(rehearsal, headers, victim=VICTIM):
    state = rehearsal.states[victim][Stage.MASKED_INPUT]
    return confirm_survivors(state, encode_list(Stage.SURVIVORS, headers), rehearsal.sign(victim))


def test_the_honest_survivors_are_confirmed(honest):
    assert confirm(honest, headers_of(honest))[0].survivors == honest.context.eligible


def test_too_few_survivors_are_refused(honest):
    assert confirm(honest, headers_of(honest)[:4])
    with refused("3 councils have sent masked inputs; 4 are needed", kind=BelowThreshold):
        confirm(honest, headers_of(honest)[:3])


def test_a_survivor_that_dealt_no_shares_is_refused():
    rehearsal = Rehearsal(5, seed="stranger").play(
        upto=Stage.CONFIRMATION, drop={Stage.KEY_SHARES: {council_ids(5)[4]}}
    )
    stranger, headers = council_ids(5)[4], headers_of(rehearsal)
    extra = sign_message(
        sid=rehearsal.context.sid,
        stage=Stage.MASKED_INPUT,
        sender=stranger,
        body=headers[0].body,
        sign=rehearsal.sign(stranger),
    )
    with refused("E00000005 is said to have sent masked inputs"):
        confirm(rehearsal, [*headers, extra])


def test_survivors_without_ones_own_vector_or_with_another_are_refused(honest):
    headers = headers_of(honest)
    with refused("do not hold the masked input that E00000001 sent"):
        confirm(honest, headers[1:])
    changed = resign(honest, headers[0], headers[0].body[:32] + bytes(32))
    with refused("do not hold the masked input that E00000001 sent"):
        confirm(honest, [changed, *headers[1:]])


def test_a_survivor_that_masked_for_other_key_shares_is_refused(honest):
    headers = headers_of(honest)
    headers[1] = resign(honest, headers[1], sha256(b"other shares") + headers[1].body[32:])
    with refused("E00000002 masked for another round of key shares") as caught:
        confirm(honest, headers)
    assert caught.value.culprit == COLLUDER


def test_a_survivor_with_a_forged_signature_is_refused(honest):
    headers = headers_of(honest)
    headers[2] = SignedMessage(
        stage=Stage.MASKED_INPUT, sender=headers[2].sender, body=headers[2].body, signature=bytes(64)
    )
    with refused("in the name of E00000003 is not signed"):
        confirm(honest, headers)


def test_a_second_list_of_survivors_is_never_signed(honest):
    session = Rehearsal(5, seed="adversary").play(upto=Stage.CONFIRMATION).sessions[VICTIM]
    assert session.state is ParticipantState.CONFIRMED
    with refused("a second, different survivors message"):
        session.confirm_survivors(encode_list(Stage.SURVIVORS, headers_of(honest)[:4]))
    assert session.state is ParticipantState.ENDED
    with refused("out of order"):
        session.unmask(honest.requests[Stage.STATEMENTS][VICTIM])


# --- R4: unmasking ----------------------------------------------------------------------------------------------


def statements_of(rehearsal):
    return [
        decode_confirmation(message, rehearsal.context) for message in rehearsal.replies[Stage.CONFIRMATION].values()
    ]


def answer(rehearsal, statements, victim=VICTIM):
    state = rehearsal.states[victim][Stage.CONFIRMATION]
    return unmask(state, encode_list(Stage.STATEMENTS, statements), rehearsal.sign(victim))


def test_the_honest_statements_are_answered(lossy):
    state, reply = answer(lossy, statements_of(lossy))
    assert state.survivors == lossy.context.eligible[:4]
    kinds = unmask_kinds(lossy.context.eligible, state.survivors)
    _, _, revealed = decode_unmask(reply, lossy.context, tuple(kinds.values()))
    held = lossy.states[VICTIM][Stage.CONFIRMATION].held
    assert [revealed[position].share for position in range(4)] == [held[c].b_share for c in state.survivors]
    assert revealed[4].share == held[lossy.context.eligible[4]].s_share


def test_too_few_statements_are_refused(honest):
    assert answer(honest, statements_of(honest)[1:])
    with refused("3 councils have confirmed the survivors; 4 are needed", kind=BelowThreshold):
        answer(honest, statements_of(honest)[:3])


def test_one_statement_repeated_does_not_count_twice(honest):
    statements = statements_of(honest)
    with refused("twice or out of order"):
        answer(honest, [*statements[:3], statements[2]])


def test_a_statement_by_a_lost_council_is_refused(lossy):
    lost, statements = council_ids(5)[4], statements_of(lossy)
    extra = sign_message(
        sid=lossy.context.sid, stage=Stage.CONFIRMATION, sender=lost, body=statements[0].body, sign=lossy.sign(lost)
    )
    with refused("E00000005 is said to have confirmed the survivors"):
        answer(lossy, [*statements, extra])


def test_a_statement_about_another_list_is_refused(honest):
    statements = statements_of(honest)
    statements[1] = resign(honest, statements[1], survivors_view(sha256(b"h2"), headers_of(honest)[:4]))
    with refused("E00000002 confirmed another list") as caught:
        answer(honest, statements)
    assert caught.value.culprit == COLLUDER


def test_a_forged_statement_is_refused(honest):
    statements = statements_of(honest)
    forged = SignedMessage(stage=Stage.CONFIRMATION, sender=COLLUDER, body=statements[1].body, signature=bytes(64))
    with refused("in the name of E00000002 is not signed"):
        answer(honest, [statements[0], forged, *statements[2:]])


def test_a_masked_input_signature_is_no_statement(honest):
    """Stage in the signature: what was signed in R2 must not pass in R3 or R4."""
    statements, headers = statements_of(honest), headers_of(honest)
    body = statements[1].body
    crossed = sign_message(
        sid=honest.context.sid, stage=Stage.MASKED_INPUT, sender=COLLUDER, body=body, sign=honest.sign(COLLUDER)
    )
    as_statement = SignedMessage(stage=Stage.CONFIRMATION, sender=COLLUDER, body=body, signature=crossed.signature)
    with refused("for this round and stage"):
        answer(honest, [statements[0], as_statement, *statements[2:]])
    assert headers[1].stage == Stage.MASKED_INPUT


def test_two_unmask_requests_give_one_answer(honest):
    session = Rehearsal(5, seed="adversary").play().sessions[VICTIM]
    request = honest.requests[Stage.STATEMENTS][VICTIM]
    assert session.unmask(request) == honest.replies[Stage.UNMASK][VICTIM] == session.unmask(request)
    with refused("a second, different statements message"):
        session.unmask(encode_list(Stage.STATEMENTS, statements_of(honest)))
    assert session.state is ParticipantState.ENDED


# --- the quorum -----------------------------------------------------------------------------------------------


def shares_gathered(*, told_alive: int, colluders: int) -> tuple[dict[ShareKind, int], int]:
    """Ten councils, careful: some honest councils are told that the victim survived, the others that it was
    lost; the colluders sign both lists and give all the shares they hold.

    Returns how many shares of each of the victim's secrets the coordinator gathers, and t.
    """
    rehearsal = Rehearsal(10, seed="quorum").play(upto=Stage.MASKED_INPUT)
    context = rehearsal.context
    victim, corrupt = context.eligible[0], context.eligible[1 : 1 + colluders]
    headers = [decode_masked_input(message, context)[0] for message in rehearsal.replies[Stage.MASKED_INPUT].values()]
    lists = {ShareKind.SELF_MASK: headers, ShareKind.MASK_KEY: headers[1:]}
    statements, confirmed = {kind: [] for kind in ShareKind}, {}
    honest = [council for council in context.eligible if council not in corrupt]
    for number, council in enumerate(honest):
        kind = ShareKind.SELF_MASK if number < told_alive else ShareKind.MASK_KEY
        if council == victim and kind is ShareKind.MASK_KEY:
            continue  # it refuses a list without itself
        state, reply = confirm(rehearsal, lists[kind], victim=council)
        confirmed[council] = (kind, state)
        statements[kind].append(decode_confirmation(reply, context))
    for kind, listed in lists.items():
        h3 = survivors_view(rehearsal.states[victim][Stage.SHARES].h2, listed)
        for council in corrupt:
            statement = SignedMessage(stage=Stage.CONFIRMATION, sender=council, body=b"", signature=b"")
            statements[kind].append(resign(rehearsal, statement, h3))
    gathered = dict.fromkeys(ShareKind, colluders)
    for council, (kind, state) in confirmed.items():
        message = encode_list(Stage.STATEMENTS, sorted(statements[kind], key=lambda item: item.sender))
        try:
            unmask(state, message, rehearsal.sign(council))
        except BelowThreshold:
            continue
        gathered[kind] += 1
    return gathered, rehearsal.aggregator.thresholds.t


@pytest.mark.parametrize("told_alive", range(8))
def test_both_secrets_of_the_victim_never_come_out(told_alive):
    """At most n + c = 13 shares of the two secrets together can be had, and 2t = 14 are needed."""
    gathered, t = shares_gathered(told_alive=told_alive, colluders=3)
    assert min(gathered.values()) < t
    assert sum(gathered.values()) <= 13


def test_with_one_colluder_more_than_the_limit_both_come_out():
    """Power of the test above, and why the limit is printed on the promise page."""
    gathered, t = shares_gathered(told_alive=3, colluders=4)
    assert min(gathered.values()) >= t


def test_an_s_seed_with_t_shares_is_the_mask_key_of_a_lost_council(lossy):
    """Power of the tests above: with t shares the secret really is in the coordinator's hands."""
    lost = council_ids(5)[4]
    responders = council_ids(4)
    shares = [decode_element(lossy.states[c][Stage.SHARES].held[lost].s_share) for c in responders]
    points = [1 + lossy.context.eligible.index(c) for c in responders]
    assert combine(weights_at_zero(points), shares) == lossy.states[lost][Stage.ADVERT].s_seed
    assert combine(weights_at_zero(points[:3]), shares[:3]) != lossy.states[lost][Stage.ADVERT].s_seed


# --- what the council's own code could do wrong -----------------------------------------------------------------


def test_a_council_that_is_not_eligible_cannot_join(honest):
    outsider = ParticipantSession(honest.context, CouncilId("E99999999"), honest.sign(VICTIM), honest.rng)
    with pytest.raises(LocalProtocolError, match="not eligible"):
        outsider.advertise(honest.claim)
    short = LedgerClaim(counter=1, head=bytes(32), seen=(0,))
    member = ParticipantSession(honest.context, VICTIM, honest.sign(VICTIM), honest.rng)
    with pytest.raises(LocalProtocolError, match="not eligible"):
        member.advertise(short)


def test_the_masked_input_depends_on_every_view(honest):
    ready = honest.states[VICTIM][Stage.SHARES]
    _, message = mask_input(ready, honest.inputs[VICTIM], honest.sign(VICTIM))
    assert message == honest.replies[Stage.MASKED_INPUT][VICTIM]
    partial = accept(honest, entries_of(honest)[:4])
    _, other = mask_input(partial, honest.inputs[VICTIM], honest.sign(VICTIM))
    assert not set(np.frombuffer(message[-24:], "<u8")) & set(np.frombuffer(other[-24:], "<u8"))
    # Every single mask is another one: those of councils that are in both views, and the council's own.
    assert not keys_of(ready) & keys_of(partial)
    shared = honest.states[VICTIM][Stage.KEY_SHARES]
    other_plan = replace(shared, context=replace(shared.context, plan_digest=sha256(b"another plan")))
    elsewhere = accept_shares(other_plan, honest.requests[Stage.SHARES][VICTIM])
    assert len(keys_of(ready) & keys_of(elsewhere)) == 1  # its own mask hangs on the round, whose id names the plan


def keys_of(state):
    return {mask.key for mask in state.masks}
