"""The roster: who is a council. Each rule of `protocol.md` 1.2 with a roster that breaks it alone."""

import json
import random
from datetime import UTC, date, datetime, timedelta

import pytest
import yaml
from pydantic import ValidationError

from federated.errors import FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import fingerprint, make_key, public_line
from federated.roster import (
    ROSTER_TYPE,
    Coordinator,
    RosterAlarm,
    RosterEntry,
    describe_changes,
    open_roster,
    parse_roster,
    roster_payload,
)
from federated.signing import sign_payload
from federated.trust import TrustSettings
from protocols.encoding import sha256


def key(number):
    return make_key(random.Random(number).randbytes)


ANN, BOB, COORDINATOR = key(1), key(2), key(3)
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
TRUST = TrustSettings(
    roster_keys=tuple(public_line(k.public) for k in (ANN, BOB)),
    agreement_keys=tuple(public_line(k.public) for k in (ANN, BOB)),
)


def document(**changes):
    return {
        "roster": 1,
        "epoch": 4,
        "not_before": "2026-01-01",
        "not_after": "2026-03-31",
        "coordinator": {"id": "north-hub", "name": "Northern hub", "public_key": public_line(COORDINATOR.public)},
        "councils": [
            {
                "id": f"E0600000{number}",
                "name": f"Council {number}",
                "region": "E12000001",
                "public_key": public_line(key(10 + number).public),
                "valid_from": "2026-01-01",
                "valid_to": "2026-12-31",
            }
            for number in (3, 1, 2)
        ],
    } | changes


def signed(content, keys=(ANN, BOB)):
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return sign_payload(payload, ROSTER_TYPE, list(keys))


def opened(content, keys=(ANN, BOB), *, now=NOW, known=None, trust=TRUST):
    return open_roster(signed(content, keys), trust, now, known)


def changed_entry(number, **changes):
    content = document()
    content["councils"][number] |= changes
    return content


def test_a_good_roster_opens_with_its_councils_in_order():
    roster = opened(document())
    assert roster.epoch == 4
    assert list(roster.councils) == ["E06000001", "E06000002", "E06000003"]
    entry = roster.councils["E06000001"]
    assert entry.public_key == key(11).public
    assert (entry.name, entry.region) == ("Council 1", "E12000001")
    assert roster.coordinator_id == "north-hub"
    assert roster.coordinator.public_key == COORDINATOR.public
    assert roster.digest == sha256(json.dumps(document()).encode())


def test_yaml_and_json_say_the_same():
    as_yaml = opened(yaml.safe_dump(document()).encode())
    assert as_yaml.councils == opened(document()).councils


@pytest.mark.parametrize("keys", [(), (ANN,), (ANN, key(99)), (ANN, COORDINATOR)])
def test_two_different_pinned_people_must_have_signed(keys):
    with pytest.raises(SignatureProblem, match="of the 2"):
        opened(document(), keys)


def test_the_coordinators_own_signature_does_not_count_even_if_it_was_pinned():
    trust = TrustSettings(
        roster_keys=tuple(public_line(k.public) for k in (ANN, BOB, COORDINATOR)),
        agreement_keys=tuple(public_line(k.public) for k in (ANN, BOB)),
    )
    with pytest.raises(SignatureProblem, match="coordinator's own does not count"):
        opened(document(), (ANN, COORDINATOR), trust=trust)
    assert opened(document(), (ANN, BOB, COORDINATOR), trust=trust).epoch == 4


def test_another_kind_of_file_is_not_a_roster():
    envelope = sign_payload(json.dumps(document()).encode(), "application/vnd.federated.agreement+yaml", [ANN, BOB])
    with pytest.raises(SignatureProblem, match="was signed as"):
        open_roster(envelope, TRUST, NOW, None)


@pytest.mark.parametrize(
    ("now", "rule"),
    [
        (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), "roster_not_yet_valid"),
        (datetime(2026, 1, 1, tzinfo=UTC), None),
        (datetime(2026, 3, 31, 23, 59, tzinfo=UTC), None),
        (datetime(2026, 4, 1, tzinfo=UTC), "roster_expired"),
    ],
)
def test_a_roster_is_good_on_its_own_days_only(now, rule):
    if rule is None:
        assert opened(document(), now=now)
        return
    with pytest.raises(PolicyRefusal) as caught:
        opened(document(), now=now)
    assert caught.value.rule == rule


