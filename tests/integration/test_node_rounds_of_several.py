"""A question of several rounds at real nodes: what is charged, what is bound, and what a coordinator cannot do."""

import csv
import os
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from council_node.node_store import DocumentKind, NodeStore
from council_node.page.own_figures import count_own
from council_node.receipts import receipt_text, receipts
from federated.errors import FileProblem, SignatureProblem
from federated.iteration import Iteration
from federated.plan import Plan
from federated.privacy import Charge, Mechanism
from federated.query import Equals, Measured, Named, Points, Table
from federated.release import CouncilRecord, CountedRound, make_release
from federated.release_check import NOT_REMADE, check_release
from federated.statistics import in_rounds
from protocols.secagg.messages import Stage, decode_advert, encode_list
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import (
    COUNCILS,
    EXAMPLES,
    ME,
    SCHEMA,
    Rehearsal,
    World,
    abort,
    invitation,
    round_of,
)
from tests.unit.federated.statistics.logistic_rows import exact_fit

OTHER = COUNCILS[3]
TYPE = "single_parent_male"
MARK = Points(base=0, terms=((Equals(column="household_type", value=TYPE), 1),))
FIT = Table(
    name="fit",
    statistic="logistic_rounds",
    measures=(Measured(measure=MARK, low=0, high=1),),
    conditions=(Named(name="owed", where=Equals(column="assessment_outcome", value="relief_owed")),),
    rounds=3,
)
START = Iteration(number=1, coefficients=(0, 0))
SECOND = Iteration(number=2, coefficients=(-400, 90))


def federation(folder, *, agreement=None, **options):
    """A world whose agreement allows such a question."""
    datasets = yaml.safe_load((EXAMPLES / "agreement.yaml").read_bytes())["datasets"]
    datasets["case"]["statistics"].append("logistic_rounds")
    return World(folder, agreement={"datasets": datasets, **(agreement or {})}, **options)


@pytest.fixture
def world(tmp_path):
    with federation(tmp_path) as made:
        yield made


def proposed(world, **changes):
    asked = world.question(tables=(FIT,), epsilon=Fraction(1), **changes)
    manifest = world.make_manifest(columns=("household_type",))
    return world.propose(asked, mechanism=Mechanism.DISCRETE_GAUSSIAN, manifest=manifest)


def run(world, proposal, iteration, *, attempt, nonce=None):
    """One whole round; the nodes are told that it is over, as a coordinator tells them."""
    round_ = Rehearsal(world, proposal, attempt=attempt, nonce=nonce or attempt, iteration=iteration)
    round_.until(Kind.STATEMENTS)
    return round_, round_.unmask()


def invited(world, proposal, iteration, *, council=ME, attempt=1, nonce=1, sid=None):
    message = invitation(world, proposal.plan, attempt=attempt, nonce=nonce, iteration=iteration, sid=sid)
    return world.seat(council).ask(message)


# What it costs


def test_the_cost_of_all_rounds_is_the_sum_of_each_and_no_more_than_was_asked(world):
    plan = proposed(world).plan
    assert plan.rounds == 3
    assert plan.charge.rho == 3 * plan.round_charge.rho
    one = world.propose(mechanism=Mechanism.DISCRETE_GAUSSIAN).plan
    assert plan.charge.rho <= one.charge.rho * (1 + Fraction(1, 10**6))
    assert plan.canonical()["rounds"] == 3
    # What was asked is in both digests: another number of rounds is another question, and another plan.
    other = replace(plan.question, tables=(replace(FIT, rounds=4),))
    assert other.digest(plan.schema_digest) != plan.query_digest


def test_every_round_is_charged_under_its_own_id_before_its_data_is_read(world):
    proposal = proposed(world)
    me = world.seat(ME)
    charged = []
    for number, iteration in enumerate((START, SECOND), start=1):
        round_, _ = run(world, proposal, iteration, attempt=number)
        charged.append(me.charge(round_.sid))
    assert [item.state.value for item in charged] == ["spent", "spent"]
    assert {item.charge.rho for item in charged} == {proposal.plan.round_charge.rho}
    assert me.station.ledger.attempts(proposal.plan.digest) == 2


