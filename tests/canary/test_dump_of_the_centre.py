"""A full dump of all that the coordinator keeps reveals no council's figures, no masked input and no council's key (R105).

Whoever takes the whole folder, its database included, is looked for here: with every council's true figures in hand,
they are searched for in every file and every value of every table, in each way in which numbers are written.
"""

import base64
import json

import numpy as np
import pytest

from coordinator.simulate import Scenario, build_world
from tests.canary.federation import many_cells, run_over_lines
from tests.canary.harness import Sweep, layers
from tests.canary.masked_vectors import VectorBook

GENEROUS = 4
WINDOW = 12
"""Figures one after the other that are looked for."""
DISTINCT = 5
"""Of them at least so many differ, so that none stands there by chance."""
DEPTH = 2
CHANNEL = "coordinator's folder"


def traces(figures):
    """A stretch of figures in each way in which numbers are written."""
    starts = range(len(figures) - WINDOW + 1)
    stretch = max((figures[at : at + WINDOW] for at in starts), key=lambda part: len(set(part.tolist())))
    assert len(set(stretch.tolist())) >= DISTINCT
    for size in (2, 4, 8):
        for order in "<>":
            yield stretch.astype(f"{order}i{size}").tobytes()
    yield stretch.astype("<f8").tobytes()
    for written in (stretch.astype(int).tolist(), stretch.astype(float).tolist()):
        for between in (",", ", ", "\n", " ", ";"):
            yield between.join(map(str, written)).encode()


def dumped(folder):
    sweep = Sweep()
    sweep.files(CHANNEL, folder / "coordinator")
    contents = [content for found in sweep.channels.values() for _item, content in found]
    assert any(b"released" in content for content in contents), "the dump holds no database"
    return [layer for content in contents for layer in layers(content, DEPTH)]


def found_in(dump, sought):
    return {what for what, trace in sought if any(trace in layer for layer in dump)}


@pytest.fixture(scope="module")
def raided(tmp_path_factory):
    """The folder after an answer with one council lost, and what is looked for in it: whose, and its bytes."""
    folder, book, question = tmp_path_factory.mktemp("raided"), VectorBook(), many_cells(GENEROUS)
    made = Scenario(questions=(question,), councils=6, seed=4, rounds=1, lost=1)
    with build_world(made, folder) as world:
        [answered] = run_over_lines(world, book.record)
        sought = [
            (f"figures of {council}", t) for council, exact in world.exact[question].items() for t in traces(exact)
        ]
    size = answered.plan.cells * answered.plan.ring.width
    for council, message in book.received:
        if len(message.payload) >= size:
            sought.append((f"masked input of {council}", message.payload[-size:][: 8 * WINDOW]))
    files = [path.read_bytes() for path in (folder / "councils").rglob("*") if path.is_file()]
    sought += [("key of a council", kept.splitlines()[1]) for kept in files if b"PRIVATE KEY-----" in kept]
    return folder, sought


def test_a_full_dump_reveals_nothing_of_any_council(raided):
    folder, sought = raided
    kinds = {what.split()[0] for what, _trace in sought}
    assert kinds == {"figures", "masked", "key"}
    assert found_in(dumped(folder), sought) == set()


@pytest.mark.parametrize("written", ["as numbers", "as bytes", "in a journal", "masked"])
def test_what_is_kept_of_a_council_is_found(raided, written):
    folder, sought = raided
    [*whose] = {what for what, _trace in sought if what.startswith("masked" if written == "masked" else "figures")}
    victim = min(whose)
    traced = [trace for what, trace in sought if what == victim]
    kept = {
        "as numbers": traced[-1],
        "as bytes": b"\0" + traced[0],
        "in a journal": json.dumps({"event": "kept", "base64": base64.b64encode(traced[0]).decode()}).encode(),
        "masked": traced[0],
    }[written]
    stray = folder / "coordinator" / "stray"
    stray.write_bytes(kept)
    try:
        assert found_in(dumped(folder), sought) == {victim}
    finally:
        stray.unlink()


def test_a_stretch_without_different_figures_is_no_trace():
    with pytest.raises(AssertionError):
        list(traces(np.zeros(50)))
