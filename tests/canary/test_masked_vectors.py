"""No vector that the coordinator receives correlates with any council's figures; without masks each would.

The bound of 5 standard errors is met by independent vectors all but once in ten thousand runs.
"""

from math import sqrt

import numpy as np
import pytest

from coordinator.simulate import Scenario, build_world
from tests import evidence
from tests.canary.federation import many_cells, run_over_lines
from tests.canary.masked_vectors import VectorBook, correlations
from tests.statistical.test_release_noise import one_large_table

GENEROUS = 4
"""Enough epsilon that the noise of one share hides little: what hides the vectors is the masks."""


def largest(tmp_path, question, *, lost=0, rounds=1):
    """r of received with true vectors, over so many rounds."""
    book = VectorBook()
    made = Scenario(questions=(question,), councils=12, seed=2, rounds=rounds, lost=lost)
    with build_world(made, tmp_path) as world:
        answered = run_over_lines(world, book.record)
        tables = [correlations(book, item.plan, world.exact[question]) for item in answered[:1]]
    return tables[0], answered


def test_no_vector_received_correlates_with_any_councils_figures(tmp_path):
    (table, rows, columns), answered = largest(tmp_path, many_cells(GENEROUS))
    cells = answered[0].plan.cells
    assert cells >= 1_000
    assert sorted(rows) == sorted(columns)
    print(f"largest |r| {np.abs(table).max():.4f} of {table.size}, bound {5 / sqrt(cells):.4f}")
    assert np.abs(table).max() <= 5 / sqrt(cells)


def test_the_same_without_masks_shows_every_councils_figures(tmp_path, monkeypatch):
    unmasked(monkeypatch)
    (table, rows, columns), answered = largest(tmp_path, many_cells(GENEROUS))
    own = [table[place, columns.index(council)] for place, council in enumerate(rows)]
    print(f"smallest r of a council's vector with its own figures {min(own):.4f}")
    assert len(own) == 12
    assert min(own) > 0.9
    # The sum is right all the same, so nothing but this test would notice.
    assert np.abs(answered[0].residuals[0]).max() <= 6


def unmasked(monkeypatch):
    """Have nodes add no mask, and the coordinator take none away."""
    for module in ("protocols.secagg.participant", "protocols.secagg.mask_removal"):
        monkeypatch.setattr(f"{module}.add_masks", lambda *_: None)


@pytest.mark.long
def test_vectors_at_full_size(tmp_path, monkeypatch):
    question = one_large_table()
    figures = {}
    for lost in (0, 1):
        (tmp_path / f"{lost}").mkdir()
        (table, _rows, _columns), answered = largest(tmp_path / f"{lost}", question, lost=lost, rounds=8)
        cells = answered[0].plan.cells
        assert np.abs(table).max() <= 5 / sqrt(cells)
        figures[f"{lost} lost"] = {
            "vectors": len(table),
            "pairs": table.size,
            "cells": cells,
            "largest_abs_r": float(np.abs(table).max()),
            "bound": 5 / sqrt(cells),
        }
    unmasked(monkeypatch)
    (tmp_path / "unmasked").mkdir()
    (table, rows, columns), _answered = largest(tmp_path / "unmasked", many_cells(GENEROUS))
    own = [table[place, columns.index(council)] for place, council in enumerate(rows)]
    assert min(own) > 0.9
    figures["without masks"] = {"smallest_r": float(min(own)), "largest_r": float(max(own))}
    evidence.record(
        "masked-vectors", figures, test="tests/canary/test_masked_vectors.py", n=figures["0 lost"]["pairs"], seed=2
    )
