"""Must show 6: whatever is wrong with a question or an invitation is refused by the node, with the rule named.

No coordinator stands between the test and the node, so nothing but the node can have refused. Each row of the tables
makes one change; the same node approves the question, or joins the round, without it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
import yaml

from council_node.decisions import Decisions
from council_node.node_store import DocumentKind
from federated.agreement import AGREEMENT_TYPE
from federated.keys import public_line
from federated.privacy import Mechanism
from federated.query import Dimension, Period, Table
from federated.roster import ROSTER_TYPE
from federated.signing import sign_payload, unsafe_payload
from protocols.encoding import canonical_json, sha256
from protocols.identifiers import Digest
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import (
    ANALYST,
    HUB_KEY,
    ME,
    NOW,
    PROGRAMME,
    REVIEWER,
    SIGNER_A,
    SIGNER_B,
    STRANGER,
    Proposal,
    Seat,
    World,
    abort,
    invitation,
    round_of,
)


@dataclass(frozen=True)
class AtProposal:
    """One change to a proposal or to the council's own files, and what the node must say about it.

    Attributes:
        change: Given the world and the node, gives the PROPOSAL request.
        world: How the world differs from the usual one; the node approves the usual question there.
    """

    name: str
    rule: str
    change: Callable[[World, Seat], bytes]
    words: str = ""
    world: dict[str, Any] = field(default_factory=dict)


def ids(cases: list[Any]) -> list[str]:
    return [case.name for case in cases]


@contextmanager
def world_of(tmp_path, **options) -> Iterator[World]:
    with World(tmp_path, **options) as world:
        yield world


# What is asked


def spend_all_but_nothing(world: World, seat: Seat) -> bytes:
    earlier = world.propose()
    assert seat.propose(earlier).body["decision"] == "approved"
    assert seat.invite(earlier.plan).kind is Kind.ADVERT  # reserves all there is
    return world.propose().request()


def question_on(*columns: str, explained: bool = True, **changes: Any) -> Callable[[World, Seat], bytes]:
    def change(world: World, _seat: Seat) -> bytes:
        manifest = world.make_manifest(columns=columns) if explained else world.manifest
        return world.propose(world.question(*columns, **changes), manifest=manifest).request()

    return change


def with_table(table: Table, **changes: Any) -> Callable[[World, Seat], bytes]:
    def change(world: World, _seat: Seat) -> bytes:
        return world.propose(world.question(tables=(table,), **changes)).request()

    return change


def asked_with(**changes: Any) -> Callable[[World, Seat], bytes]:
    return lambda world, _seat: world.propose(world.question(**changes)).request()


def of_data_set(dataset: str, column: str, period: str, *, unit: str = "household") -> Callable[[World, Seat], bytes]:
    def change(world: World, _seat: Seat) -> bytes:
        asked = world.question(
            dataset=dataset,
            unit=unit,
            period=Period(column=period, start=date(2025, 1, 1), end=date(2025, 3, 31)),
            tables=(Table(name="t", statistic="households", by=(Dimension(column=column),)),),
        )
        document = yaml.safe_load(world.manifest)
        for name in (column, period):
            document["fields_read"].append({**document["fields_read"][0], "dataset": dataset, "column": name})
        return world.propose(asked, manifest=yaml.safe_dump(document, allow_unicode=True).encode()).request()

    return change


OUTCOME = (Dimension(column="assessment_outcome"),)
CHEAPER = {"max_epsilon_per_query": "1"}
NO_ROWS = {"datasets": {"case": {"unit": "household", "columns": ["assessment_date", "assessment_outcome"]}}}
NO_ROWS["datasets"]["case"] |= {"statistics": ["households"], "max_cells": 1, "class_2_approved_by": {}}

ASKED = [
    AtProposal("over_budget", "budget", spend_all_but_nothing, "leaves room for", {"epsilon": "1"}),
    AtProposal(
        "dearer_than_one_question_may_be", "max_epsilon_per_query", asked_with(epsilon=Fraction(3, 2)), "epsilon 3/2"
    ),
    AtProposal("column_not_in_the_agreement", "column", question_on("main_employment"), "'main_employment'"),
    AtProposal(
        "column_its_manifest_does_not_explain", "manifest_column", question_on("main_age_band", explained=False)
    ),
    AtProposal("column_missing_here", "coverage", question_on("main_age_band"), "main_age_band"),
    AtProposal(
        "statistic_not_in_the_agreement",
        "statistic",
        with_table(Table(name="t", statistic="rows", by=OUTCOME)),
        "'rows'",
        {"agreement": NO_ROWS},
    ),
    AtProposal(
        "household_in_too_many_cells",
        "max_cells",
        with_table(Table(name="t", statistic="households", by=OUTCOME, max_cells=3)),
        "3 cells",
    ),
    AtProposal(
        "data_set_not_in_the_agreement", "dataset", of_data_set("event", "weekday", "at"), "the data set 'event'"
    ),
    AtProposal("data_set_not_held_here", "coverage", of_data_set("ta_placement", "ta_type", "start"), "ta_type"),
]


# By whom, and whether anybody touched it since


def signed_by(key: Any) -> Callable[[World, Seat], bytes]:
    return lambda world, _seat: world.propose(key=key).request()


def plan_touched_after_signing(world: World, _seat: Seat) -> bytes:
    good, other = world.propose(), world.propose(world.question(epsilon=Fraction(1, 2)))
    envelope = json.loads(good.envelope)
    envelope["payload"] = json.loads(other.envelope)["payload"]
    return replace(good, envelope=json.dumps(envelope).encode()).request(reference=sha256(other.content))


def plan_passed_off_as_another(world: World, _seat: Seat) -> bytes:
    return world.propose().request(reference=sha256(b"the plan a person was shown"))


def plan_signed_as_a_manifest(world: World, _seat: Seat) -> bytes:
    proposal = world.propose()
    return replace(proposal, envelope=sign_payload(proposal.content, "text/plain", [ANALYST])).request()


def plan_without_signature(world: World, _seat: Seat) -> bytes:
    proposal = world.propose()
    return replace(proposal, envelope=sign_payload(proposal.content, "text/plain", [])).request()


def manifest_of_another_question(world: World, _seat: Seat) -> bytes:
    proposal = world.propose()
    other = world.propose(manifest=world.make_manifest(title="Another question"))
    return replace(proposal, manifest=other.manifest).request()


def manifest_touched_after_signing(world: World, _seat: Seat) -> bytes:
    proposal = world.propose()
    envelope = json.loads(proposal.manifest)
    envelope["payload"] = json.loads(world.propose(manifest=world.make_manifest(title="Else")).manifest)["payload"]
    return replace(proposal, manifest=json.dumps(envelope).encode()).request()


def with_manifest(**changes: Any) -> Callable[[World, Seat], bytes]:
    return lambda world, _seat: world.propose(manifest=world.make_manifest(**changes)).request()


def no_analyst_any_more(world: World, _seat: Seat) -> bytes:
    """The council accepted a version of the agreement in which somebody else asks."""
    proposal = world.propose()
    analyst = dict(world.agreement.analysts[0].model_dump(mode="json"), public_key=_line(STRANGER))
    envelope, _ = world.make_agreement(version=4, analysts=[analyst])
    world.accept(ME, envelope)
    return proposal.request()


def _line(key: Any) -> str:
    return public_line(key.public)


BY_WHOM = [
    AtProposal("signed_by_a_stranger", "signature", signed_by(STRANGER)),
    AtProposal("signed_by_a_reviewer", "signature", signed_by(REVIEWER)),
    AtProposal("signed_by_the_coordinator", "signature", signed_by(HUB_KEY)),
    AtProposal("signed_by_nobody", "signature", plan_without_signature),
    AtProposal("touched_after_signing", "signature", plan_touched_after_signing, "changed after it was signed"),
    AtProposal("passed_off_as_another_plan", "signature", plan_passed_off_as_another),
    AtProposal("signed_as_something_else", "signature", plan_signed_as_a_manifest),
    AtProposal("analyst_no_longer_named", "signature", no_analyst_any_more),
    AtProposal(
        "manifest_signed_by_a_stranger",
        "signature",
        lambda world, _seat: world.propose(manifest_key=STRANGER).request(),
    ),
    AtProposal("manifest_touched_after_signing", "signature", manifest_touched_after_signing),
    AtProposal("manifest_of_another_question", "manifest_mismatch", manifest_of_another_question),
    AtProposal(
        "manifest_expired",
        "manifest_expired",
        with_manifest(collect_by=date(2026, 2, 1), return_by=date(2026, 2, 15), expires_on=date(2026, 3, 1)),
        "2026-03-01",
    ),
    AtProposal("manifest_that_says_nothing", "manifest_wording", with_manifest(decision="For research purposes.")),
    AtProposal(
        "manifest_to_somebody_else",
        "manifest_recipient",
        with_manifest(recipients=[{"role": "buyers", "body": "A data broker", "type": "public_body"}]),
        "A data broker",
    ),
    AtProposal("manifest_not_yaml", "manifest", lambda world, _seat: world.propose(manifest=b"[").request()),
    AtProposal("unreadable", "signature", lambda world, _seat: world.propose().request(version=2)),
    AtProposal("something_left_over", "signature", lambda world, _seat: world.propose().request(more="x")),
]


# Under what, with whom, and when


def at(moment: datetime, **terms: Any) -> Callable[[World, Seat], bytes]:
    """Plan now, ask later."""

    def change(world: World, _seat: Seat) -> bytes:
        proposal = world.propose(**terms)
        world.now = moment
        return proposal.request()

    return change


def after_a_restart(change: Callable[[World, Seat], bytes]) -> Callable[[World, Seat], bytes]:
    def restarted(world: World, seat: Seat) -> bytes:
        request = change(world, seat)
        seat.restart()
        return request

    return restarted


def agreement_of(accepted: bool, **changes: Any) -> Callable[[World, Seat], bytes]:
    """Plan under an agreement that differs from the one this council accepted."""

    def change(world: World, _seat: Seat) -> bytes:
        envelope, other = world.make_agreement(**changes)
        if accepted:
            world.accept(ME, envelope)
            return world.propose().request()
        return world.propose(agreement=other).request()

    return change


def other_group(world: World, _seat: Seat) -> bytes:
    smaller = {"name": "pair", "label": "Pair", "profile": "careful", "councils": list(world.councils[:4])}
    _, other = world.make_agreement(groups=[smaller])
    return world.propose(world.question(group="pair"), agreement=other).request()


def group_without_us(world: World, _seat: Seat) -> bytes:
    return world.propose(world.question(group="others")).request()


def removed(world: World, seat: Seat) -> bytes:
    (seat.station.settings.agreements / f"{world.agreement.id}.dsse").unlink()
    return world.propose().request()


def agreement_signed_by_the_coordinator(world: World, _seat: Seat) -> bytes:
    envelope, _ = world.make_agreement(keys=[HUB_KEY], epsilon="40")
    world.accept(ME, envelope)
    return world.propose().request()


def agreement_changed_by_one_of_two(world: World, _seat: Seat) -> bytes:
    """Its next version with twice the budget, put into the council's folder, and a question under it."""
    envelope, changed = world.make_agreement(keys=[PROGRAMME], version=4, epsilon="40")
    world.accept(ME, envelope)
    return world.propose(agreement=changed).request()


