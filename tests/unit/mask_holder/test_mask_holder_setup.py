"""Setting a mask holder up, and what its commands say."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from typer.testing import CliRunner

from council_node.health import Heartbeat
from federated.agreement import AGREEMENT_TYPE
from federated.errors import FileProblem
from federated.keys import make_key, public_line, read_private_key
from federated.shell import now_utc
from federated.signing import sign_payload
from mask_holder.cli import app
from mask_holder.record import OpeningRecord
from mask_holder.settings import check_files, read_settings
from tests.integration.federation_world import ASSOCIATION, EXAMPLES, PROGRAMME, TRUST
from tests.unit.mask_holder.test_opening_record import entry


def typed(*arguments, status=0, answer=None):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], input=answer)
    if status == 0:
        assert done.exception is None, done.exception
    return done


@pytest.fixture
def home(tmp_path):
    (tmp_path / "trust.yaml").write_text(yaml.safe_dump(TRUST.model_dump(mode="json")), encoding="utf-8")
    folder = tmp_path / "holder"
    made = typed(*init(tmp_path, folder))
    assert "Fingerprint, to read out by telephone" in made.output
    return folder


def init(tmp_path, folder, **changes):
    options = {
        "id": "lga",
        "name": "Local Government Association: 'LGA'",
        "coordinator": "hub",
        "address": "coordinator.example:443",
        "trust": tmp_path / "trust.yaml",
    } | changes
    return ["init", folder, *(part for name, value in options.items() for part in (f"--{name}", value))]


def agreement(**changes):
    document = yaml.safe_load((EXAMPLES / "agreement.yaml").read_bytes())
    day = now_utc().date()
    dates = {"valid_from": day - timedelta(days=1), "review_on": day, "valid_to": day + timedelta(days=30)}
    payload = yaml.safe_dump(document | dates | changes, sort_keys=False, allow_unicode=True).encode()
    return sign_payload(payload, AGREEMENT_TYPE, (PROGRAMME, ASSOCIATION))


def test_what_init_writes_is_read_and_explains_itself(home):
    settings = read_settings(home / "mask-holder.yaml")
    check_files(settings)
    assert (settings.holder.id, settings.holder.name) == ("lga", "Local Government Association: 'LGA'")
    assert settings.trust == TRUST
    assert settings.state == home / "state"
    text = (home / "mask-holder.yaml").read_text(encoding="utf-8")
    assert text.count("\n# ") >= 6
    assert oct(settings.keys.identity.stat().st_mode)[-3:] == "600"
    assert oct(settings.state.stat().st_mode)[-3:] == "700"


def test_init_overwrites_nothing(home, tmp_path):
    key = (home / "identity.pem").read_bytes()
    done = typed(*init(tmp_path, home), status=1)
    assert isinstance(done.exception, FileProblem)
    assert (home / "identity.pem").read_bytes() == key


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"id": "LGA"}, "holder.id"), ({"id": "E06000001"}, "holder.id"), ({"address": "nowhere"}, "coordinator.address")],
)
def test_what_was_typed_wrong_is_named_and_can_be_typed_again(tmp_path, changes, words):
    (tmp_path / "trust.yaml").write_text(yaml.safe_dump(TRUST.model_dump(mode="json")), encoding="utf-8")
    done = typed(*init(tmp_path, tmp_path / "holder", **changes), status=1)
    assert isinstance(done.exception, FileProblem)
    assert words in str(done.exception)
    typed(*init(tmp_path, tmp_path / "holder"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"anything": 1}, "anything"),
        ({"threads": 0}, "threads"),
        ({"agreements": "state"}, "two folders"),
        ({"settings": 2}, "settings"),
    ],
)
def test_settings_are_read_strictly(home, change, words):
    path = home / "mask-holder.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(FileProblem, match=words) as caught:
        read_settings(path)
    assert "mask-holder-settings.md" in str(caught.value.remedy)


def test_missing_files_are_named_by_their_setting(home):
    settings = read_settings(home / "mask-holder.yaml")
    settings.keys.identity.unlink()
    with pytest.raises(FileProblem, match=r"The setting keys\.identity names the file"):
        check_files(settings)


def test_an_agreement_is_shown_and_pinned_and_whom_it_names_is_said(home, tmp_path):
    key = read_private_key(home / "identity.pem").public
    named = {"id": "lga", "name": "Local Government Association", "key": public_line(key)}
    cases = {
        "one": (agreement(mask_holder=named), ""),
        "other": (
            agreement(id="other", mask_holder=named | {"id": "lgb"}),
            "It names no mask holder with this one's id",
        ),
        "none": (agreement(id="none"), "It names no mask holder with this one's id"),
        "stale": (
            agreement(id="stale", mask_holder=named | {"key": public_line(make_key(b"k".__mul__).public)}),
            "with another key than it has",
        ),
    }
    for name, (envelope, said) in cases.items():
        (tmp_path / f"{name}.dsse").write_bytes(envelope)
        done = typed("accept", tmp_path / f"{name}.dsse", "--settings", home / "mask-holder.yaml", "--yes")
        assert "Accepted: " in done.output
        assert said in " ".join(done.output.split())
    assert (
        "Local Government Association"
        in typed("accept", tmp_path / "one.dsse", "--settings", home / "mask-holder.yaml", "--yes").output
    )
    assert len(list((home / "agreements").glob("*.dsse"))) == 4


def test_an_agreement_that_nobody_says_yes_to_is_not_pinned(home, tmp_path):
    (tmp_path / "one.dsse").write_bytes(agreement())
    done = typed("accept", tmp_path / "one.dsse", "--settings", home / "mask-holder.yaml", answer="n\n")
    assert "Does this mask holder accept it?" in done.output
    assert "Nothing was accepted." in done.output
    assert not list((home / "agreements").iterdir())


def test_what_was_opened_is_listed_in_words_and_for_programs(home):
    settings = ["--settings", home / "mask-holder.yaml"]
    with OpeningRecord.open(home / "state" / "opened.db") as record:
        assert "Nothing was opened yet." in typed("opened", *settings).output
        record.add(entry())
        record.add(entry(part=2, sid=b"next"))
        said = typed("opened", *settings).output
        found = json.loads(typed("opened", "--json", *settings).output)
    assert "2026-03-02T10:00:00Z  Households by outcome" in said
    assert "round 2 of its rounds" in said
    assert "2 councils: Hartlepool, Middlesbrough" in said
    assert [(item["part"], item["question"]) for item in found["opened"]] == [
        (1, "Households by outcome"),
        (2, "Households by outcome"),
    ]
    assert set(found["opened"][0]) >= {"plan_digest", "sid", "h3", "councils", "opened_at", "agreement"}


def test_health_is_that_of_the_mask_holder(home):
    settings = ["--settings", home / "mask-holder.yaml"]
    never = typed("health", *settings, status=1)
    assert str(never.exception) == "The mask holder has not run with these settings."
    assert never.exception.remedy == "Start `mask-holder run`."
    Heartbeat(home / "state" / "contact.json").heard("link_up", datetime.now(UTC))
    assert "Well: connected." in typed("health", *settings).output
