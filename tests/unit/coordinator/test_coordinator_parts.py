"""Small parts of the coordinator: settings, what nodes say, progress, patience."""

import asyncio
import re
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from coordinator.first_files import NewCoordinator, create
from coordinator.patience import Patience
from coordinator.progress import BEHIND, ENDED_KEPT, CouncilState, ProgressBoard, RunStage
from coordinator.replies import read_complaint, read_decision, read_fault, read_receipt
from coordinator.settings import Settings, load_settings
from coordinator.store import open_store
from federated.errors import FileProblem, QueryError, SignatureProblem
from federated.keys import public_line
from federated.signing import sign_statement
from protocols.identifiers import CouncilId
from protocols.wire import analyst_pb2 as pb
from tests.integration.coordinator_federation import (
    ANN,
    BOB,
    CEM,
    DEE,
    NORTH_EAST,
    START,
    council_key,
    seeded,
)
from tests.integration.link_harness import async_test

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "coordinator-settings.md"
COUNCIL = NORTH_EAST[0]
KEY = council_key(COUNCIL)
PLAN = bytes([7]) * 32


@pytest.fixture
def new(tmp_path):
    return NewCoordinator(
        id="hub",
        name="Hub",
        hosts=["127.0.0.1", "hub.example"],
        listen_host="127.0.0.1",
        port=0,
        roster_keys=[public_line(ANN.public), public_line(BOB.public)],
        agreement_keys=[public_line(CEM.public), public_line(DEE.public)],
    )


@pytest.fixture
def settings(tmp_path, new):
    return create(tmp_path, new, now=START, rng=seeded(42))[0]


@pytest.fixture
def store(settings):
    opened = open_store(settings.database_url)
    yield opened
    opened.close()


# --- settings ---


def test_init_writes_settings_that_read_back_and_keys_for_the_owner_alone(tmp_path, settings):
    assert load_settings(tmp_path / "coordinator.yaml") == settings
    assert Path(settings.key).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls" / "server.key").stat().st_mode & 0o777 == 0o600
    assert settings.database_url == f"sqlite:///{tmp_path.resolve()}/state/coordinator.db"
    assert settings.listen.port == 0


def test_init_overwrites_nothing_and_leaves_nothing_behind_when_refused(tmp_path, new, settings):
    before = (tmp_path / "coordinator.pem").read_bytes()
    with pytest.raises(FileProblem, match="settings here already"):
        create(tmp_path, new, now=START, rng=seeded(2))
    assert (tmp_path / "coordinator.pem").read_bytes() == before
    one_key = NewCoordinator(**{f: getattr(new, f) for f in new.__slots__} | {"roster_keys": new.roster_keys[:1]})
    with pytest.raises(FileProblem, match="roster_keys"):
        create(tmp_path / "other", one_key, now=START, rng=seeded(2))
    assert not (tmp_path / "other" / "coordinator.yaml").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"surprise": 1}, "surprise is not a field"),
        ({"id": "two words"}, "id is not written as it must be"),
        ({"listen": {"host": "127.0.0.1", "port": 70000}}, "port must be at most 65535"),
        ({"stages": {"advert": 0}}, "stages.advert"),
        ({"trust": {}}, "trust.agreement_keys is missing"),
        ({"coordinator": 2}, "coordinator must be 1"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, settings, change, sentence):
    path = tmp_path / "coordinator.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(FileProblem, match=sentence) as problem:
        load_settings(path)
    assert problem.value.remedy


def test_boundaries_are_looked_for_in_the_folder_of_the_settings(tmp_path, settings):
    path = tmp_path / "coordinator.yaml"
    named = {"boundaries": {"file": "maps/regions.geojson", "code_property": "RGN24CD"}}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | named))
    assert settings.boundaries is None
    assert load_settings(path).boundaries.file == str(tmp_path.resolve() / "maps" / "regions.geojson")


def test_missing_settings_say_what_to_do(tmp_path):
    with pytest.raises(FileProblem, match="cannot be read") as problem:
        load_settings(tmp_path / "none.yaml")
    assert "coordinator init" in problem.value.remedy