def another_roster(**changes: Any) -> Callable[[World, Seat], bytes]:
    def change(world: World, _seat: Seat) -> bytes:
        _, other = world.make_roster(**changes)
        return world.propose(roster=other).request()

    return change


def newer_roster_pinned(world: World, seat: Seat) -> bytes:
    proposal = world.propose()
    envelope, _ = world.make_roster(epoch=4)
    assert seat.ask(world.roster_message(envelope)).kind is Kind.RECEIPT
    return proposal.request()


def council_left_the_roster(world: World, seat: Seat) -> bytes:
    envelope, _ = world.make_roster(epoch=4, councils=world.councils[:-1])
    assert seat.ask(world.roster_message(envelope)).kind is Kind.RECEIPT
    return world.propose().request()


GROUPS = [
    {"name": "all", "label": "All", "profile": "careful", "councils": [f"E0600000{n}" for n in range(1, 6)]},
    {"name": "others", "label": "Others", "profile": "careful", "councils": [f"E0600000{n}" for n in (1, 2, 4, 5)]},
]

UNDER_WHAT = [
    AtProposal("agreement_expired", "agreement_expired", at(datetime(2026, 4, 1, tzinfo=UTC)), "2026-03-31"),
    AtProposal(
        "agreement_expired_and_node_restarted",
        "agreement_expired",
        after_a_restart(at(datetime(2026, 4, 1, tzinfo=UTC))),
    ),
    AtProposal("agreement_not_accepted", "agreement_unknown", agreement_of(accepted=False, id="another-one")),
    AtProposal("agreement_named_like_a_path", "agreement_unknown", lambda w, _s: _claiming(w, id="../policy")),
    AtProposal("agreement_taken_away", "agreement_unknown", removed),
    AtProposal("agreement_of_another_version", "plan_mismatch", agreement_of(accepted=False, version=4), "'agreement'"),
    AtProposal("agreement_accepted_afresh", "plan_mismatch", agreement_of(accepted=True, version=4), "'agreement'"),
    AtProposal("agreement_the_coordinator_signed", "signature", agreement_signed_by_the_coordinator),
    AtProposal(
        "agreement_one_of_two_signed",
        "signature",
        agreement_changed_by_one_of_two,
        "1 of the 2 trusted signatures it needs. Have another of the people under agreement_keys",
    ),
    AtProposal("group_that_is_not_in_it", "group", other_group, "no group 'pair'"),
    AtProposal(
        "group_without_this_council", "group", group_without_us, "not in the group", {"agreement": {"groups": GROUPS}}
    ),
    AtProposal("council_of_the_group_left", "group", council_left_the_roster, "not in the roster"),
    AtProposal("roster_with_other_keys", "plan_mismatch", another_roster(not_after=date(2026, 5, 1)), "'roster'"),
    AtProposal("roster_of_another_epoch", "plan_mismatch", another_roster(epoch=4), "'roster'"),
    AtProposal("roster_renewed_meanwhile", "plan_mismatch", newer_roster_pinned, "'roster'"),
    AtProposal(
        "roster_expired",
        "roster_expired",
        at(datetime(2026, 5, 16, tzinfo=UTC)),
        world={"agreement": {"valid_to": date(2026, 12, 31)}},
    ),
    AtProposal("plan_expired", "plan_expired", at(NOW + timedelta(days=5), not_after=NOW + timedelta(days=4))),
    AtProposal(
        "plan_not_yet_valid",
        "plan_not_yet_valid",
        lambda world, _seat: world.propose(not_before=NOW + timedelta(hours=1)).request(),
    ),
    AtProposal(
        "more_attempts_than_agreed", "attempts", lambda world, _seat: world.propose(attempts=3).request(), "3 attempts"
    ),
]