def before_it(world):
    """A question that leaves room for two of the three rounds."""
    earlier = world.propose(world.question(epsilon=Fraction(1, 2)), mechanism=Mechanism.DISCRETE_GAUSSIAN)
    Rehearsal(world, earlier).until(Kind.SURVIVORS)


def test_a_question_whose_rounds_do_not_all_fit_is_refused_before_the_first(tmp_path):
    with federation(tmp_path, epsilon="1") as world:
        before_it(world)
        said = world.seat(ME).propose(proposed(world))
        assert (said.body["decision"], said.rule) == ("refused", "budget")


def test_were_only_the_first_round_asked_about_it_would_end_in_the_middle(tmp_path, monkeypatch):
    monkeypatch.setattr(Charge, "times", lambda charge, _rounds: charge)
    with federation(tmp_path, epsilon="1") as world:
        before_it(world)
        proposal = proposed(world)
        for number in (1, 2):
            run(world, proposal, replace(SECOND, number=number) if number > 1 else START, attempt=number)
        assert invited(world, proposal, replace(SECOND, number=3), attempt=3, nonce=3).rule == "budget"


def test_later_rounds_are_not_refused_for_what_the_earlier_ones_of_the_same_plan_took(tmp_path):
    with federation(tmp_path, epsilon="1") as world:
        proposal = proposed(world)
        for number in (1, 2, 3):
            run(world, proposal, replace(SECOND, number=number) if number > 1 else START, attempt=number)
        assert world.seat(ME).station.ledger.attempts(proposal.plan.digest) == 3
        # The budget holds: a fourth round, which `attempts` would allow, does not fit.
        said = invited(world, proposal, replace(SECOND, number=3), attempt=4, nonce=4)
        assert (said.kind, said.rule) == (Kind.REFUSAL, "budget")


# What a coordinator cannot do


def test_a_round_run_again_at_other_coefficients_is_charged_again_and_the_plan_ends_it(world):
    proposal = proposed(world)
    me = world.seat(ME)
    points = [START, SECOND, replace(SECOND, coefficients=(16384, -16384)), replace(SECOND, coefficients=(7, 7))]
    for number, iteration in enumerate(points, start=1):
        run(world, proposal, iteration, attempt=number)
    spent = [item for item in me.station.ledger.rounds() if item.plan_digest == proposal.plan.digest]
    assert sum(item.charge.rho for item in spent) == 4 * proposal.plan.round_charge.rho
    # Three rounds and one attempt more: then no more, whatever number or attempt a further round says it is.
    for attempt, words in ((5, "The plan allows 4"), (1, "answered 4 time")):
        said = invited(world, proposal, replace(SECOND, number=3), attempt=attempt, nonce=9)
        assert (said.kind, said.rule) == (Kind.REFUSAL, "attempts")
        assert words in said.words


@pytest.mark.parametrize(
    ("iteration", "words"),
    [
        (None, "does not say which of 3"),
        (Iteration(number=0, coefficients=(0, 0)), "does not say which of 3"),
        (Iteration(number=4, coefficients=(0, 0)), "does not say which of 3"),
        (Iteration(number=2, coefficients=(0,)), "one coefficient for each"),
        (Iteration(number=2, coefficients=(0, 0, 0)), "one coefficient for each"),
        (Iteration(number=2, coefficients=(16385, 0)), "larger than the question allows"),
        (Iteration(number=2, coefficients=(0, -(2**70))), "larger than the question allows"),
        (Iteration(number=1, coefficients=(1, 0)), "does not start where"),
    ],
)
def test_an_invitation_to_anything_else_than_the_plan_allows_is_refused_and_reserves_nothing(world, iteration, words):
    proposal = proposed(world)
    world.seat(ME).propose(proposal)
    said = invited(world, proposal, iteration)
    assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")
    assert words in said.words
    assert world.seat(ME).station.ledger.rounds() == ()


