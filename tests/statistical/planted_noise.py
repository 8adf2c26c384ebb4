"""Noise of another scale, planted in every node of a simulation: for tests that must notice it."""

from dataclasses import replace
from fractions import Fraction

import pytest

from federated.privacy import Mechanism, NoiseBlock, NoiseSpec, sample_noise_share

__all__ = ["plant_scale", "widened"]


def widened(mechanism: Mechanism, parameter: Fraction, factor: Fraction) -> Fraction:
    """The parameter whose noise has a scale `factor` times as large."""
    return parameter / factor if mechanism is Mechanism.DISCRETE_LAPLACE else parameter * factor**2


def plant_scale(monkeypatch: pytest.MonkeyPatch, factor: Fraction) -> None:
    """Have every node in this process draw its share at another scale than the plan's."""

    def planted(spec: NoiseSpec, *, honest: int, rng: object) -> object:
        blocks = tuple(
            NoiseBlock(cells=block.cells, parameter=widened(spec.mechanism, block.parameter, factor))
            for block in spec.blocks
        )
        return sample_noise_share(replace(spec, blocks=blocks), honest=honest, rng=rng)

    monkeypatch.setattr("council_node.contribution.sample_noise_share", planted)