def _claiming(world: World, **agreement: str) -> bytes:
    """The plan, saying that it is under another agreement, properly signed."""
    proposal = world.propose()
    claimed = json.loads(proposal.content)
    claimed["agreement"] |= agreement
    return world.signed(proposal.plan, canonical_json(claimed)).request()


# What this council decided for itself


def own_policy(question: Any = None, **changes: Any) -> Callable[[World, Seat], bytes]:
    def change(world: World, seat: Seat) -> bytes:
        seat.policy(**changes)
        request: bytes = (question or (lambda w, _s: w.propose().request()))(world, seat)
        return request

    return change


def extract_older(world: World, seat: Seat) -> bytes:
    seat.policy(max_extract_age_days=5)
    assert seat.propose(world.propose()).body["decision"] == "approved"  # it is five days old
    world.now += timedelta(days=1)
    return world.propose().request()


def extract_gone(world: World, seat: Seat) -> bytes:
    (seat.folder / "extract.csv").unlink()
    return world.propose().request()


def heading_gone(world: World, seat: Seat) -> bytes:
    path = seat.folder / "extract.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("assessment_outcome", "Outcome", 1), encoding="utf-8")
    return world.propose().request()


def ledger_exhausted(world: World, seat: Seat) -> bytes:
    seat.station.ledger.mark_exhausted("for the test", world.now)
    return world.propose().request()


