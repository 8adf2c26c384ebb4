"""The tables walked: every legal step, every wrong order, every repeat."""

import numpy as np
import pytest

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.secagg import (
    Aggregator,
    AggregatorEvent,
    AggregatorState,
    Confirmed,
    ParticipantEvent,
    ParticipantState,
    Stage,
)
from protocols.secagg.transitions import AGGREGATOR, PARTICIPANT
from protocols.suite import Suite
from tests.simulation.secagg_rehearsal import Rehearsal

P, S = ParticipantEvent, ParticipantState
PATH = (P.ADVERTISE, P.ADVERTS, P.SHARES, P.MASK, P.SURVIVORS, P.STATEMENTS)
STATES = (S.CREATED, S.ADVERTISED, S.SHARED_KEYS, S.READY_TO_MASK, S.MASKED, S.CONFIRMED, S.UNMASKED)
REQUEST_STAGE = {
    P.ADVERTS: Stage.ADVERTS,
    P.SHARES: Stage.SHARES,
    P.SURVIVORS: Stage.SURVIVORS,
    P.STATEMENTS: Stage.STATEMENTS,
}
OWN_STEPS = (P.ADVERTISE, P.MASK)


class Walker:
    """One council's session, driven by events with the messages of an honest round.

    Ed25519 and the seeded source are deterministic, so a fresh session with the same bytes to draw plays the
    very round that was rehearsed; only the other councils' messages are taken from the rehearsal.
    """

    def __init__(self, n=5):
        self.rehearsal = Rehearsal(n, seed="order").play()
        self.me = self.rehearsal.context.eligible[0]

    def session(self, upto):
        """A session in the given state, made by replaying the rehearsed random bytes."""
        replayed = Rehearsal(len(self.rehearsal.sessions), seed="order")
        steps = {
            S.CREATED: [],
            S.ADVERTISED: ["advertise"],
            S.SHARED_KEYS: ["advertise", "share_keys"],
            S.READY_TO_MASK: ["advertise", "share_keys", "accept_shares"],
            S.MASKED: ["advertise", "share_keys", "accept_shares", "mask"],
            S.CONFIRMED: ["advertise", "share_keys", "accept_shares", "mask", "confirm"],
            S.UNMASKED: ["advertise", "share_keys", "accept_shares", "mask", "confirm", "unmask"],
            S.ENDED: ["advertise", "share_keys"],
        }
        for step in steps[upto]:
            getattr(replayed, step)()
        session = replayed.sessions[self.me]
        if upto is S.ENDED:
            session.end()
        assert session.state is upto
        return session

    def fire(self, session, event, request=None):
        if request is None and event in REQUEST_STAGE:
            request = self.rehearsal.requests[REQUEST_STAGE[event]][self.me]
        calls = {
            P.ADVERTISE: lambda: session.advertise(self.rehearsal.claim),
            P.ADVERTS: lambda: session.share_keys(request),
            P.SHARES: lambda: session.accept_shares(request),
            P.MASK: lambda: session.mask(self.rehearsal.inputs[self.me]),
            P.SURVIVORS: lambda: session.confirm_survivors(request),
            P.STATEMENTS: lambda: session.unmask(request),
            P.END: session.end,
        }
        return calls[event]()


@pytest.fixture(scope="module")
def walker():
    return Walker()


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("event", list(P))
def test_every_event_in_every_state(walker, state, event):
    session = walker.session(state)
    legal = PARTICIPANT.get((state, event))
    repeat = event in PATH and state in STATES and event not in OWN_STEPS and PATH.index(event) < STATES.index(state)
    if legal is not None:
        walker.fire(session, event)
        assert session.state is legal
    elif repeat:  # these very bytes were answered before: the same answer, and nothing changes
        session.answered(b"")
        walker.fire(session, event)
        assert session.state is state
    elif event in OWN_STEPS:
        with pytest.raises(LocalProtocolError):
            walker.fire(session, event)
        assert session.state is state
    else:
        with pytest.raises(RemoteProtocolError):
            walker.fire(session, event)
        assert session.state is S.ENDED


def test_every_state_can_end_and_the_end_is_final():
    assert all(PARTICIPANT[state, P.END] is S.ENDED for state in S)
    assert not [event for (state, event) in PARTICIPANT if state is S.ENDED and event is not P.END]


