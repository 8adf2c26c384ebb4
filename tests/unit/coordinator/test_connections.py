"""The coordinator's note of who is connected: councils, and mask holders apart from them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from coordinator.connections import CONNECTIONS_FILE, Connections, ConnectionsNote
from coordinator.doctor import Verdict, _holders
from coordinator.operations import Meter
from coordinator.roster import Membership
from federated.mask_holder import HolderIdentity
from tests.integration.link_harness import async_test

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
COUNCILS = {"E06000001": b"1" * 32, "E06000002": b"2" * 32}
HOLDER = HolderIdentity(id="lga", name="Local Government Association", key=b"3" * 32)


def test_a_mask_holder_is_noted_apart_from_councils(tmp_path):
    note = ConnectionsNote(tmp_path)
    note.heard("lga", "0.1.0")
    note.tell(frozenset({"E06000001", "lga"}), COUNCILS, NOW)
    found = Connections.read(tmp_path)
    assert (found.connected, found.holders) == ({"E06000001"}, {"lga"})
    assert found.software == {"lga": "0.1.0"}
    note.tell(frozenset(), COUNCILS, NOW + timedelta(minutes=1))
    found = Connections.read(tmp_path)
    assert (found.connected, found.holders) == (set(), set())
    assert found.seen == dict.fromkeys(("E06000001", "lga"), "2026-03-02T10:01:00Z")
    # A coordinator that starts again knows when they were last here.
    assert ConnectionsNote(tmp_path)._seen == found.seen


def test_what_has_not_changed_is_not_written_again(tmp_path):
    note = ConnectionsNote(tmp_path)
    note.tell(frozenset({"lga"}), COUNCILS, NOW)
    (tmp_path / CONNECTIONS_FILE).unlink()
    note.tell(frozenset({"lga"}), COUNCILS, NOW)
    assert not (tmp_path / CONNECTIONS_FILE).exists()


def test_a_note_of_before_mask_holders_is_read(tmp_path):
    (tmp_path / CONNECTIONS_FILE).write_text('{"version": 1, "connected": ["E06000001"], "seen": {}, "software": {}}')
    assert Connections.read(tmp_path).connected == {"E06000001"}
    assert Connections.read(tmp_path).holders == frozenset()


def test_the_doctor_names_each_mask_holder_and_whether_it_is_there():
    membership = Membership(holders={HOLDER.id: HOLDER})
    for here, verdict, words in (
        (frozenset({"lga"}), Verdict.GOOD, "is connected"),
        (frozenset(), Verdict.WARNING, "is not connected; questions that need it wait for it"),
    ):
        (finding,) = _holders(membership, Connections(connected=frozenset(), holders=here, seen={}, software={}))
        assert (finding.check, finding.verdict) == ("mask holder", verdict)
        assert finding.text.startswith("Local Government Association ('lga', ")
        assert finding.text.endswith(words)


def test_nobody_may_connect_without_a_list_and_a_mask_holder_never_in_a_councils_place():
    assert Membership(holders={HOLDER.id: HOLDER}).parties(NOW) == {}
    entries = {code: SimpleNamespace(public_key=key, valid=lambda _now: True) for code, key in COUNCILS.items()}
    taken = HolderIdentity(id="E06000001", name="Not a council", key=b"9" * 32)
    membership = Membership(roster=SimpleNamespace(councils=entries), holders={HOLDER.id: HOLDER, taken.id: taken})
    assert membership.parties(NOW) == COUNCILS | {"lga": HOLDER.key}
    assert membership.identities(NOW) == COUNCILS


@async_test
async def test_the_numbers_count_them_apart():
    meter = Meter()
    meter.connected, meter.holders = (lambda: 5), (lambda: 1)
    page = (await meter.page()).decode()
    assert "coordinator_councils_connected 5.0" in page
    assert "coordinator_mask_holders_connected 1.0" in page
