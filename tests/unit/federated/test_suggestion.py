"""Questions that councils suggest: who signed, what a text may hold, and that nothing but the written form opens."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from federated.errors import QueryError, SignatureProblem
from federated.papers import PaperKind
from federated.query import parse_query
from federated.signing import open_statement, sign_statement
from federated.suggestion import QUESTION_LIMIT, Suggestion, open_suggestion, sign_suggestion
from protocols.identifiers import CouncilId
from tests.integration.coordinator_federation import ANALYST, QUESTION, council_key

COUNCIL = CouncilId("E06000001")
NODE = council_key(COUNCIL)


def suggestion(**changes):
    made = Suggestion(
        council=COUNCIL,
        agreement="north-east-2026",
        question=parse_query(QUESTION.encode()),
        reason="Rents rose here.\n\nWhere else?",
        publish=True,
        at=datetime(2026, 2, 1, 9, tzinfo=UTC),
    )
    return replace(made, **changes)


def opened(envelope, council=COUNCIL, key=NODE):
    return open_suggestion(envelope, council=council, public_key=key.public)


def altered(**changes):
    body = open_statement("suggestion", sign_suggestion(suggestion(), NODE), {NODE.keyid: NODE.public})
    return sign_statement("suggestion", body | changes, NODE)


def test_a_suggestion_opens_as_it_was_signed():
    for made in (suggestion(), suggestion(publish=False)):
        read = opened(sign_suggestion(made, NODE))
        assert (read, read.question.title) == (made, "Families by age")


def test_a_suggestion_is_by_the_council_it_names():
    with pytest.raises(SignatureProblem):
        opened(sign_suggestion(suggestion(), ANALYST))
    with pytest.raises(SignatureProblem, match="another council"):
        opened(sign_suggestion(suggestion(), NODE), council=CouncilId("E06000002"))


def test_a_paper_of_another_kind_is_no_suggestion():
    body = open_statement("suggestion", sign_suggestion(suggestion(), NODE), {NODE.keyid: NODE.public})
    with pytest.raises(SignatureProblem):
        opened(sign_statement(PaperKind.COMMENT, body, NODE))


@pytest.mark.parametrize("text", ["", "x" * 4001, "a\x1b[31mred", "a\u202eb", "\ud800"])
def test_a_reason_or_title_that_is_too_long_or_steers_a_reader_is_not_signed(text):
    with pytest.raises(QueryError):
        sign_suggestion(suggestion(reason=text), NODE)
    with pytest.raises(QueryError):
        sign_suggestion(suggestion(question=replace(suggestion().question, title=text)), NODE)


@pytest.mark.parametrize(
    "changes",
    [
        {"question": "query: 1\n"},
        {"question": QUESTION},  # means the same, and is not as this software writes it
        {"question": "x" * (QUESTION_LIMIT + 1)},
        {"question": QUESTION.replace("Families by age", '"a\\u202eb"')},
        {"question": QUESTION.replace("Families by age", '"a\\nb"')},
        {"question": 7},
        {"reason": " padded "},
        {"reason": "a\u202eb"},
        {"publish": "yes"},
        {"publish": 1},
        {"at": "yesterday"},
        {"version": 2},
        {"more": 1},
    ],
)
def test_a_signed_body_of_another_form_is_refused(changes):
    assert opened(altered()) == suggestion()
    with pytest.raises(SignatureProblem):
        opened(altered(**changes))