@pytest.mark.parametrize("event", list(REQUEST_STAGE))
def test_the_same_request_gets_the_same_bytes_at_any_later_time(walker, event):
    stage = REQUEST_STAGE[event]
    reply_stage = {
        Stage.ADVERTS: Stage.KEY_SHARES,
        Stage.SHARES: Stage.MASKED_INPUT,
        Stage.SURVIVORS: Stage.CONFIRMATION,
        Stage.STATEMENTS: Stage.UNMASK,
    }[stage]
    request = walker.rehearsal.requests[stage][walker.me]
    for state in STATES[PATH.index(event) + 1 :]:
        session = walker.session(state)
        reply = walker.rehearsal.replies[reply_stage][walker.me]
        # Nothing but a masked input passes for one; after READY_TO_MASK it has not been made yet.
        masked = event is P.SHARES and state is not S.READY_TO_MASK
        assert session.answered(request) == (reply if masked else None)
        if event is not P.SHARES:
            assert walker.fire(session, event) == reply
        assert session.state is state


@pytest.mark.parametrize("event", list(REQUEST_STAGE))
def test_a_second_different_request_ends_the_round(walker, event):
    request = walker.rehearsal.requests[REQUEST_STAGE[event]][walker.me]
    for state in STATES[PATH.index(event) + 1 :]:
        session = walker.session(state)
        with pytest.raises(RemoteProtocolError, match=f"a second, different {event.value} message"):
            walker.fire(session, event, request + b"\0")
        assert session.state is S.ENDED
        assert session.answered(request) is None
        assert session._stage is None


def test_a_masked_input_is_never_made_twice(walker):
    session = walker.session(S.MASKED)
    with pytest.raises(LocalProtocolError):
        session.mask(walker.rehearsal.inputs[walker.me] + 1)
    kept = session.answered(walker.rehearsal.requests[Stage.SHARES][walker.me])
    assert kept == walker.rehearsal.replies[Stage.MASKED_INPUT][walker.me]


def test_a_vector_that_does_not_fit_changes_nothing(walker):
    session = walker.session(S.READY_TO_MASK)
    for wrong in (np.zeros(2, np.int64), np.zeros((3, 1), np.int64), np.zeros(3, np.float64), np.zeros(3, np.int32)):
        with pytest.raises(LocalProtocolError):
            session.mask(wrong)
        assert session.state is S.READY_TO_MASK
    assert session.mask(walker.rehearsal.inputs[walker.me])


def test_what_the_node_may_ask_of_a_session(walker):
    session = walker.session(S.ADVERTISED)
    with pytest.raises(LocalProtocolError):
        _ = session.cohort
    session = walker.session(S.CONFIRMED)
    session.end()
    assert session.cohort.members == session.survivors == walker.rehearsal.context.eligible
    assert session.thresholds.t == 4
    assert session.cohort.claims[walker.me] == walker.rehearsal.claim


def test_a_session_does_not_take_one_stage_for_another(walker):
    with pytest.raises(LocalProtocolError, match="not at Confirmed"):
        walker.session(S.MASKED)._at(Confirmed)


def test_the_aggregators_thresholds_are_not_known_before_the_adverts_are_closed(walker):
    aggregator = Aggregator(walker.rehearsal.context)
    with pytest.raises(LocalProtocolError):
        _ = aggregator.thresholds
    assert _aggregator_at(A.SHARING_KEYS, walker.rehearsal).thresholds.t == 4


def test_no_secret_is_left_after_the_unmask_answer(walker):
    stage = walker.session(S.UNMASKED)._stage
    assert set(stage.__slots__) == {"context", "me", "cohort", "survivors", "h3"}
    assert walker.session(S.ENDED)._stage is None


@pytest.mark.parametrize("suite", Suite)
def test_no_secret_shows_in_a_repr(suite):
    rehearsal = Rehearsal(5, seed="order", suite=suite).play()
    me = rehearsal.context.eligible[0]
    states = rehearsal.states[me]
    secrets = [states[Stage.ADVERT].s_seed, states[Stage.KEY_SHARES].b_seed]
    raw = [share for held in states[Stage.SHARES].held.values() for share in (held.b_share, held.s_share)]
    raw += [mask.key for mask in states[Stage.SHARES].masks]
    raw += [*states[Stage.KEY_SHARES].agreed.values(), *states[Stage.KEY_SHARES].pair_seeds.values()]
    shown = "".join(repr(state) + repr(getattr(state, "held", "")) for state in states.values())
    assert not [secret for secret in secrets if str(secret) in shown]
    assert not [secret for secret in raw if repr(secret) in shown]
    assert "s_seed" not in shown
    assert "b_seed" not in shown


# --- the aggregator --------------------------------------------------------------------------------------

