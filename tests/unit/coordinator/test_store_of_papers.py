"""Signed papers in the store, on each database: kept once, listed by agreement, and one for each request."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from coordinator.store import DatabaseProblem, PaperRow

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
REQUEST = "a" * 64


def paper(number, **changes):
    row = PaperRow(
        digest=bytes([number]) * 32,
        kind="comment",
        agreement_id="north-east",
        subject="b" * 64,
        author="E06000001",
        envelope=b"signed",
        received_at=NOW,
    )
    return replace(row, **changes)


def written(store):
    return [(line.who, line.operation, line.object) for _, line in store.audit.latest(size=9)]


def test_a_paper_is_kept_once_with_the_request_that_brought_it_first(empty_store):
    papers, first = empty_store.papers, paper(1, request=REQUEST)
    assert papers.of_request(REQUEST) is None
    assert papers.add(first, limit=2, by="ann") is True
    assert papers.add(replace(first, request="c" * 64), limit=2, by="bob") is False
    assert papers.add(replace(first, request=None), limit=2) is False
    assert (papers.of_request(REQUEST), papers.of_request("c" * 64)) == (first.digest, None)
    assert papers.get(first.digest) == first
    assert written(empty_store) == [("ann", "hand in paper", first.digest.hex())]
    assert papers.add(paper(2), limit=2) is True  # any number come by no request
    assert papers.add(paper(3), limit=3) is True
    assert papers.add(paper(4), limit=3, by="ann") is None
    assert len(written(empty_store)) == 1


def test_the_database_itself_keeps_no_second_paper_of_one_request(empty_store):
    """Where two come at the same moment, so that neither was there when the other was looked for."""
    assert empty_store.papers.add(paper(1, request=REQUEST), limit=9, by="ann")
    with pytest.raises(DatabaseProblem):
        empty_store.papers.add(paper(2, request=REQUEST), limit=9, by="ann")
    assert empty_store.papers.get(paper(2).digest) is None
    assert len(written(empty_store)) == 1


def test_papers_are_listed_under_the_agreements_that_are_asked_for(empty_store):
    for number, agreement in enumerate(("north", "south", "north"), start=1):
        assert empty_store.papers.add(paper(number, agreement_id=agreement), limit=9)

    def found(**asked):
        return [row.digest[0] for row in empty_store.papers.page("comment", size=9, **asked)]

    assert found() == [3, 2, 1]
    assert found(agreements={"north"}) == [3, 1]
    assert found(agreements={"north", "south"}, start=(NOW, bytes([3]) * 32)) == [2, 1]
    assert found(agreements=()) == []
    assert [row.digest[0] for row in empty_store.papers.page("comment", size=1, agreements={"south"})] == [2]


def test_no_agreement_takes_the_place_of_another_among_the_newest(empty_store):
    for number in range(1, 6):
        received_at = NOW + timedelta(hours=number)
        assert empty_store.papers.add(paper(number, agreement_id="north", received_at=received_at), limit=9)
    assert empty_store.papers.add(paper(9, agreement_id="south"), limit=9)
    assert empty_store.papers.add(paper(8, agreement_id="south", kind="outcome"), limit=9)
    assert [row.digest[0] for row in empty_store.papers.newest_of_each("comment", size=2)] == [5, 4, 9]
    assert [row.digest[0] for row in empty_store.papers.newest_of_each("comment", size=9)] == [5, 4, 3, 2, 1, 9]
    assert empty_store.papers.newest_of_each("comment", size=1)[1] == paper(9, agreement_id="south")