def test_the_alarm_is_that_check(world, monkeypatch):
    proposal = proposed(world)
    world.seat(ME).propose(proposal)
    monkeypatch.setattr(Plan, "check_iteration", lambda _plan, _iteration: None)
    assert invited(world, proposal, Iteration(number=4, coefficients=(0, 0))).kind is Kind.ADVERT


@pytest.mark.parametrize("strange", [{"number": 2}, {"number": True, "coefficients": [0, 0]}, [2, [0, 0]], None, "2"])
def test_an_iteration_in_another_form_is_refused(world, strange):
    proposal = proposed(world)
    me = world.seat(ME)
    me.propose(proposal)
    said = me.ask(invitation(world, proposal.plan, iteration=strange_form(strange), sid=bytes(32)))
    assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")


def strange_form(body):
    class Strange:
        def canonical(self):
            return body

    return Strange()


def test_a_question_of_one_round_is_not_counted_at_coefficients(world):
    proposal = world.propose()
    world.seat(ME).propose(proposal)
    said = invited(world, proposal, START)
    assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")


def test_coefficients_that_are_not_those_of_the_round_id_are_refused(world):
    proposal = proposed(world)
    world.seat(ME).propose(proposal)
    sid = round_of(world, proposal.plan, iteration=SECOND)
    said = invited(world, proposal, replace(SECOND, coefficients=(-400, 91)), sid=sid)
    assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")
    assert "does not follow" in said.words


def test_two_councils_told_different_coefficients_are_in_different_rounds_and_nothing_is_charged(world):
    proposal = proposed(world)
    round_ = Rehearsal(world, proposal, iteration=SECOND)
    told = replace(SECOND, coefficients=(-401, 90))
    elsewhere = round_of(world, proposal.plan, iteration=told)
    adverts = {}
    for council, seat in round_.seats.items():
        message = invitation(world, proposal.plan, iteration=told if council == OTHER else SECOND)
        reply = LinkMessage.decode(seat.send(message))
        assert reply.kind is Kind.ADVERT
        adverts[council] = decode_advert(reply.payload, round_.aggregator._context)
    # An honest coordinator's own check is gone round: it shows each the other's advert.
    everyone = encode_list(Stage.ADVERTS, [adverts[council] for council in sorted(adverts)])
    me = world.seat(ME)
    said = me.ask(round_.packed(Kind.ADVERTS, everyone))
    assert said.kind is Kind.COMPLAINT
    assert f"in the name of {OTHER} is not signed by its identity for this round" in said.words
    assert me.state(round_.sid) == "released"
    theirs = LinkMessage(kind=Kind.ADVERTS, reference=elsewhere, payload=everyone).encode()
    assert world.seat(OTHER).ask(theirs).kind is Kind.COMPLAINT
    assert world.seat(OTHER).state(elsewhere) == "released"


def test_were_the_coefficients_not_in_the_round_id_that_alarm_would_be_silent(world, monkeypatch):
    monkeypatch.setattr(Iteration, "encode", lambda _iteration: b"the same for all")
    proposal = proposed(world)
    round_ = Rehearsal(world, proposal, iteration=SECOND)
    adverts = {}
    for council, seat in round_.seats.items():
        at = replace(SECOND, coefficients=(-401, 90)) if council == OTHER else SECOND
        reply = LinkMessage.decode(seat.send(invitation(world, proposal.plan, iteration=at)))
        adverts[council] = decode_advert(reply.payload, round_.aggregator._context)
    everyone = encode_list(Stage.ADVERTS, [adverts[council] for council in sorted(adverts)])
    assert world.seat(ME).ask(round_.packed(Kind.ADVERTS, everyone)).kind is Kind.KEY_SHARES


# What comes of it