OWN = [
    AtProposal("paused", "paused", own_policy(paused=True)),
    AtProposal("column_never_read_here", "council_policy", own_policy(refuse_columns=["assessment_outcome"])),
    AtProposal("statistic_never_answered_here", "council_policy", own_policy(refuse_statistics=["households"])),
    AtProposal("cohort_too_small_for_us", "council_policy", own_policy(min_cohort=6), "6 or more councils"),
    AtProposal("question_too_dear_for_us", "council_policy", own_policy(max_epsilon_per_query="0.5")),
    AtProposal(
        "over_our_own_cap", "council_policy", own_policy(cap={"epsilon": "0.75", "delta": "0.000001"}), "own cap"
    ),
    AtProposal("too_many_cells_for_us", "cells", own_policy(max_cells=3)),
    AtProposal("most_sensitive_kind", "class_2", own_policy(question_on("reason_loss_group"), class_2="refuse")),
    AtProposal("extract_too_old", "extract_age", extract_older, "6 days old"),
    AtProposal("extract_gone", "coverage", extract_gone),
    AtProposal("heading_gone", "coverage", heading_gone, "assessment_outcome"),
    AtProposal("ledger_exhausted", "ledger_exhausted", ledger_exhausted),
]

AT_PROPOSAL = [*ASKED, *BY_WHOM, *UNDER_WHAT, *OWN]


@pytest.mark.parametrize("case", AT_PROPOSAL, ids=ids(AT_PROPOSAL))
def test_a_proposal_is_refused_by_the_node(tmp_path, case):
    with world_of(tmp_path, **case.world) as world:
        seat = world.seat()
        said = seat.propose(world.propose())
        assert (said.kind, said.body["decision"], said.rule) == (Kind.DECISION, "approved", "")
        held = seat.station.ledger.open_reservations()

        said = seat.ask(case.change(world, seat))

        assert (said.kind, said.body["decision"], said.rule) == (Kind.DECISION, "refused", case.rule), said.words
        assert case.words in said.words
        assert said.body["council"] == ME
        if case.name != "over_budget":
            assert seat.station.ledger.open_reservations() == held == ()


def test_a_refused_proposal_cannot_be_invited_to(tmp_path):
    with world_of(tmp_path) as world:
        seat = world.seat()
        refused = world.propose(key=STRANGER)
        assert seat.propose(refused).rule == "signature"
        said = seat.invite(refused.plan)
        assert (said.kind, said.rule) == (Kind.REFUSAL, "not_approved")
        assert seat.station.store.latest(DocumentKind.PROPOSAL, refused.plan.digest.hex()) is None


# A plan whose figures are not those of its question


