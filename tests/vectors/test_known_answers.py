"""Known answers: the standards' own, ours on file, and ours against an independent writing."""

import json

import pytest

from protocols.secagg import Stage
from tests.simulation.secagg_rehearsal import Rehearsal, council_ids
from tests.vectors import reference
from tests.vectors.generate import FOLDER, files
from tests.vectors.operations import OPERATIONS, run

GENERATED = ("holder.json", "messages.json", "primitives.json", "rounds.json")


def load(name):
    content = json.loads((FOLDER / name).read_text(encoding="ascii"))
    assert content["version"] == 1
    return content["vectors"]


def label(vector):
    return f"{vector['operation']}: {vector.get('note') or vector['source']}"


@pytest.mark.parametrize(
    "vector", [vector for name in (*GENERATED, "published.json") for vector in load(name)], ids=label
)
def test_every_vector_holds(vector):
    found = run(vector["operation"], vector["input"])
    assert found == {name: vector[name] for name in ("success", "output", "error") if name in vector}


@pytest.fixture(scope="module")
def regenerated():
    return files()


@pytest.mark.parametrize("name", GENERATED)
def test_regenerating_changes_nothing(regenerated, name):
    assert (FOLDER / name).read_text(encoding="ascii") == regenerated[name], (
        "run `make vectors` and look at the difference"
    )
    assert tuple(sorted(regenerated)) == GENERATED


@pytest.mark.parametrize("name", GENERATED)
def test_every_file_has_cases_that_must_fail(name):
    outcomes = [vector["success"] for vector in load(name)]
    assert outcomes.count(False) >= 5
    assert outcomes.count(True) >= 5


def test_every_operation_has_a_vector():
    assert {vector["operation"] for name in (*GENERATED, "published.json") for vector in load(name)} == set(OPERATIONS)


@pytest.mark.parametrize("bits", [32, 64])
def test_masked_inputs_agree_with_an_independent_writing(bits):
    rehearsal = Rehearsal(5, bits=bits, cells=7, seed="reference").play(upto=Stage.MASKED_INPUT)
    for council in council_ids(5):
        states = rehearsal.states[council]
        expected = reference.masked_input(
            me=council,
            seeds=(states[Stage.KEY_SHARES].b_seed, states[Stage.ADVERT].s_seed),
            public_keys=states[Stage.KEY_SHARES].cohort.mask_keys,
            vector=rehearsal.inputs[council].tolist(),
            sid=rehearsal.context.sid,
            h2=states[Stage.SHARES].h2,
            plan_digest=rehearsal.context.plan_digest,
            bits=bits,
        )
        content = rehearsal.replies[Stage.MASKED_INPUT][council][-7 * bits // 8 :]
        assert rehearsal.context.ring.read(content).tolist() == expected


def test_the_reference_itself_meets_the_standards():
    for vector in load("published.json"):
        given = {name: bytes.fromhex(value) for name, value in vector["input"].items() if isinstance(value, str)}
        if vector["operation"] == "x25519" and vector["success"]:
            assert reference.x25519(given["private"], given["public"]).hex() == vector["output"]["secret"]
        if vector["operation"] == "hkdf":
            assert reference.hkdf(given["secret"], given["info"]).hex() == vector["output"]["key"]
