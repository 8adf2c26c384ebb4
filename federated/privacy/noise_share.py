"""Step 5 of 8: `NoiseSpec` in, one council's noise share out, to be added to its statistic before masking."""

import numpy as np
from numpy.typing import NDArray

from federated.privacy.mechanism import Mechanism, NoiseBlock, NoiseSpec, require_samplable, share_variance
from federated.privacy.sampler import WordStream, draw
from federated.privacy.tables import discrete_gaussian_table, polya_table
from protocols.identifiers import RandomSource


def require_noise(spec: NoiseSpec, *, honest: int) -> None:
    """Check, before anything is charged, that :func:`sample_noise_share` can serve this plan and round.

    Args:
        spec: The plan's noise.
        honest: `h` of the round.

    Raises:
        QueryError: The noise is too large for the exact sampler, or too small to be accounted for.
    """
    for block in spec.blocks:
        require_samplable(spec.mechanism, block.parameter, scale=spec.scale, honest=honest)


def sample_noise_share(spec: NoiseSpec, *, honest: int, rng: RandomSource) -> NDArray[np.int64]:
    """Draw one council's share of the release noise.

    Run by a council node, once per round; a retry re-sends the same masked bytes and never draws again.

    Args:
        spec: Noise of the whole release.
        honest: `h` of the round: as many shares already carry the whole noise.
        rng: The system's entropy; asked once, for the 32-byte key of a stream.

    Returns:
        Integer steps, `1/spec.scale` of the query's unit, to add to the scaled statistic.

    Raises:
        QueryError: See :func:`require_noise`.

    Shapes:
        `(spec.cells,)`.

    Privacy:
        Alone a share protects nobody: the masks do. Any `honest` shares sum to the noise that the charge is for, and
        further ones only post-process it.

    References:
        Goryczka and Xiong 2015 (Polya); Kairouz, Liu and Steinke 2021 (Gaussian); `protocol.md` 2.2.
    """
    stream = WordStream(rng)
    return np.concatenate([_block_share(spec, block, honest, stream) for block in spec.blocks])


def _block_share(spec: NoiseSpec, block: NoiseBlock, honest: int, stream: WordStream) -> NDArray[np.int64]:
    match spec.mechanism:
        case Mechanism.DISCRETE_LAPLACE:
            table = polya_table(block.parameter, honest)
            share = draw(table, block.cells, stream)
            share -= draw(table, block.cells, stream)
            return share
        case Mechanism.DISCRETE_GAUSSIAN:
            variance = share_variance(block.parameter, scale=spec.scale, honest=honest)
            return draw(discrete_gaussian_table(variance), block.cells, stream)
