"""Kept inputs break no decoder; every decoder has a target; and the fuzzer finds what is broken."""

import random
from contextlib import nullcontext
from dataclasses import replace

import pytest

from federated.errors import FileProblem, InternalError
from protocols.errors import LocalProtocolError, MalformedMessage
from tests.evidence import record
from tests.fuzz import __main__ as command
from tests.fuzz import limits, targets
from tests.fuzz.change import bytes_changed, changed
from tests.fuzz.decoders import decoders
from tests.fuzz.limits import fault_of
from tests.fuzz.planted import PLANTED, SLOW
from tests.fuzz.reached import OUT_OF_SIGHT, not_reached
from tests.fuzz.run import again, merge, run
from tests.fuzz.seeds import SEEDS
from tests.fuzz.table import CORPUS, FOUND, MERGED, MOST_KEPT, Finding, Form, declared, files_of
from tests.fuzz.targets import EXCUSED, ROUND_FORMS, TARGETS

SECONDS = 1
LONG_SECONDS = 60
SEED = random.SystemRandom().randrange(1, 2**31)
"""Drawn anew for every run of the tests, and printed when one fails."""


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_break_nothing(name):
    target = TARGETS[name]
    target.feed(b"")
    for path in files_of(name):
        assert fault_of(target, path.read_bytes()) is None, path


def test_every_target_has_first_inputs_and_all_of_them_are_small():
    assert set(SEEDS) == set(TARGETS)
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert {path.name for path in FOUND.iterdir()} <= set(TARGETS)
    assert sum(path.stat().st_size for name in TARGETS for path in files_of(name)) < MOST_KEPT


def test_every_decoder_is_a_target_or_excused():
    covered = {name for target in TARGETS.values() for name in target.covers}
    known = set(decoders())
    excused = {name for name in known if name in EXCUSED or any(name.startswith(e) for e in EXCUSED if e[-1] in ":.")}
    assert sorted(known - covered - excused) == []
    assert sorted(covered & excused) == []
    assert all(any(name.startswith(excuse) for name in known) for excuse in EXCUSED), "an excuse for nothing"
    assert len(known) > 100


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_inputs_of_a_target_reach_every_decoder_that_it_is_for(name):
    assert not_reached(TARGETS[name], [path.read_bytes() for path in files_of(name)]) <= set(OUT_OF_SIGHT)


def test_a_decoder_that_no_input_reaches_is_told():
    idle = replace(TARGETS["link-frames"], feed=lambda _data: None)
    assert not_reached(idle, [b"anything"]) == {"protocols.wire.chunks:Assembler"}


def test_messages_of_a_round_are_read_under_the_hybrid_keys_too(monkeypatch):
    """Its first inputs are taken whole, and what that suite alone has is reached by none of the others."""
    target = TARGETS["round-messages"]
    kept = [path.read_bytes() for path in files_of(target.name) if not path.name.startswith(("bad_", MERGED))]
    first = [data for data in kept if data[0] < ROUND_FORMS]
    assert not_reached(target, first) == {"protocols.secagg.dealing:check_pair_seed", "protocols.suite:_kem_key"}
    monkeypatch.setattr(targets, "declared", nullcontext)  # nothing is let through
    for data in kept:
        target.feed(data)
    assert {data[0] - ROUND_FORMS for data in kept if data not in first} == {0, 1, 2, 3, 10}


# That faults are seen


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (IndexError(), True),
        (InternalError("x"), True),
        (LocalProtocolError("x"), True),
        (RecursionError(), True),
        (Finding("x"), True),
        (FileProblem("x"), False),
        (MalformedMessage("x"), False),
    ],
)
def test_what_is_let_through(error, seen):
    def feed():
        with declared():
            raise error

    if seen:
        with pytest.raises(type(error)):
            feed()
    else:
        feed()


def test_an_input_that_is_slow_or_large_is_a_fault(monkeypatch):
    monkeypatch.setattr(limits, "SLOW_S", 0.05)
    assert fault_of(SLOW, b"") is None
    assert "slow" in str(fault_of(SLOW, b"x"))
    peaks = iter((100, 100 + limits.MOST_MIB + 1))
    monkeypatch.setattr(limits, "_peak_mib", lambda: next(peaks))
    assert "large" in str(fault_of(PLANTED, b""))


def test_a_planted_fault_is_found(tmp_path):
    """Random bytes would meet it once in sixteen million tries; it is found by its paths."""
    ran = run(PLANTED, seconds=120, seed=1, keep=tmp_path, most=60_000)
    [fault] = ran.broken
    assert fault.file.read_bytes()[:2] == b"FZ"
    assert "IndexError" in fault.said