def _in(*path: str | int) -> Callable[[dict[str, Any], Any], None]:
    def put(document: dict[str, Any], value: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        assert document[path[-1]] != value
        document[path[-1]] = value

    return put


ALTERED = [
    ("noise_parameter", _in("tables", 0, "parameter"), "2", "tables"),
    ("l1_sensitivity", _in("tables", 0, "l1"), 0, "tables"),
    ("l2_sensitivity", _in("tables", 0, "l2_squared"), 0, "tables"),
    ("clamp", _in("tables", 0, "clamp"), 10**9, "tables"),
    ("cells_of_a_table", _in("tables", 0, "cells"), 1, "tables"),
    ("cells", _in("cells"), 7, "cells"),
    ("scale", _in("scale"), 4, "scale"),
    ("ring", _in("ring_bits"), 64, "ring_bits"),
    ("charge_epsilon", _in("charge", "epsilon"), "0.001", "charge"),
    ("charge_rho", _in("charge", "rho"), "0", "charge"),
    ("charge_draws", _in("charge", "draws"), 0, "charge"),
    ("delta", _in("delta"), "0.5", "delta"),
    ("rounds", _in("rounds"), 2, "rounds"),
    ("eligible", _in("eligible"), ["E06000001", "E06000002", "E06000003", "E06000004"], "eligible"),
    ("colluders", _in("cohort", "max_colluders"), 0, "cohort"),
    ("profile", _in("cohort", "profile"), "standard", "cohort"),
    ("min_cohort", _in("cohort", "min_cohort"), 1, "cohort"),
    ("min_honest", _in("cohort", "min_honest"), 1, "cohort"),
    ("group", _in("group"), "everyone", "group"),
    ("query_digest", _in("query_digest"), "00" * 32, "query_digest"),
    ("schema_digest", _in("schema_digest"), "00" * 32, "schema_digest"),
    ("agreement_digest", _in("agreement", "digest"), "00" * 32, "agreement"),
    ("roster_epoch", _in("roster", "epoch"), 2, "roster"),
    ("roster_digest", _in("roster", "digest"), "00" * 32, "roster"),
    ("mechanism", _in("mechanism"), "discrete_gaussian", "tables"),
    ("version", _in("version"), 2, "version"),
]


@pytest.mark.parametrize(("put", "value", "named"), [case[1:] for case in ALTERED], ids=[case[0] for case in ALTERED])
def test_a_plan_with_one_figure_altered_is_refused_although_the_analyst_signed_it(tmp_path, put, value, named):
    with world_of(tmp_path) as world:
        seat = world.seat()
        proposal = world.propose()
        assert seat.propose(proposal).body["decision"] == "approved"
        claimed = json.loads(proposal.content)
        put(claimed, value)
        altered = world.signed(proposal.plan, canonical_json(claimed))

        said = seat.propose(altered)

        assert (said.body["decision"], said.rule) == ("refused", "plan_mismatch")
        assert f"'{named}'" in said.words


def test_every_derived_figure_is_among_the_altered_ones(tmp_path):
    with world_of(tmp_path) as world:
        given = {"question", "terms"}
        derived = set(json.loads(world.propose().content)) - given
        assert derived == {_top_level(case[1], case[2], world) for case in ALTERED}


def _top_level(put: Any, value: Any, world: World) -> str:
    before = json.loads(world.propose().content)
    after = json.loads(canonical_json(before))
    put(after, value)
    (changed,) = [name for name in before if before[name] != after[name]]
    return changed


@pytest.mark.parametrize(
    ("content", "rule", "words"),
    [
        (lambda content: content[:-1] + b', "more": 1}', "plan_mismatch", "'encoding'"),
        (lambda content: json.dumps(json.loads(content), indent=1).encode(), "plan_mismatch", "'encoding'"),
        (lambda _content: b"{}", "signature", "which agreement"),
        (
            lambda content: content.replace(b'"by":["assessment_outcome"]', b'"by":["household_key"]'),
            "plan_mismatch",
            "",
        ),
        (lambda content: content.replace(b'"unit":"household"', b'"unit":"person"'), "plan_mismatch", "household"),
        (lambda content: content.replace(b'"attempts":2', b'"attempts":0'), "plan_mismatch", "attempt"),
    ],
    ids=["more_fields", "other_spelling", "no_plan", "identifying_column", "other_unit", "no_attempts"],
)
def test_a_plan_in_another_form_is_refused_although_the_analyst_signed_it(tmp_path, content, rule, words):
    with world_of(tmp_path) as world:
        seat = world.seat()
        proposal = world.propose()
        assert seat.propose(proposal).body["decision"] == "approved"
        changed = content(proposal.content)
        assert changed != proposal.content
        said = seat.propose(world.signed(proposal.plan, changed))
        assert (said.body["decision"], said.rule) == ("refused", rule)
        assert words in said.words


def test_the_same_plan_by_the_other_mechanism_is_approved(tmp_path):
    """So that what is refused above is the figure, and not the mechanism."""
    with world_of(tmp_path) as world:
        said = world.seat().propose(world.propose(mechanism=Mechanism.DISCRETE_GAUSSIAN))
        assert said.body["decision"] == "approved"


# The list of councils


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"epoch": 2}, "Refused (roster_older)"),
        ({"epoch": 3, "name": "Another hub"}, "roster_alarm"),
        ({"epoch": 4, "keys": (SIGNER_A,)}, "signature"),
        ({"epoch": 4, "keys": (SIGNER_A, SIGNER_A)}, "signature"),
        ({"epoch": 4, "keys": (SIGNER_A, STRANGER)}, "signature"),
        ({"epoch": 4, "keys": (SIGNER_A, HUB_KEY)}, "signature"),
        ({"epoch": 4, "not_after": date(2026, 3, 1)}, "Refused (roster_expired)"),
    ],
    ids=["older", "same_epoch_other_content", "one_signer", "one_signer_twice", "a_stranger", "the_hub", "expired"],
)
def test_a_roster_is_refused_by_the_node_and_the_old_one_stays(tmp_path, changes, rule):
    with world_of(tmp_path) as world:
        seat = world.seat()
        envelope, _ = world.make_roster(**changes)
        said = seat.ask(world.roster_message(envelope))
        assert said.kind is Kind.FAULT
        assert f"{said.body['code']}: {said.words}".startswith((f"{rule}: ", f"refused: {rule}"))
        assert seat.station.papers.roster(world.now).digest == world.roster.digest
        seat.restart()
        assert seat.station.papers.roster(world.now).digest == world.roster.digest
        newer, _ = world.make_roster(epoch=4, keys=(SIGNER_A, SIGNER_B))
        assert seat.ask(world.roster_message(newer)).kind is Kind.RECEIPT
        assert seat.station.papers.roster(world.now).epoch == 4


