"""Drafts in the store, on both databases: each is its account's alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from coordinator.store import AccountRow, DraftRow

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(empty_store):
    for name in ("ann", "bob"):
        row = AccountRow(name=name, kind="local", roles="analyst", created_at=NOW, changed_at=NOW)
        empty_store.accounts.add(row, by="tests")
    return empty_store


def draft(number, account="ann"):
    return DraftRow(
        draft=f"{number:032x}",
        account=account,
        agreement_id="pilot",
        question="query: 1",
        manifest="",
        created_at=NOW,
        changed_at=NOW,
    )


def test_a_draft_is_kept_changed_and_deleted_by_its_owner_alone(store):
    row = draft(1)
    assert store.drafts.begin(row, most=5)
    assert not store.drafts.begin(row, most=5)
    assert store.drafts.get(row.draft, account="ann") == row
    assert store.drafts.get(row.draft, account="bob") is None
    later = NOW + timedelta(minutes=1)
    changed = replace(row, question="query: 2", manifest="manifest: 1")
    assert not store.drafts.keep(replace(changed, account="bob"), changed_at=later)
    assert store.drafts.keep(changed, changed_at=later)
    assert store.drafts.get(row.draft, account="ann") == replace(changed, changed_at=later)
    store.drafts.delete(row.draft, account="bob")
    assert store.drafts.of("ann") == (replace(changed, changed_at=later),)
    store.drafts.delete(row.draft, account="ann")
    assert store.drafts.of("ann") == ()
    assert not store.drafts.keep(changed, changed_at=later)


def test_an_account_has_so_many_drafts_at_most(store):
    assert [store.drafts.begin(draft(number), most=2) for number in range(3)] == [True, True, False]
    assert len(store.drafts.of("ann")) == 2
    assert store.drafts.begin(draft(9, "bob"), most=2)


def test_the_one_changed_last_comes_first(store):
    for number in range(3):
        store.drafts.begin(draft(number), most=5)
    store.drafts.keep(draft(1), changed_at=NOW + timedelta(minutes=1))
    assert [row.draft for row in store.drafts.of("ann")] == [draft(n).draft for n in (1, 0, 2)]


def test_drafts_go_with_their_account_and_stay_when_it_is_locked(store):
    store.drafts.begin(draft(1), most=5)
    store.drafts.begin(draft(2, "bob"), most=5)
    store.accounts.set_state("ann", "locked", by="tests", now=NOW)
    assert len(store.drafts.of("ann")) == 1
    store.accounts.set_state("ann", "removed", by="tests", now=NOW)
    assert store.drafts.of("ann") == ()
    assert len(store.drafts.of("bob")) == 1