def test_days_are_those_of_utc_whatever_the_clocks_zone():
    from datetime import timezone

    just_before = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    with pytest.raises(PolicyRefusal):
        opened(document(), now=just_before)


def test_ninety_days_are_the_most():
    assert opened(document(not_after="2026-04-01"))
    with pytest.raises(FileProblem, match="no more than 90 days"):
        opened(document(not_after="2026-04-02"))
    with pytest.raises(FileProblem, match="no more than 90 days"):
        opened(document(not_before="2026-04-02"))


def test_an_older_epoch_is_refused_and_the_same_one_again_is_not():
    roster = opened(document())
    assert opened(document(), known=(4, roster.digest)) == roster
    assert opened(document(), known=(3, sha256(b"")))
    with pytest.raises(PolicyRefusal) as caught:
        opened(document(), known=(5, roster.digest))
    assert caught.value.rule == "roster_older"


def test_one_epoch_with_two_contents_raises_the_alarm():
    known = opened(document())
    other = changed_entry(0, public_key=public_line(key(50).public))
    with pytest.raises(RosterAlarm) as caught:
        opened(other, known=(known.epoch, known.digest))
    assert caught.value.code == "roster_alarm"
    assert "telephone" in caught.value.remedy


BAD = {
    "another form": (document(roster=2), "roster must be 1"),
    "no epoch": ({k: v for k, v in document().items() if k != "epoch"}, "epoch is missing"),
    "epoch nought": (document(epoch=0), "epoch must be at least 1"),
    "no council": (document(councils=[]), "councils must list at least 1"),
    "an extra field": (document(note="x"), "note is not a field"),
    "a council twice": (changed_entry(0, id="E06000002"), "id E06000002 twice"),
    "a key twice": (changed_entry(0, public_key=public_line(key(11).public)), "twice"),
    "the coordinator's key": (changed_entry(0, public_key=public_line(COORDINATOR.public)), "twice"),
    "the coordinator's id": (changed_entry(0, id="north-hub"), "twice"),
    "not a key": (changed_entry(0, public_key="ed25519:00"), "64 hexadecimal"),
    "an id with a space": (changed_entry(0, id="E06 1"), "council id"),
    "not a region": (changed_entry(0, region="North East"), "councils.0.region"),
    "not a day": (changed_entry(0, valid_from="2026-02-30"), "year-month-day"),
    "a day of a week": (changed_entry(0, valid_from="2026-W05-6"), "year-month-day"),
    "a day without hyphens": (changed_entry(0, valid_from="20260101"), "year-month-day"),
    "seconds for a day": (changed_entry(0, valid_from="1767225600"), "year-month-day"),
    "end before start": (changed_entry(0, valid_to="2025-12-31"), "valid_to is before"),
    "a hidden character": (changed_entry(0, name="Coun\u202ecil"), "cannot be seen"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_unsound_roster_is_refused_although_signed(name):
    content, sentence = BAD[name]
    with pytest.raises(FileProblem, match=sentence):
        opened(content)


def test_a_roster_that_would_be_refused_is_not_written():
    roster = parse_roster(json.dumps(document()).encode())
    parts = {"epoch": 5, "not_before": roster.not_before, "coordinator": roster.coordinator}
    payload = roster_payload(not_after=roster.not_after, councils=roster.councils.values(), **parts)
    again = parse_roster(payload)
    assert (again.epoch, again.councils, again.coordinator) == (5, roster.councils, roster.coordinator)
    with pytest.raises(FileProblem):
        roster_payload(not_after=roster.not_after + timedelta(days=5), councils=roster.councils.values(), **parts)


def test_a_councils_own_days():
    entry = opened(document()).councils["E06000001"]
    assert entry.valid(datetime(2026, 12, 31, 23, tzinfo=UTC))
    assert not entry.valid(datetime(2027, 1, 1, tzinfo=UTC))
    assert not entry.valid(datetime(2025, 12, 31, tzinfo=UTC))


def test_changes_are_told_in_words():
    old = parse_roster(json.dumps(document()).encode())
    assert describe_changes(old, old) == ()
    first = describe_changes(None, old)
    assert "first list" in first[0]
    assert fingerprint(COORDINATOR.public) in first[1]

    new = document(epoch=5, not_after="2026-03-30")
    new["coordinator"] = {"id": "hub-2", "name": "Hub", "public_key": public_line(key(70).public)}
    new["councils"][0] |= {"id": "E06000009", "public_key": public_line(key(71).public)}
    new["councils"][1] |= {"public_key": public_line(key(72).public), "name": "New name", "region": "E12000002"}
    new["councils"][2] |= {"valid_to": "2026-06-30"}
    told = "\n".join(describe_changes(old, parse_roster(json.dumps(new).encode())))
    for words in (
        "coordinator is now Hub",
        "valid from 2026-01-01 to 2026-03-30",
        "Council 3 (E06000003) has left",
        "(E06000009) has joined",
        f"has a new key. Its fingerprint is {fingerprint(key(72).public)}",
        "was called Council 1 before",
        "from region E12000001 to E12000002",
        "may take part from 2026-01-01 to 2026-06-30",
    ):
        assert words in told


def test_the_largest_roster_is_read_in_time_to_spare():
    entries = [
        RosterEntry(
            id=f"E06{number:06d}", name=f"Council {number}", region="E12000001", public_key=key(1000 + number).public,
            valid_from=date(2026, 1, 1), valid_to=date(2026, 12, 31),
        )
        for number in range(350)
    ]  # fmt: skip
    payload = roster_payload(
        epoch=1, not_before=date(2026, 1, 1), not_after=date(2026, 3, 1), councils=entries,
        coordinator=Coordinator(id="hub", name="Hub", public_key=COORDINATOR.public),
    )  # fmt: skip
    assert len(opened(payload).councils) == 350


LINES = tuple(public_line(key(number).public) for number in range(3))


@pytest.mark.parametrize(
    "settings",
    [
        {"roster_keys": LINES[:1], "agreement_keys": LINES},
        {"roster_keys": (LINES[0], LINES[0]), "agreement_keys": LINES},
        {"roster_keys": LINES, "agreement_keys": ()},
        {"roster_keys": LINES, "agreement_keys": (LINES[0], LINES[0])},
        {"roster_keys": LINES, "agreement_keys": LINES[:1]},
        {"roster_keys": LINES, "agreement_keys": LINES[:1], "agreement_threshold": 2},
        {"roster_keys": LINES, "agreement_keys": LINES, "roster_threshold": 1},
        {"roster_keys": LINES, "agreement_keys": LINES, "roster_threshold": 4},
        {"roster_keys": LINES, "agreement_keys": LINES, "agreement_threshold": 0},
        {"roster_keys": LINES, "agreement_keys": LINES, "agreement_threshold": 4},
        {"roster_keys": ("x", *LINES), "agreement_keys": LINES},
        {"roster_keys": LINES, "agreement_keys": LINES, "extra": 1},
    ],
)
def test_trust_that_trusts_too_easily_is_refused(settings):
    with pytest.raises(ValidationError):
        TrustSettings.model_validate(settings)


def test_trust_is_read_from_lists_as_settings_files_have_them():
    trust = TrustSettings.model_validate({"roster_keys": list(LINES), "agreement_keys": list(LINES[:2])})
    assert (trust.roster_threshold, trust.agreement_threshold) == (2, 2)
    assert not trust.one_person_decides
    assert len(trust.roster) == 3
    assert trust.agreement == {key(n).keyid: key(n).public for n in range(2)}


def test_one_person_decides_on_agreements_only_where_the_file_says_so():
    said = {"roster_keys": list(LINES), "agreement_keys": list(LINES[:1])}
    with pytest.raises(ValidationError, match=r"or write agreement_threshold: 1 if one person alone may change"):
        TrustSettings.model_validate(said)
    assert TrustSettings.model_validate(said | {"agreement_threshold": 1}).one_person_decides
