"""OpenDP as second opinion: an honest plan passes, a plan that claims too little is refused."""

import hashlib
import itertools
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest

from federated.errors import PolicyRefusal
from federated.privacy import (
    Charge,
    Mechanism,
    NoiseBlock,
    NoiseSpec,
    gaussian_noise,
    laplace_noise,
    noise_charge,
    require_no_cheaper_than_opendp,
)
from federated.privacy import opendp_reference as reference

LAPLACE_TABLES = [(12, 1), (40, 3), (5, 7)]
GAUSSIAN_TABLES = [(12, 1), (40, 3), (5, 10_101)]


KEYS = itertools.count()


def seeded(count):
    return hashlib.shake_256(str(next(KEYS)).encode()).digest(count)


def plans():
    laplace = laplace_noise(Fraction(7, 10), LAPLACE_TABLES)
    gaussian = gaussian_noise(Fraction(1, 41), GAUSSIAN_TABLES, honest=17)
    return [(laplace, [l1 for _, l1 in LAPLACE_TABLES]), (gaussian, [l2 for _, l2 in GAUSSIAN_TABLES])]


@pytest.mark.parametrize(("noise", "bounds"), plans(), ids=lambda value: "")
def test_our_charge_is_opendp_s_to_the_last_digits_and_passes(noise, bounds):
    charge = noise_charge(noise, bounds, honest=17, councils=20)
    ours = charge.rho if charge.epsilon is None else charge.epsilon
    assert float(reference.opendp_cost(noise, bounds)) == pytest.approx(float(ours), rel=1e-12)
    require_no_cheaper_than_opendp(noise, bounds, charge, honest=17)


@pytest.mark.parametrize(("noise", "bounds"), plans(), ids=lambda value: "")
def test_a_charge_a_millionth_too_small_is_refused(noise, bounds):
    charge = noise_charge(noise, bounds, honest=17, councils=20)
    less = Fraction(999_999, 1_000_000)
    cheap = (
        replace(charge, rho=charge.rho * less)
        if charge.epsilon is None
        else replace(charge, epsilon=charge.epsilon * less)
    )
    with pytest.raises(PolicyRefusal) as refusal:
        require_no_cheaper_than_opendp(noise, bounds, cheap, honest=17)
    assert refusal.value.rule == "reference_cost"


@pytest.mark.parametrize(("noise", "bounds"), plans(), ids=lambda value: "")
def test_opendp_alone_refuses_when_our_own_map_is_wrong(noise, bounds, monkeypatch):
    """With our derivation broken in both places at once, the reference still stops the plan."""
    honest_charge = noise_charge

    def halved(*args, **kwargs):
        charge = honest_charge(*args, **kwargs)
        epsilon = None if charge.epsilon is None else charge.epsilon / 2
        return Charge(epsilon=epsilon, rho=charge.rho / 2, draws=charge.draws)

    monkeypatch.setattr(reference, "noise_charge", halved)
    with pytest.raises(PolicyRefusal, match="OpenDP puts its noise at"):
        require_no_cheaper_than_opendp(noise, bounds, halved(noise, bounds, honest=17, councils=20), honest=17)


def test_our_own_map_alone_refuses_when_the_charge_leaves_out_tau():
    """OpenDP knows nothing of the gap between a sum of discrete Gaussians and a discrete Gaussian; our map does."""
    noise = NoiseSpec(
        mechanism=Mechanism.DISCRETE_GAUSSIAN, blocks=(NoiseBlock(cells=10**9, parameter=Fraction(20)),), scale=2
    )
    plain = Fraction(1, 40)
    charge = noise_charge(noise, (1,), honest=20, councils=20)
    assert charge.rho > plain + Fraction(1, 10**8)
    require_no_cheaper_than_opendp(noise, (1,), charge, honest=20)
    with pytest.raises(PolicyRefusal):
        require_no_cheaper_than_opendp(noise, (1,), replace(charge, rho=plain), honest=20)


def test_laplace_noise_claimed_without_epsilon_is_refused():
    noise, bounds = plans()[0]
    with pytest.raises(PolicyRefusal, match="no pure epsilon"):
        require_no_cheaper_than_opendp(noise, bounds, Charge(epsilon=None, rho=Fraction(100), draws=1), honest=17)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_our_sampler_is_an_opendp_measurement(index):
    noise, bounds = plans()[0]
    cells = noise.blocks[index].cells
    measurement = reference.wrapped_measurement(noise, index, honest=6, rng=seeded)
    values = measurement(list(range(1000, 1000 + cells)))
    assert len(values) == cells
    parameter = noise.blocks[index].parameter
    assert measurement.map(bounds[index]) >= parameter * bounds[index]
    assert measurement.map(bounds[index]) == pytest.approx(float(parameter * bounds[index]), rel=1e-12)


def test_the_wrapped_gaussian_adds_the_whole_noise_in_steps():
    block = NoiseBlock(cells=4000, parameter=Fraction(50))
    noise = NoiseSpec(mechanism=Mechanism.DISCRETE_GAUSSIAN, blocks=(block,), scale=4)
    measurement = reference.wrapped_measurement(noise, 0, honest=6, rng=seeded)
    released = np.array(measurement([25] * 4000)) / 4
    assert released.mean() == pytest.approx(25, abs=5 * sqrt(50 / 4000))
    assert released.var() == pytest.approx(50, rel=0.15)
    assert measurement.map(sqrt(3)) >= 3 / 100


def test_a_map_can_be_read_without_any_randomness():
    noise, bounds = plans()[0]
    silent = reference.wrapped_measurement(noise, 0, honest=6, rng=reference._no_randomness)
    assert silent.map(bounds[0]) > 0
    with pytest.raises(Exception, match="asked for a release"):
        silent([0] * noise.blocks[0].cells)


def test_costs_handed_to_opendp_as_floats_are_rounded_up():
    for exact in (Fraction(1, 3), Fraction(2, 3), Fraction(1, 2), Fraction(1, 10) ** 20):
        assert exact <= Fraction(reference._float_above(exact)) <= exact * (1 + Fraction(1, 1 << 52))


def test_opendp_is_not_imported_until_it_is_needed():
    code = "import sys, federated.privacy; sys.exit('opendp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