def counted_three(world, proposal):
    rule, table, plan = in_rounds("logistic_rounds"), FIT, proposal.plan
    assert rule.start(table) == START.coefficients
    found = []
    for number, iteration in enumerate((START, SECOND, replace(SECOND, number=3)), start=1):
        round_, result = run(world, proposal, iteration, attempt=number)
        found.append(
            CountedRound(sid=round_.sid, attempt=number, nonce=bytes([number]) * 32, iteration=iteration, result=result)
        )
    councils = [CouncilRecord(council=council, name=council, outcome="contributed") for council in plan.eligible]
    return make_release(
        plan,
        found[-1].result,
        schema=SCHEMA,
        sid=found[-1].sid,
        councils=councils,
        now=world.now,
        software="test",
        rounds=found,
    )


def test_each_round_sums_what_the_councils_have_at_its_own_coefficients(world, monkeypatch):
    monkeypatch.setattr(
        "council_node.contribution.sample_noise_share", lambda spec, **_: np.zeros(spec.cells, dtype=np.int64)
    )
    proposal = proposed(world)
    for number, iteration in enumerate((START, SECOND), start=1):
        round_, result = run(world, proposal, iteration, attempt=number)
        own = [seat.station.compute(round_.plan, iteration).vector for seat in round_.seats.values()]
        assert (result.total == np.sum(own, axis=0) * proposal.plan.scale).all()
    elsewhere = world.seat(ME).station.compute(proposal.plan, START).vector
    assert (elsewhere != world.seat(ME).station.compute(proposal.plan, SECOND).vector).any()


def test_the_release_proves_what_each_round_was_counted_at(world):
    release = counted_three(world, proposed(world, title="Relief owed"))
    agreements = {world.agreement.id: world.agreement}
    lines = list(check_release(release, roster=world.roster, agreements=agreements, schema=SCHEMA))
    assert any("3 rounds the councils signed the coefficients" in line for line in lines)
    assert "The tables follow from the published totals." in lines
    # A later version, for instance with an analyst's new key, makes no old release false.
    _, later = world.make_agreement(version=9)
    assert NOT_REMADE in check_release(release, roster=world.roster, agreements={later.id: later}, schema=SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        lambda rounds: (rounds[0], rounds[1].model_copy(update={"coefficients": (-399, 90)}), rounds[2]),
        lambda rounds: (rounds[1], rounds[0], rounds[2]),
        lambda rounds: rounds[:2],
        lambda rounds: (rounds[0], rounds[0], rounds[2]),
        lambda rounds: (*rounds[:2], rounds[2].model_copy(update={"totals": tuple(range(5))})),
        lambda rounds: (
            rounds[0],
            rounds[1].model_copy(update={"attestations": rounds[0].attestations}),
            rounds[2],
        ),
        lambda rounds: (rounds[0].model_copy(update={"totals": tuple(range(5))}), *rounds[1:]),
    ],
)
def test_a_release_that_says_otherwise_of_its_rounds_does_not_hold(world, change):
    release = counted_three(world, proposed(world))
    false = release.model_copy(update={"rounds": change(release.rounds)})
    agreements = {world.agreement.id: world.agreement}
    with pytest.raises(SignatureProblem):
        list(check_release(false, roster=world.roster, agreements=agreements, schema=SCHEMA))


def unsigned(record, **changes):
    """A round that nobody signed, and that says so."""
    attested = record.attestations.model_copy(update={"statements": ()})
    return record.model_copy(update={"threshold": 0, "attestations": attested, **changes})


@pytest.mark.parametrize(
    "change",
    [
        lambda release: {"rounds": (unsigned(release.rounds[0]), *release.rounds[1:])},
        lambda release: {"rounds": (release.rounds[0].model_copy(update={"joined": 3}), *release.rounds[1:])},
        lambda release: {
            "rounds": (*release.rounds[:2], unsigned(release.rounds[2])),
            "attestations": unsigned(release).attestations,
            "threshold": 0,
        },
    ],
)
def test_how_many_must_have_signed_is_not_for_the_release_to_say(world, change):
    release = counted_three(world, proposed(world))
    false = release.model_copy(update=change(release))
    agreements = {world.agreement.id: world.agreement}
    with pytest.raises(SignatureProblem, match=r"must have signed|No round of the plan"):
        list(check_release(false, roster=world.roster, agreements=agreements, schema=SCHEMA))


