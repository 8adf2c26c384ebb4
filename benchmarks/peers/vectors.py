"""The same made-up vectors for everyone: small counts, as a council's table holds them."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "council_names", "exact_sum", "make_vectors", "write_vectors"]

LARGEST: Final = 1_000
"""Counts are below it: a hundred of them fit every peer's ring without being rounded."""


def make_vectors(councils: int, cells: int, *, seed: int = 1) -> NDArray[np.int64]:
    """One row of counts for each council, shape `(councils, cells)`."""
    return np.random.default_rng(seed).integers(0, LARGEST, size=(councils, cells), dtype=np.int64)


def write_vectors(folder: Path, vectors: NDArray[np.int64]) -> Path:
    """Leave them where a peer's program reads them."""
    path = folder / "vectors.npy"
    np.save(path, vectors)
    return path


def exact_sum(vectors: NDArray[np.int64], lost: int) -> NDArray[np.int64]:
    """What should come out when the last `lost` councils' vectors never arrive."""
    total: NDArray[np.int64] = vectors[: len(vectors) - lost].sum(axis=0)
    return total


def council_names(count: int) -> tuple[str, ...]:
    """Names in the order of the rows."""
    return tuple(f"E{number:08d}" for number in range(1, count + 1))
