"""Taking in signed papers on each database: signatures that come later are added, and nobody fills the disk."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from coordinator.console.board import meeting_of
from coordinator.console.visitor import Role, Visitor
from coordinator.paper_intake import MOST_OF_ONE, Ground, bring_paper
from coordinator.roster import Membership, SignedAgreement
from coordinator.store import PaperRow
from federated.errors import PolicyRefusal, SignatureProblem
from federated.keys import public_line
from federated.papers import PaperKind, sign_minutes
from federated.schema import load_schema
from federated.series import sign_series
from federated.signing import add_signature
from tests.unit.federated.test_papers import AGREEMENT, ANN, BOB, CEM, DEE, NODE, minutes
from tests.unit.federated.test_series import manifest, series

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
NAMES = {key.keyid: f"Reviewer {number}" for number, key in enumerate((BOB, CEM, DEE, NODE))}


def visitor(agreement=AGREEMENT, name="ann"):
    return Visitor(name=name, roles=frozenset({Role.ANALYST}), agreements=frozenset({agreement.id}), form_token="")


def board(*keys, agreement=AGREEMENT):
    """The agreement with these reviewers, in force."""
    first = agreement.reviewers[0]
    people = tuple(
        first.model_copy(update={"name": NAMES[key.keyid], "public_key": public_line(key.public)}) for key in keys
    )
    changed = agreement.model_copy(update={"reviewers": people})
    return Membership(agreements={changed.digest: SignedAgreement(agreement=changed, envelope=b"")})


def bring(store, kind, envelope, *, membership=None, now=NOW, **changes):
    ground = Ground(store=store, membership=membership or board(BOB, CEM, DEE), schema=load_schema(), now=now)
    agreement = next(iter(ground.membership.agreements.values())).agreement
    return bring_paper(ground, visitor(agreement, **changes), kind, envelope)[0]


def signed_by(store, digest, membership):
    return set(meeting_of(store.papers.get(digest), membership).signers)


def signed(*keys, paper=None):
    first, *others = keys
    envelope = sign_minutes(paper or minutes(), first)
    for key in others:
        envelope = add_signature(envelope, key)
    return envelope


def names(*keys):
    return {NAMES[key.keyid] for key in keys}


# Signatures that come later


def test_signatures_that_come_later_are_added_and_none_is_lost(empty_store):
    of_three = board(BOB, CEM, DEE)
    digest = bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM))
    first = empty_store.papers.get(digest)
    assert signed_by(empty_store, digest, of_three) == names(BOB, CEM)
    later = NOW + timedelta(days=1)
    assert bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM, DEE), now=later, name="bea") == digest
    assert signed_by(empty_store, digest, of_three) == names(BOB, CEM, DEE)
    grown = empty_store.papers.get(digest)
    assert replace(grown, envelope=b"") == replace(first, envelope=b"")
    assert grown.envelope == signed(BOB, CEM, DEE)
    for fewer in (signed(BOB, CEM), signed(CEM, DEE), signed(DEE, BOB, CEM)):
        assert bring(empty_store, PaperKind.MINUTES, fewer, now=later) == digest
        assert empty_store.papers.get(digest) == grown
    told = [(line.who, line.object) for _, line in empty_store.audit.latest(size=9)]
    assert told == [("bea", digest.hex()), ("ann", digest.hex())]  # who brought what was new


def test_signatures_are_added_also_where_each_file_has_one_that_the_other_lacks(empty_store):
    digest = bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM))
    bring(empty_store, PaperKind.MINUTES, signed(CEM, DEE))
    assert signed_by(empty_store, digest, board(BOB, CEM, DEE)) == names(BOB, CEM, DEE)


def test_after_a_change_of_the_board_signatures_are_added_and_those_of_before_stay(empty_store):
    before, after = board(BOB, CEM, DEE), board(CEM, DEE, NODE)
    digest = bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM), membership=before)
    assert signed_by(empty_store, digest, after) == set()  # one of them is no quorum of the new board
    bring(empty_store, PaperKind.MINUTES, signed(CEM, NODE), membership=after)
    assert signed_by(empty_store, digest, after) == names(CEM, NODE)
    assert signed_by(empty_store, digest, before) == names(BOB, CEM)


def test_a_signature_that_nobody_checked_is_not_added(empty_store):
    digest = bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM))
    bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM, DEE, NODE))
    assert empty_store.papers.get(digest).envelope == signed(BOB, CEM, DEE)


def test_nothing_is_added_to_what_is_hidden_or_not_signed_by_enough(empty_store):
    digest = bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM))
    kept = empty_store.papers.get(digest)
    with pytest.raises(SignatureProblem):
        bring(empty_store, PaperKind.MINUTES, signed(DEE))
    assert empty_store.papers.get(digest) == kept
    assert empty_store.papers.hide(digest, reason="It names somebody.", now=NOW, by="olu")
    bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM, DEE))
    assert empty_store.papers.get(digest).envelope == kept.envelope


# How many, and of which days


def numbered_series(number):
    return sign_series(series(id=f"series-{number}", manifest=manifest(id=f"series-{number}")), ANN)


def numbered_minutes(number):
    return signed(BOB, CEM, paper=minutes(held_on=date(2026, 1, 1) - timedelta(days=number)))


OF_A_YEAR = pytest.mark.parametrize(
    ("kind", "made"), [(PaperKind.SERIES, numbered_series), (PaperKind.MINUTES, numbered_minutes)]
)


@OF_A_YEAR
def test_an_author_brings_so_many_a_year_under_whatever_name_or_day(empty_store, kind, made):
    for number in range(MOST_OF_ONE):
        bring(empty_store, kind, made(number))
    with pytest.raises(PolicyRefusal) as refused:
        bring(empty_store, kind, made(MOST_OF_ONE))
    assert refused.value.rule == "paper_limit"
    assert "this year" in str(refused.value)
    assert len(empty_store.papers.page(kind.value, size=99)) == MOST_OF_ONE
    bring(empty_store, kind, made(3))  # it is here
    # Of other agreements, and of other years, there are as many again.
    row = empty_store.papers.page(kind.value, size=1)[0]
    other = replace(row, digest=bytes(32), agreement_id="another")
    assert empty_store.papers.add(other, limit=MOST_OF_ONE, since=datetime(2026, 1, 1, tzinfo=UTC)) is True
    bring(empty_store, kind, made(MOST_OF_ONE), now=datetime(2027, 1, 1, tzinfo=UTC))


def test_minutes_of_a_meeting_that_was_not_held_yet_are_refused(empty_store):
    for day in (NOW.date() + timedelta(days=1), date.max):
        with pytest.raises(PolicyRefusal) as refused:
            bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM, paper=minutes(held_on=day)))
        assert refused.value.rule == "minutes_date"
    assert bring(empty_store, PaperKind.MINUTES, signed(BOB, CEM, paper=minutes(held_on=NOW.date())))


def test_papers_that_come_at_one_moment_are_counted_one_after_the_other(empty_store):
    row = PaperRow(
        digest=bytes(32),
        kind="series",
        agreement_id="north-east",
        subject="one",
        author="a" * 64,
        envelope=b"signed",
        received_at=NOW,
    )
    since = datetime(2026, 1, 1, tzinfo=UTC)

    def add(number):
        return empty_store.papers.add(replace(row, digest=bytes([number]) * 32), limit=3, since=since)

    with ThreadPoolExecutor(max_workers=8) as pool:
        taken = list(pool.map(add, range(24)))
    assert (taken.count(True), taken.count(None)) == (3, 21)
    assert len(empty_store.papers.page("series", size=99)) == 3