def setting_names(model, prefix=""):
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from setting_names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def test_every_setting_is_on_the_reference_page_with_its_default_and_no_other():
    rows = dict(
        re.findall(r"^\| `([^`]+)` \| ([^|]*) \|", DOCS.read_text().split("The smallest file")[0], flags=re.MULTILINE)
    )
    expected = dict(setting_names(Settings))
    assert set(rows) == set(expected)
    for name, field in expected.items():
        told = rows[name].strip()
        if field.is_required():
            assert told == "required", name
        elif field.default is not None:
            assert told == f"`{field.default}`", name


def test_every_setting_has_a_description():
    assert all(field.description for _, field in setting_names(Settings))


# --- what nodes say ---


def statement(kind="decision", key=KEY, **changes):
    body = {"version": 1, "council": COUNCIL, "plan_digest": PLAN.hex(), "decision": "approved"} | changes
    return sign_statement(kind, body, key)


def test_a_decisions_words_are_cut_to_what_can_be_printed():
    envelope = statement(
        decision="refused", rule="r" * 100, reason="bad\x1b[31m\nnews" + "x" * 900, extract_date="soon"
    )
    read = read_decision(envelope, council=COUNCIL, key=KEY.public, plan_digest=PLAN)
    assert read.rule == "r" * 64
    assert read.reason.startswith("bad [31m news")
    assert len(read.reason) == 500
    assert read.extract_date is None


@pytest.mark.parametrize(
    "envelope",
    [
        statement(council=NORTH_EAST[1]),
        statement(plan_digest="00" * 32),
        statement(decision="perhaps"),
        statement(key=ANN),
        statement(kind="refusal"),
        b"{}",
        b"\xff",
    ],
)
def test_a_decision_counts_only_as_its_council_signed_it(envelope):
    with pytest.raises(SignatureProblem):
        read_decision(envelope, council=COUNCIL, key=KEY.public, plan_digest=PLAN)


def test_a_complaint_brings_its_evidence():
    envelope = statement("complaint", sid="11" * 32, rule="bad_key_share", reason="Council X.", evidence="QUJD")
    read = read_complaint(envelope, council=COUNCIL, key=KEY.public, sid=bytes([17]) * 32)
    assert (read.rule, read.evidence) == ("bad_key_share", "QUJD")
    with pytest.raises(SignatureProblem, match="another sid"):
        read_complaint(envelope, council=COUNCIL, key=KEY.public, sid=bytes(32))


def test_a_receipt_is_for_one_release():
    envelope = statement("receipt", release_digest=PLAN.hex())
    read_receipt(envelope, council=COUNCIL, key=KEY.public, release_digest=PLAN)
    with pytest.raises(SignatureProblem):
        read_receipt(envelope, council=COUNCIL, key=KEY.public, release_digest=bytes(32))


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"code": "x"}', b"[" * 100_000])
def test_a_fault_that_cannot_be_read_is_still_a_fault(payload):
    assert read_fault(payload).rule == "fault"
    assert read_fault(b'{"version":1,"code":"file","message":"No extract."}').reason == "No extract."


# --- progress ---


def test_progress_uses_the_numbers_of_the_service():
    for stage in RunStage:
        assert pb.RunStage.Value(f"RUN_STAGE_{stage.name}") == stage
    for state in CouncilState:
        name = "UNSPECIFIED" if state is CouncilState.NONE else state.name
        assert pb.CouncilState.Value(f"COUNCIL_STATE_{name}") == state