A, E = AggregatorState, AggregatorEvent
AGGREGATOR_PATH = {
    A.ADVERTISING: (),
    A.SHARING_KEYS: (E.ADVERT, E.CLOSE_ADVERTS),
    A.MASKING: (E.KEY_SHARES, E.CLOSE_KEY_SHARES),
    A.CONFIRMING: (E.MASKED_INPUT, E.CLOSE_MASKED_INPUTS),
    A.UNMASKING: (E.CONFIRMATION, E.CLOSE_CONFIRMATIONS),
    A.FINISHED: (E.OPENING, E.UNMASK, E.FINISH),
}
RECEIVED = {
    E.ADVERT: Stage.ADVERT,
    E.KEY_SHARES: Stage.KEY_SHARES,
    E.MASKED_INPUT: Stage.MASKED_INPUT,
    E.CONFIRMATION: Stage.CONFIRMATION,
    E.UNMASK: Stage.UNMASK,
}


@pytest.fixture(scope="module", params=[False, True], ids=["alone", "with a mask holder"])
def round_(request):
    return Rehearsal(5, seed="order", holder=request.param).play()


def _fire(aggregator, event, rehearsal):
    if event is E.OPENING:
        return aggregator.receive_opening(rehearsal.opening)
    if event in RECEIVED:
        receive = getattr(aggregator, "receive_" + RECEIVED[event].name.lower())
        for council, message in rehearsal.replies[RECEIVED[event]].items():
            receive(council, message)
        return None
    return getattr(aggregator, event.name.lower())()


def _aggregator_at(state, rehearsal):
    aggregator = Aggregator(rehearsal.context)
    if state is A.ABANDONED:
        aggregator.abandon()
        return aggregator
    for step, events in AGGREGATOR_PATH.items():
        for event in _possible(events, rehearsal):
            _fire(aggregator, event, rehearsal)
        if step is state:
            break
    assert aggregator.state is state
    return aggregator


def _possible(events, rehearsal):
    return [event for event in events if event is not E.OPENING or rehearsal.holder is not None]


@pytest.mark.parametrize("state", list(A))
@pytest.mark.parametrize("event", list(E))
def test_every_event_in_every_state_of_the_aggregator(round_, state, event):
    aggregator = _aggregator_at(state, round_)
    legal = AGGREGATOR.get((state, event))
    if round_.holder is None and event is E.OPENING:
        round_.opening, legal = b"", None  # nobody can open what nobody holds
    if round_.holder is not None and event is E.FINISH:
        legal = None  # not before the opening, wherever the round stands
    empty_close = event.name.startswith("CLOSE") or event is E.FINISH
    if legal is None:
        with pytest.raises(LocalProtocolError):
            _fire(aggregator, event, round_)
        assert aggregator.state is state
    elif empty_close:  # nothing has arrived in this state: too few
        with pytest.raises(RemoteProtocolError):
            _fire(aggregator, event, round_)
        assert aggregator.state is A.ABANDONED
    else:
        _fire(aggregator, event, round_)
        assert aggregator.state is legal


def test_the_aggregator_can_abandon_from_every_state_for_good():
    assert all(AGGREGATOR[state, E.ABANDON] is A.ABANDONED for state in A)
    assert not [event for (state, event) in AGGREGATOR if state is A.ABANDONED and event is not E.ABANDON]


@pytest.mark.parametrize(("event", "stage"), list(RECEIVED.items()))
def test_a_message_sent_twice_counts_once_and_another_is_refused(round_, event, stage):
    rehearsal = round_
    me = rehearsal.context.eligible[0]
    state = next(state for (state, occurred) in AGGREGATOR if occurred is event)
    aggregator = _aggregator_at(state, rehearsal)
    _fire(aggregator, event, rehearsal)
    _fire(aggregator, event, rehearsal)
    receive = getattr(aggregator, "receive_" + stage.name.lower())
    with pytest.raises(RemoteProtocolError) as caught:
        receive(me, rehearsal.replies[stage][me] + b"\0")
    assert caught.value.culprit == me
    for step, events in AGGREGATOR_PATH.items():
        if list(AGGREGATOR_PATH).index(step) > list(AGGREGATOR_PATH).index(state):
            for following in _possible(events, rehearsal):
                result = _fire(aggregator, following, rehearsal)
    assert result.total.tolist() == rehearsal.expected(rehearsal.inputs).tolist()


def test_the_path_of_an_honest_round_visits_every_state():
    reached = [S.CREATED]
    for event in PATH:
        reached.append(PARTICIPANT[reached[-1], event])
    assert {*reached, S.ENDED} == set(S)
    assert len(PARTICIPANT) == len(PATH) + len(S)