def test_what_takes_a_new_path_is_kept_and_nothing_else(tmp_path):
    found, kept = tmp_path / "keep/planted/corpus", tmp_path / "kept"
    for folder in (found, kept / "planted"):
        folder.mkdir(parents=True)
    (kept / "planted/first").write_bytes(b"no!")
    assert merge(PLANTED, room=100, keep=tmp_path / "keep", corpus=kept) == ()
    (found / "same").write_bytes(b"also no")
    (found / "new").write_bytes(b"FX.")
    (found / "newest").write_bytes(b"FZ\x00")
    (found / "newest and long").write_bytes(b"FZ\x01" + bytes(30))
    assert merge(PLANTED, room=2, keep=tmp_path / "keep", corpus=kept) == ()
    added = merge(PLANTED, room=100, keep=tmp_path / "keep", corpus=kept)
    assert {path.read_bytes() for path in added} == {b"FX.", b"FZ\x00"}
    assert {path.name for path in (kept / "planted").iterdir()} == {"first", *(path.name for path in added)}
    assert all(path.name.startswith(MERGED) for path in added)
    assert merge(PLANTED, room=100, keep=tmp_path / "keep", corpus=kept) == ()


def test_what_breaks_a_target_is_not_kept(tmp_path):
    found = tmp_path / "keep/planted/corpus"
    found.mkdir(parents=True)
    (found / "breaks").write_bytes(b"FZ\x05")
    assert merge(PLANTED, room=100, keep=tmp_path / "keep", corpus=tmp_path / "kept") == ()
    (found / "breaks").write_bytes(b"FZ\x00")
    assert len(merge(PLANTED, room=100, keep=tmp_path / "keep", corpus=tmp_path / "kept")) == 1


def test_what_all_targets_may_add_leaves_the_kept_inputs_small(monkeypatch):
    rooms = []
    monkeypatch.setattr(command, "merge", lambda _target, *, room: rooms.append(room) or ())
    command._merge(list(TARGETS))
    kept = sum(path.stat().st_size for name in TARGETS for path in files_of(name))
    assert min(rooms) >= 0
    assert MOST_KEPT - len(TARGETS) <= kept + sum(rooms) + 1 <= MOST_KEPT


@pytest.mark.parametrize("form", [Form.JSON, Form.YAML])
def test_documents_are_changed_by_their_form(form):
    document = b'{"a": [1, "x", {"b": "2026-03-01"}], "c": true}'
    made = {changed(document, form, random.Random(seed)) for seed in range(60)} - {None}
    assert len(made) > 40
    assert changed(b"{", Form.JSON, random.Random(1)) is None


# The fuzzer itself


QUICK = sorted(name for name, target in TARGETS.items() if not target.slow)
SELDOM = sorted(TARGETS.keys() - QUICK)
"""Under the fuzzer these take seconds for a few inputs, most of it before the first."""
CHANGED = 12


def test_a_target_drawn_anew_meets_no_fault(tmp_path):
    drawn = random.Random(SEED).choice(QUICK)
    ran = run(TARGETS[drawn], seconds=SECONDS, seed=SEED, keep=tmp_path)
    assert not ran.broken, f"python -m tests.fuzz {drawn} --seed {SEED}\n{ran.broken[0].said if ran.broken else ''}"


def changed_inputs(target, seed, folder):
    """Kept inputs of a target, changed by chance and without the fuzzer."""
    rng = random.Random(seed)
    paths = []
    for number in range(CHANGED):
        content = rng.choice(files_of(target.name)).read_bytes()
        made = changed(content, target.form, rng) if target.form is not Form.BYTES else None
        paths.append(folder / str(number))
        paths[-1].write_bytes(made or bytes_changed(content, rng))
    return paths


def test_a_slow_target_drawn_anew_meets_no_fault_in_a_few_changed_inputs(tmp_path):
    drawn = random.Random(SEED).choice(SELDOM)
    said = again(drawn, changed_inputs(TARGETS[drawn], SEED, tmp_path))
    assert not said, f"{drawn}, drawn with {SEED}\n{said}"


def test_a_fault_met_by_a_changed_input_is_told(tmp_path):
    (tmp_path / "input").write_bytes(b"FZ\x05")
    assert "IndexError" in again(PLANTED.name, [tmp_path / "input"])
    inputs = [path.read_bytes() for path in changed_inputs(TARGETS["extract-xml"], 1, tmp_path)]
    assert len(set(inputs) - {path.read_bytes() for path in files_of("extract-xml")}) > CHANGED // 2


@pytest.mark.long
def test_every_target_under_the_fuzzer():
    ran = [run(target, seconds=LONG_SECONDS, seed=SEED) for target in TARGETS.values()]
    assert [item.broken for item in ran if item.broken] == []
    record(
        "every decoder and reader under the fuzzer",
        {
            "targets": len(ran),
            "seconds_each": LONG_SECONDS,
            "fewest_inputs": min(item.executions for item in ran),
            "faults": 0,
        },
        test="tests/fuzz/test_fuzz_targets.py::test_every_target_under_the_fuzzer",
        n=sum(item.executions for item in ran),
        seed=SEED,
    )