def test_a_roster_that_names_another_coordinator_is_refused(tmp_path):
    with world_of(tmp_path) as world:
        seat = world.seat()
        document = yaml.safe_load(unsafe_payload(world.roster_envelope, ROSTER_TYPE))
        document |= {"epoch": 4}
        document["coordinator"]["id"] = "elsewhere"
        envelope = sign_payload(yaml.safe_dump(document).encode(), ROSTER_TYPE, [SIGNER_A, SIGNER_B])
        said = seat.ask(world.roster_message(envelope))
        assert said.kind is Kind.FAULT
        assert "(roster)" in said.words


# Invitations


@dataclass(frozen=True)
class AtInvitation:
    """One change between a council's approval and its invitation, or in the invitation itself.

    Attributes:
        change: Given the world, the node and the approved proposal, gives the INVITE request.
    """

    name: str
    rule: str
    change: Callable[[World, Seat, Proposal], bytes]
    words: str = ""
    world: dict[str, Any] = field(default_factory=dict)


def inviting(**changes: Any) -> Callable[[World, Seat, Proposal], bytes]:
    """An invitation that says something else than the coordinator of this federation would."""
    return lambda world, _seat, proposal: invitation(world, proposal.plan, nonce=2, **changes)


def after(event: Callable[[World, Seat], object]) -> Callable[[World, Seat, Proposal], bytes]:
    """A proper invitation, after something has happened at the council."""

    def change(world: World, seat: Seat, proposal: Proposal) -> bytes:
        event(world, seat)
        return invitation(world, proposal.plan, nonce=2)

    return change


def budget_used_up(world: World, seat: Seat) -> None:
    rival = world.propose()
    assert seat.propose(rival).body["decision"] == "approved"
    assert seat.invite(rival.plan).kind is Kind.ADVERT


def clock(moment: datetime) -> Callable[[World, Seat], object]:
    return lambda world, _seat: setattr(world, "now", moment)


def roster_renewed(world: World, seat: Seat) -> None:
    envelope, _ = world.make_roster(epoch=4)
    assert seat.ask(world.roster_message(envelope)).kind is Kind.RECEIPT


def roster_renewed_and_said(world: World, seat: Seat, proposal: Proposal) -> bytes:
    roster_renewed(world, seat)
    return invitation(world, proposal.plan, nonce=2, roster_epoch=4)


def agreement_renewed(world: World, _seat: Seat) -> None:
    world.accept(ME, world.make_agreement(version=4)[0])


def analyst_dismissed(world: World, _seat: Seat) -> None:
    analyst = dict(world.agreement.analysts[0].model_dump(mode="json"), public_key=_line(STRANGER))
    world.accept(ME, world.make_agreement(version=4, analysts=[analyst])[0])