@async_test
async def test_every_watcher_sees_every_step_once_whenever_they_come():
    board = ProgressBoard(lambda: START)
    board.begin(PLAN)
    seen = []

    async def watch(after=0):
        async with aclosing(board.watch(PLAN, after=after)) as steps:
            seen.append([step.sequence async for step in steps])

    early = asyncio.create_task(watch())
    await asyncio.sleep(0)
    board.publish(PLAN, RunStage.ACCEPTED)
    await asyncio.sleep(0)
    late = asyncio.create_task(watch(after=1))
    board.publish(PLAN, RunStage.PROPOSED)
    await asyncio.sleep(0)
    board.publish(PLAN, RunStage.PUBLISHED, final=True)
    board.publish(PLAN, RunStage.ABORTED)  # nothing follows the end
    await asyncio.gather(early, late)
    assert sorted(seen) == [[1, 2, 3], [2, 3]]
    with pytest.raises(QueryError):
        await anext(board.watch(bytes(32)))


def test_ended_runs_are_forgotten_in_the_end_and_open_ones_are_not():
    board = ProgressBoard(lambda: START)
    for number in range(ENDED_KEPT + 5):
        digest = number.to_bytes(32, "big")
        board.begin(digest)
        if number:
            board.publish(digest, RunStage.ABORTED, final=True)
    board.begin(PLAN)
    assert board.known(bytes(32))
    assert not board.known((3).to_bytes(32, "big"))
    assert board.known((ENDED_KEPT + 4).to_bytes(32, "big"))
    board.publish(bytes(32), RunStage.ACCEPTED)
    board.begin(bytes(32))  # a run under way is not started afresh
    assert board._runs[bytes(32)].steps


# --- patience ---


async def waited(*, missing, connected, enough, reconnect_s, most=0.6):
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(most) as limit:
            with Patience(
                limit,
                waiting=missing,
                connected=lambda: frozenset(connected),
                reconnect_s=reconnect_s,
                enough=lambda: enough,
            ):
                await asyncio.sleep(most * 2)
    except TimeoutError:
        pass
    return loop.time() - began


@async_test
async def test_a_stage_waits_for_who_is_connected_and_not_for_who_is_gone():
    assert await waited(missing={"a"}, connected={"a"}, enough=False, reconnect_s=0) > 0.5
    assert await waited(missing={"a"}, connected={"b"}, enough=False, reconnect_s=0) < 0.4
    assert await waited(missing={"a"}, connected={"b"}, enough=False, reconnect_s=5) > 0.5
    assert await waited(missing={"a"}, connected={"b"}, enough=True, reconnect_s=5) < 0.4
    assert await waited(missing={"a"}, connected={"a"}, enough=True, reconnect_s=0.05) < 0.5
    assert await waited(missing={"a"}, connected={"a"}, enough=True, reconnect_s=5) > 0.5


@async_test
async def test_a_watcher_that_has_fallen_behind_is_spared_mere_answers_and_nothing_else():
    board = ProgressBoard(lambda: START)
    board.begin(PLAN)
    answered, refused = CouncilState.ANSWERED, CouncilState.REFUSED
    for number in range(100):
        board.publish(PLAN, RunStage.MASKED_INPUT, council=CouncilId(f"E{number:08d}"), state=answered)
        if number % 10 == 0:
            board.publish(PLAN, RunStage.MASKED_INPUT, council=CouncilId(f"E{number:08d}"), state=refused)
    board.publish(PLAN, RunStage.PUBLISHED, final=True)
    async with aclosing(board.watch(PLAN)) as steps:
        seen = [step async for step in steps]
    states = Counter(step.council_state for step in seen)
    assert states[refused] == 10
    assert states[answered] <= BEHIND
    assert seen[-1].final
    assert [step.sequence for step in seen] == sorted({step.sequence for step in seen})


@async_test
async def test_a_watcher_that_keeps_up_sees_every_step():
    board = ProgressBoard(lambda: START)
    board.begin(PLAN)
    seen = []

    async def look():
        async with aclosing(board.watch(PLAN)) as steps:
            seen.extend([step.sequence async for step in steps])

    looking = asyncio.create_task(look())
    for number in range(60):
        board.publish(PLAN, RunStage.UNMASK, council=CouncilId(f"E{number:08d}"), state=CouncilState.ANSWERED)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    board.publish(PLAN, RunStage.PUBLISHED, final=True)
    await looking
    assert seen == list(range(1, 62))
