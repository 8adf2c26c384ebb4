"""Signed papers: who must have signed each, what a text may hold, and that nothing signed for one use serves another."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from federated.agreement import parse_agreement
from federated.errors import QueryError, SignatureProblem
from federated.keys import make_key, public_line
from federated.papers import (
    Comment,
    Minutes,
    OutcomeNote,
    PaperKind,
    Ruling,
    open_comment,
    open_minutes,
    open_outcome,
    paper_digest,
    quorum,
    sign_comment,
    sign_minutes,
    sign_outcome,
    unsafe_minutes,
)
from federated.signing import add_signature, open_statement, sign_statement
from protocols.encoding import sha256
from protocols.identifiers import CouncilId

ANN, BOB, CEM, DEE, NODE = (make_key(random.Random(number).randbytes) for number in range(1, 6))
COUNCIL = CouncilId("E06000001")
AT = datetime(2026, 2, 1, 9, tzinfo=UTC)


def agreement():
    document = yaml.safe_load((Path(__file__).parent / "examples" / "agreement.yaml").read_bytes())
    document["analysts"][0]["public_key"] = public_line(ANN.public)
    reviewer = document["reviewers"][0]
    document["reviewers"] = [reviewer | {"public_key": public_line(key.public)} for key in (BOB, CEM, DEE)]
    return parse_agreement(yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode())


AGREEMENT = agreement()


def comment(**changes):
    made = Comment(
        council=COUNCIL,
        release=sha256(b"r"),
        text="We saw this too.\n\nBut later.",
        publish=True,
        staff_minutes=25,
        at=AT,
    )
    return replace(made, **changes)


def note(text="Two desks moved to the towns where notices rise."):
    return OutcomeNote(agreement=AGREEMENT.id, release=sha256(b"r"), text=text, at=AT)


def minutes(**changes):
    ruling = Ruling(plan=sha256(b"p"), about="Lost tenancies", decision="May be put.", reason="The benefit is clear.")
    made = Minutes(agreement=AGREEMENT.id, held_on=date(2026, 2, 1), present=("Ann", "Bob"), rulings=(ruling,))
    return replace(made, **changes)


def opened_comment(envelope, council=COUNCIL, key=NODE):
    return open_comment(envelope, council=council, public_key=key.public)


def test_each_paper_opens_as_it_was_signed():
    assert opened_comment(sign_comment(comment(), NODE)) == comment()
    assert opened_comment(sign_comment(comment(staff_minutes=None, publish=False), NODE)).staff_minutes is None
    assert open_outcome(sign_outcome(note(), ANN), AGREEMENT) == note()
    signed = add_signature(sign_minutes(minutes(), BOB), CEM)
    assert open_minutes(signed, AGREEMENT) == minutes(signers=tuple(sorted((BOB.keyid, CEM.keyid))))
    assert unsafe_minutes(sign_minutes(minutes(), ANN)) == minutes()


def test_a_comment_is_by_the_council_it_names():
    with pytest.raises(SignatureProblem):
        opened_comment(sign_comment(comment(), ANN))
    with pytest.raises(SignatureProblem):
        opened_comment(sign_comment(comment(), NODE), council=CouncilId("E06000002"))


def test_a_note_is_by_an_analyst_and_not_by_a_reviewer():
    with pytest.raises(SignatureProblem):
        open_outcome(sign_outcome(note(), BOB), AGREEMENT)
    with pytest.raises(SignatureProblem):
        open_outcome(sign_outcome(replace(note(), agreement="another"), ANN), AGREEMENT)


@pytest.mark.parametrize("keys", [[BOB], [BOB, BOB], [BOB, ANN], [ANN, NODE]])
def test_minutes_need_a_quorum_of_different_reviewers(keys):
    assert quorum(AGREEMENT) == 2
    signed = sign_minutes(minutes(), keys[0])
    for key in keys[1:]:
        signed = add_signature(signed, key)
    with pytest.raises(SignatureProblem):
        open_minutes(signed, AGREEMENT)


def test_one_more_signature_is_the_same_paper():
    signed = sign_minutes(minutes(), BOB)
    assert paper_digest(add_signature(signed, CEM), PaperKind.MINUTES) == paper_digest(signed, PaperKind.MINUTES)


def test_a_paper_of_one_kind_is_none_of_another():
    body = open_statement("outcome", sign_outcome(note(), ANN), AGREEMENT.analyst_keys)
    with pytest.raises(SignatureProblem):
        open_outcome(sign_statement("comment", body, ANN), AGREEMENT)


@pytest.mark.parametrize(
    "text", ["", " \n ", "x" * 4001, "a\x1b[31mred", "a\u202eb", "a\u2066b", "tab\there", "nul\x00", "\ud800"]
)
def test_a_text_that_is_too_long_or_steers_a_reader_is_not_signed(text):
    with pytest.raises(QueryError):
        sign_outcome(note(text), ANN)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "a\u202eb"),
        ("text", "x" * 4001),
        ("text", " padded "),
        ("text", 7),
        ("release", "00"),
        ("release", "A" * 64),
        ("publish", "yes"),
        ("staff_minutes", -1),
        ("staff_minutes", True),
        ("staff_minutes", 10**9),
        ("at", "yesterday"),
        ("more", 1),
    ],
)
def test_a_signed_body_of_another_form_is_refused_in_one_sentence(field, value):
    body = open_statement("comment", sign_comment(comment(), NODE), {NODE.keyid: NODE.public}) | {field: value}
    with pytest.raises(SignatureProblem, match="not written as"):
        opened_comment(sign_statement("comment", body, NODE))


@pytest.mark.parametrize(
    "changes",
    [
        {"present": ()},
        {"present": ("Ann",) * 51},
        {"rulings": ()},
        {"present": ("Ann\nBob",)},
    ],
)
def test_minutes_are_bounded(changes):
    with pytest.raises(QueryError):
        sign_minutes(minutes(**changes), BOB)