def forged_agreement(world: World, _seat: Seat) -> None:
    world.accept(ME, sign_payload(unsafe_payload(world.agreement_envelope, AGREEMENT_TYPE) + b"\n", "x", [STRANGER]))


def changed_by_one_of_two(world: World, _seat: Seat) -> None:
    world.accept(ME, world.make_agreement(keys=[PROGRAMME], version=4)[0])


def replayed(world: World, _seat: Seat, proposal: Proposal) -> bytes:
    return invitation(world, proposal.plan, nonce=1)  # the round of the control, which has ended


def replayed_after_a_restart(world: World, seat: Seat, proposal: Proposal) -> bytes:
    seat.restart()
    return invitation(world, proposal.plan, nonce=1)


def attempts_used_up(world: World, seat: Seat, proposal: Proposal) -> bytes:
    for nonce in (3, 4):
        assert seat.invite(proposal.plan, nonce=nonce).kind is Kind.ADVERT
        seat.station.ledger.spend(round_of(world, proposal.plan, nonce=nonce), world.now)
    return invitation(world, proposal.plan, nonce=2)


def attempts_under_way(world: World, seat: Seat, proposal: Proposal) -> bytes:
    for nonce in (3, 4):
        assert seat.invite(proposal.plan, nonce=nonce).kind is Kind.ADVERT
    return invitation(world, proposal.plan, nonce=2)


def never_proposed(world: World, _seat: Seat, _proposal: Proposal) -> bytes:
    return invitation(world, world.propose().plan)


def left_to_a_person(world: World, seat: Seat, _proposal: Proposal) -> bytes:
    seat.policy(automatic=False)
    proposal = world.propose()
    assert seat.propose(proposal).body["decision"] == "pending"
    return invitation(world, proposal.plan)


def withdrawn(world: World, seat: Seat, proposal: Proposal) -> bytes:
    people(seat).withdraw(
        Digest(proposal.plan.digest), by="A Person", role="data protection officer", reason="New advice", now=world.now
    )
    return invitation(world, proposal.plan, nonce=2)


def people(seat: Seat) -> Any:
    return Decisions(seat.station.store, seat.council, seat.key)


IN_TWO_DAYS = NOW + timedelta(days=2)
LONG = {"agreement": {"valid_to": date(2026, 12, 31)}}


def plan_expired(world: World, seat: Seat, _proposal: Proposal) -> bytes:
    proposal = world.propose(not_after=NOW + timedelta(days=4))
    assert seat.propose(proposal).body["decision"] == "approved"
    world.now = NOW + timedelta(days=5)
    return invitation(world, proposal.plan)


def sid_of_another_nonce(world: World, _seat: Seat, proposal: Proposal) -> bytes:
    return invitation(world, proposal.plan, nonce=2, sid=round_of(world, proposal.plan, nonce=3))


def attempt_written(number: str) -> Callable[[World, Seat, Proposal], bytes]:
    """What is no canonical JSON, as a coordinator may write it all the same."""

    def request(world: World, _seat: Seat, proposal: Proposal) -> bytes:
        message = LinkMessage.decode(invitation(world, proposal.plan))
        payload = message.payload.replace(b'"attempt":1,', f'"attempt":{number},'.encode())
        assert payload != message.payload
        return replace(message, payload=payload, reference=bytes(32)).encode()

    return request


