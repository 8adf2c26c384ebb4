"""Whether a node is well, from the note it writes: contact, patience, silence, and files that are no note."""

from datetime import UTC, datetime, timedelta

import pytest

from council_node.health import STALE, Heartbeat, check_health
from federated.errors import FileProblem, TransportError

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PATIENCE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)


@pytest.fixture
def note(tmp_path):
    return tmp_path / "contact.json"


def test_a_connected_node_is_well(note):
    Heartbeat(note).heard("link_up", NOW)
    assert check_health(note, NOW + SECOND, patience=PATIENCE).connected


def test_a_node_that_lost_contact_is_well_until_patience_ends(note):
    heartbeat = Heartbeat(note)
    heartbeat.heard("link_up", NOW - PATIENCE)
    heartbeat.heard("link_down", NOW)
    heartbeat.beat(NOW + PATIENCE)
    assert not check_health(note, NOW + PATIENCE, patience=PATIENCE).connected
    with pytest.raises(TransportError, match="no contact with the coordinator since 2026-03-01T09:00:00Z"):
        check_health(note, NOW + PATIENCE + SECOND, patience=PATIENCE)


def test_a_node_that_never_had_contact_is_not_well(note):
    Heartbeat(note).beat(NOW)
    with pytest.raises(TransportError, match="since it started"):
        check_health(note, NOW, patience=PATIENCE)


def test_repeated_failures_to_connect_are_no_contact(note):
    heartbeat = Heartbeat(note)
    heartbeat.heard("link_up", NOW)
    for minute in range(10):
        heartbeat.heard("link_down", NOW + timedelta(minutes=minute))
    with pytest.raises(TransportError):
        check_health(note, NOW + timedelta(minutes=9), patience=PATIENCE)


def test_a_node_that_is_silent_has_stopped_or_hangs(note):
    Heartbeat(note).heard("link_up", NOW)
    check_health(note, NOW + STALE, patience=PATIENCE)
    with pytest.raises(FileProblem, match="it has stopped, or it hangs"):
        check_health(note, NOW + STALE + SECOND, patience=PATIENCE)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 2}',
        b'{"version": 1}',
        b'{"version": 1, "at": 3, "last": null}',
        b"\xff",
    ],
)
def test_what_is_no_note_is_said_so(note, content):
    if content is not None:
        note.write_bytes(content)
    with pytest.raises(FileProblem, match="has not run"):
        check_health(note, NOW, patience=PATIENCE)


def test_other_events_are_no_contact_and_a_full_disk_does_not_stop_the_node(note, tmp_path):
    heartbeat = Heartbeat(tmp_path / "not there" / "contact.json")
    heartbeat.heard("link_up", NOW)
    Heartbeat(note).heard("answered", NOW)
    assert not note.exists()
