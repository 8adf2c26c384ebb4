"""Noise, its price and the budget it is paid from (`protocol.md` 2): exact rationals and integers throughout."""

from federated.privacy.budget import FILTER_SHARE_OF_DELTA, Budget, Remaining, Totals, check_budget, remaining
from federated.privacy.calibrate import (
    gaussian_noise,
    gaussian_scale,
    laplace_noise,
    split_gaussian,
    split_laplace,
)
from federated.privacy.charge import Charge, gaussian_charge, laplace_charge, noise_charge, tau_bound
from federated.privacy.conversion import zcdp_epsilon, zcdp_rho
from federated.privacy.laws import ReleasedNoise, released_noise, steps_holding
from federated.privacy.mechanism import Mechanism, NoiseBlock, NoiseSpec, noise_bound
from federated.privacy.noise_share import require_noise, sample_noise_share
from federated.privacy.opendp_reference import require_no_cheaper_than_opendp

__all__ = [
    "FILTER_SHARE_OF_DELTA",
    "Budget",
    "Charge",
    "Mechanism",
    "NoiseBlock",
    "NoiseSpec",
    "ReleasedNoise",
    "Remaining",
    "Totals",
    "check_budget",
    "gaussian_charge",
    "gaussian_noise",
    "gaussian_scale",
    "laplace_charge",
    "laplace_noise",
    "noise_bound",
    "noise_charge",
    "released_noise",
    "remaining",
    "require_no_cheaper_than_opendp",
    "require_noise",
    "sample_noise_share",
    "split_gaussian",
    "split_laplace",
    "steps_holding",
    "tau_bound",
    "zcdp_epsilon",
    "zcdp_rho",
]
