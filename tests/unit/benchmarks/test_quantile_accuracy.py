"""What the manual says of three ways to send bands is what the benchmark finds."""

import numpy as np
import pytest

from benchmarks.accuracy.quantiles import main, plain, square_root, trees
from federated.privacy import Mechanism
from federated.statistics.running_totals import PREFIX_BITS, column_norm_squared

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN


def worst(ways, mechanism, part):
    return min(way.worst(mechanism, part) for way in ways)


@pytest.mark.parametrize("bands", [12, 52, 256])
def test_each_way_adds_up_exactly_what_it_sends(bands):
    for way in (plain(bands), square_root(bands), *trees(bands)):
        assert way.weights @ way.sums == pytest.approx(np.tril(np.ones((bands, bands))), abs=1e-8)
    assert (plain(bands).l1, plain(bands).l2_squared) == (1, 1)
    assert square_root(bands).l2_squared == column_norm_squared(bands, PREFIX_BITS)
    assert [(way.l1, way.l2_squared) for way in trees(52)] == [(6, 6), (3, 3), (2, 2), (2, 2), (2, 2)]


@pytest.mark.parametrize("bands", [52, 104, 256])
def test_under_gaussian_noise_the_square_root_has_the_least(bands):
    for part in (0.0, 0.5):
        best_tree = worst(trees(bands), GAUSSIAN, part)
        assert worst([square_root(bands)], GAUSSIAN, part) < best_tree < worst([plain(bands)], GAUSSIAN, part)


def test_under_laplace_noise_plain_bands_beat_the_square_root_and_up_to_52_any_tree():
    for bands in (12, 52, 104, 256):
        for part in (0.0, 0.5):
            assert worst([plain(bands)], LAPLACE, part) < worst([square_root(bands)], LAPLACE, part)
    for bands in (12, 52):
        assert worst([plain(bands)], LAPLACE, 0.5) < worst(trees(bands), LAPLACE, 0.5)
    # And this is what a tree would save on a fine grid, which is why the manual says so.
    assert worst(trees(256), LAPLACE, 0.5) < 0.75 * worst([plain(256)], LAPLACE, 0.5)


def test_errors_follow_the_noise(capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.accuracy.quantiles.BANDS", (52,))
    main(["--repeats", "60"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| Gaussian")]
    _noise, errors = ([float(cell.strip(" |")) for cell in row[2:]] for row in rows)
    plain_median, _, _, _, root_median, _ = errors
    assert root_median < plain_median
