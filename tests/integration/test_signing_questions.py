"""`federated sign`: what a page gave is planned anew, shown, and signed only after a yes."""

import json
from dataclasses import replace

import pytest
import yaml
from typer.testing import CliRunner

from coordinator.plan_intake import open_submission
from coordinator.roster import load_membership
from federated.cli import app
from federated.commands import signing
from federated.errors import FederatedError
from federated.keys import write_private_key
from federated.planner import Planner, terms_for
from federated.privacy import Totals
from federated.query import parse_query
from federated.question_file import QuestionToSign, SignedQuestion
from federated.schema import load_schema
from protocols.encoding import sha256
from tests.integration.coordinator_federation import ANALYST, QUESTION, TRUST, Federation


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    made = Federation(tmp_path_factory.mktemp("signing"))
    yield made
    made.store.close()


@pytest.fixture
def home(federation, tmp_path, monkeypatch):
    """An analyst's folder; the connection is replaced by what would come over it."""
    write_private_key(tmp_path / "analyst.key", ANALYST)
    document = {
        "workspace": 1,
        "key": "analyst.key",
        "coordinator": {"id": "hub", "address": "127.0.0.1:1", "ca_file": "authority.pem"},
        "trust": TRUST.model_dump(mode="json"),
    }
    (tmp_path / "federated.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signing, "Client", Connected(federation))
    return tmp_path


class Connected:
    def __init__(self, federation, spent=None):
        self.federation = federation
        self.spent = spent or Totals()

    def __call__(self, _workspace, **_shell):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def planner(self, *, agreement, manifest):
        made = self.federation
        assert agreement == made.agreement.id
        return Planner(
            agreement=made.agreement,
            roster=made.roster,
            schema=load_schema(),
            terms=terms_for(made.agreement, sha256(manifest), now=made.now(), nonce=bytes(31) + b"\x01"),
            committed=dict.fromkeys(made.councils, self.spent),
        )


def taken(federation, **changes):
    digest = parse_query(QUESTION.encode()).digest(load_schema().digest)
    file = QuestionToSign(
        question=QUESTION,
        manifest=federation.manifest.decode(),
        agreement=federation.agreement.id,
        query_digest=digest.hex(),
    )
    return file.model_copy(update=changes).encode()


def sign(home, content, *options, typed=None):
    (home / "question-to-sign.json").write_bytes(content)
    return CliRunner().invoke(app, ["sign", "question-to-sign.json", *options], input=typed)


def test_what_is_signed_is_what_the_coordinator_takes(federation, home):
    done = sign(home, taken(federation), "--yes", "--refresh")
    assert done.exit_code == 0, done.output
    for words in ("Fields that are read", "Seven red lines", "Margin of a total", "Until then nobody is asked"):
        assert words in done.output
    signed = SignedQuestion.decode((home / "signed-question.json").read_bytes())
    assert signed.refresh
    submission = open_submission(
        *signed.envelopes, membership=membership(federation), schema=load_schema(), now=federation.now()
    )
    assert submission.plan.question == parse_query(QUESTION.encode())
    assert submission.plan.digest.hex() in done.output


def membership(federation):
    return load_membership(federation.settings, federation.store, federation.now())


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_nothing_is_signed_without_a_yes(federation, home, typed):
    done = sign(home, taken(federation), typed=typed)
    assert done.exit_code == 1
    assert "Seven red lines" in done.output
    assert not (home / "signed-question.json").exists()
    assert sign(home, taken(federation), typed="y\n").exit_code == 0
    assert (home / "signed-question.json").exists()


def refusal(home, content):
    done = sign(home, content, "--yes")
    assert isinstance(done.exception, FederatedError), done.output
    assert not (home / "signed-question.json").exists()
    return str(done.exception)


def test_a_question_that_means_something_else_here_is_not_signed(federation, home):
    assert "another than on the page" in refusal(home, taken(federation, query_digest="0" * 64))
    other = QUESTION.replace("main_age_band", "household_type")
    assert "another than on the page" in refusal(home, taken(federation, question=other))


def test_what_councils_would_refuse_is_refused_before_it_is_signed(federation, home, monkeypatch):
    text = federation.manifest.decode()
    document = yaml.safe_load(text)
    vague = yaml.safe_dump(document | {"decision": "To improve services."})
    assert "decision" in refusal(home, taken(federation, manifest=vague))
    unexplained = yaml.safe_dump(document | {"fields_read": document["fields_read"][:1]})
    assert "does not explain" in refusal(home, taken(federation, manifest=unexplained))
    spent = replace(Totals(), epsilon=federation.agreement.budget_epsilon, rho=federation.agreement.budget_epsilon**2)
    monkeypatch.setattr(signing, "Client", Connected(federation, spent))
    assert "leaves room for epsilon 0" in refusal(home, taken(federation))


@pytest.mark.parametrize("content", [b"", b"{}", b"query: 1", b'{"question_to_sign": 2}'])
def test_another_file_is_told_apart(federation, home, content):
    assert "not a question taken from the pages" in refusal(home, content)


def test_a_file_holds_nothing_more(federation):
    more = json.loads(taken(federation)) | {"key": "x"}
    with pytest.raises(FederatedError, match="not a question"):
        QuestionToSign.decode(json.dumps(more).encode(), source="it")