AT_INVITATION = [
    AtInvitation("budget_used_up_between", "budget", after(budget_used_up), "leaves room for", {"epsilon": "1"}),
    AtInvitation("agreement_expired_between", "agreement_expired", after(clock(datetime(2026, 4, 1, tzinfo=UTC)))),
    AtInvitation("agreement_renewed_between", "plan_mismatch", after(agreement_renewed), "'agreement'"),
    AtInvitation("analyst_dismissed_between", "signature", after(analyst_dismissed)),
    AtInvitation("agreement_forged_between", "signature", after(forged_agreement)),
    AtInvitation(
        "agreement_changed_by_one_of_two_between", "signature", after(changed_by_one_of_two), "1 of the 2 trusted"
    ),
    AtInvitation("plan_expired_between", "plan_expired", plan_expired),
    AtInvitation(
        "roster_expired_between", "roster_expired", after(clock(datetime(2026, 5, 16, tzinfo=UTC))), world=LONG
    ),
    AtInvitation("roster_renewed_between", "invitation", after(roster_renewed), "roster_epoch"),
    AtInvitation("roster_renewed_and_said_so", "plan_mismatch", roster_renewed_and_said, "'roster'"),
    AtInvitation("paused_between", "paused", after(lambda _w, seat: seat.policy(paused=True))),
    AtInvitation(
        "column_refused_between",
        "council_policy",
        after(lambda _w, seat: seat.policy(refuse_columns=["assessment_outcome"])),
    ),
    AtInvitation("cohort_too_small_for_us", "council_policy", after(lambda _w, seat: seat.policy(min_cohort=6))),
    AtInvitation(
        "our_own_cap_lowered_between",
        "council_policy",
        after(lambda _w, seat: seat.policy(cap={"epsilon": "0.5", "delta": "0.000001"})),
        "own cap",
    ),
    AtInvitation(
        "extract_too_old_by_now",
        "extract_age",
        after(lambda world, seat: (seat.policy(max_extract_age_days=5), clock(IN_TWO_DAYS)(world, seat))),
    ),
    AtInvitation("extract_gone_by_now", "coverage", after(lambda _w, seat: (seat.folder / "extract.csv").unlink())),
    AtInvitation(
        "ledger_exhausted_between",
        "ledger_exhausted",
        after(lambda world, seat: seat.station.ledger.mark_exhausted("for the test", world.now)),
    ),
    AtInvitation("left_to_a_person", "not_approved", left_to_a_person),
    AtInvitation("withdrawn_between", "withdrawn", withdrawn, "New advice"),
    AtInvitation("never_proposed", "not_approved", never_proposed),
    AtInvitation("replayed", "replay", replayed),
    AtInvitation("replayed_after_a_restart", "replay", replayed_after_a_restart),
    AtInvitation("attempts_used_up", "attempts", attempts_used_up),
    AtInvitation("attempts_under_way", "attempts", attempts_under_way),
    AtInvitation("attempt_past_the_plan", "attempts", inviting(attempt=3)),
    AtInvitation("attempt_zero", "invitation", inviting(attempt=0, sid=bytes(32))),
    AtInvitation("attempt_without_end", "invitation", attempt_written("Infinity"), "cannot be read"),
    AtInvitation("attempt_larger_than_any_float", "invitation", attempt_written("1e999"), "cannot be read"),
    AtInvitation("attempt_no_id_has_room_for", "invitation", inviting(attempt=2**32, sid=bytes(32)), "attempt number"),
    AtInvitation("wrong_round_id", "invitation", inviting(sid=bytes(32)), "identifier"),
    AtInvitation("round_id_of_another_nonce", "invitation", sid_of_another_nonce, "identifier"),
    AtInvitation("another_coordinator", "invitation", inviting(coordinator_id="elsewhere"), "coordinator_id"),
    AtInvitation("another_roster_epoch", "invitation", inviting(roster_epoch=2), "roster_epoch"),
    AtInvitation("another_version", "invitation", inviting(version=2), "version"),
    AtInvitation("something_left_over", "invitation", inviting(more="x")),
]


@pytest.mark.parametrize("case", AT_INVITATION, ids=ids(AT_INVITATION))
def test_an_invitation_is_refused_by_the_node(tmp_path, case):
    with world_of(tmp_path, **case.world) as world:
        seat = world.seat()
        proposal = world.propose()
        assert seat.propose(proposal).body["decision"] == "approved"
        assert seat.invite(proposal.plan).kind is Kind.ADVERT
        control = round_of(world, proposal.plan)
        assert seat.ask(abort(control)).kind is Kind.RECEIPT
        assert seat.state(control) == "released"

        request = case.change(world, seat, proposal)
        rounds = len(seat.station.ledger.rounds())
        said = seat.ask(request)

        assert (said.kind, said.rule) == (Kind.REFUSAL, case.rule), said
        assert case.words in said.words
        assert len(seat.station.ledger.rounds()) == rounds


def test_an_invitation_repeated_while_the_round_goes_on_gets_the_very_same_advert(tmp_path):
    with world_of(tmp_path) as world:
        seat = world.seat()
        proposal = world.propose()
        seat.propose(proposal)
        request = invitation(world, proposal.plan)
        first = seat.send(request)
        assert seat.read(first).kind is Kind.ADVERT
        assert seat.send(request) == first
        assert len(seat.station.ledger.rounds()) == 1


def test_a_different_invitation_to_a_round_under_way_is_refused_and_changes_nothing(tmp_path):
    with world_of(tmp_path) as world:
        seat = world.seat()
        proposal = world.propose()
        seat.propose(proposal)
        request = invitation(world, proposal.plan)
        first = seat.send(request)
        sid = round_of(world, proposal.plan)
        said = seat.ask(invitation(world, proposal.plan, sid=sid, attempt=2))
        assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")
        assert seat.send(request) == first
        assert seat.state(sid) == "reserved"


def test_approval_by_the_analyst_of_an_agreement_with_both_signers_keys_is_what_makes_the_difference(tmp_path):
    """The control of `signature`: the same agreement, signed by the two pinned people, is believed."""
    with world_of(tmp_path) as world:
        seat = world.seat()
        envelope, agreement = world.make_agreement(version=4)
        world.accept(ME, envelope)
        assert seat.propose(world.propose(agreement=agreement)).body["decision"] == "approved"