def test_were_that_left_to_the_release_one_that_nobody_signed_would_hold(world, monkeypatch):
    release = counted_three(world, proposed(world))
    false = release.model_copy(update={"rounds": (unsigned(release.rounds[0]), *release.rounds[1:])})
    monkeypatch.setattr("federated.release_check._check_thresholds", lambda _release: None)
    agreements = {world.agreement.id: world.agreement}
    assert list(check_release(false, roster=world.roster, agreements=agreements, schema=SCHEMA))


def test_the_receipt_of_a_round_says_which_of_several_it_was(world):
    proposal = proposed(world)
    round_, _ = run(world, proposal, SECOND, attempt=1)
    me = world.seat(ME)
    me.ask(abort(round_.sid))
    (receipt,) = receipts(me.station.store)
    assert receipt.part == "round 2 of 3"
    assert receipt.cost.charged
    assert "round 2 of 3" in receipt_text(receipt)
    assert "comes with the last" in receipt.outcome


@pytest.mark.parametrize("answered", [True, False])
def test_a_receipt_that_could_not_be_stored_still_says_what_was_sent_when_it_can_be(world, monkeypatch, answered):
    release = counted_three(world, proposed(world))
    me = world.seat(ME)
    sid = bytes.fromhex(release.sid)
    end = LinkMessage(kind=Kind.RELEASE, reference=sid, payload=release.encode()).encode() if answered else abort(sid)
    keep = NodeStore.put

    def full(store, kind, *args, **kwargs):
        if kind is DocumentKind.DELETION:
            raise FileProblem("The disk is full.", remedy="Free some space.")
        return keep(store, kind, *args, **kwargs)

    with monkeypatch.context() as failing:
        failing.setattr(NodeStore, "put", full)
        assert me.ask(end).kind is Kind.FAULT
    assert all(receipt.sid != release.sid for receipt in receipts(me.station.store))
    assert me.ask(end).kind is Kind.RECEIPT
    (receipt,) = (receipt for receipt in receipts(me.station.store) if receipt.sid == release.sid)
    assert receipt.answered is answered
    assert "unmask" in {message.what for message in receipt.sent}
    assert me.station.store.latest(DocumentKind.DELETION, release.sid) is not None


def test_a_round_that_is_given_up_before_any_input_costs_nothing_and_can_be_held_again(world):
    proposal = proposed(world)
    me = world.seat(ME)
    first = Rehearsal(world, proposal, iteration=START).until(Kind.SHARES)
    for seat in first.seats.values():
        seat.ask(abort(first.sid))
    assert me.state(first.sid) == "released"
    again, _ = run(world, proposal, START, attempt=2)
    assert me.state(again.sid) == "spent"


def test_the_councils_own_page_shows_the_exact_fit_of_its_own_records(world):
    release = counted_three(world, proposed(world))
    seat = world.seat(ME)
    station = seat.station
    desk = SimpleNamespace(
        settings=station.settings,
        schema=station.schema,
        council=station.council,
        rng=os.urandom,
        counting=nullcontext(),
        clock=lambda: world.now,
    )
    with (seat.folder / "extract.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    marked = np.array([[int(row["household_type"] == TYPE)] for row in rows])
    owed = np.array([int(row["assessment_outcome"] == "relief_owed") for row in rows])
    shown = count_own(desk, release).values["fit"]
    for name, value in zip(("intercept", "x1"), exact_fit(FIT, marked, owed), strict=True):
        assert shown[name,] == pytest.approx(value, abs=0.01)
    assert shown["rows",] == pytest.approx(len(rows), abs=1)
