"""What a round of secure aggregation gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.identifiers import CouncilId, Digest
from protocols.secagg.cohort import Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureSum:
    """What a round gives: one sum, and the evidence for whose sum it is.

    Attributes:
        total: Σ (s·x + η) over `u3`, shape `(cells,)`, still scaled by s and read as signed.
        u1: Councils that advertised.
        u2: Councils that dealt key shares.
        u3: Councils whose inputs are in the sum.
        responders: Councils that answered the unmask request.
        bad_responders: Those among them that revealed false shares.
        thresholds: n, t, c, h.
        h2: The view of the key shares.
        h3: The view of the survivors.
        input_digests: SHA-256 of each masked vector of `u3`.
        statements: The signed confirmations of `u3`, at least t, for the receipts.
        opening: The signed head of the mask holder's opening; empty where the round has none.
    """

    total: NDArray[np.int64] = field(repr=False)
    u1: tuple[CouncilId, ...]
    u2: tuple[CouncilId, ...]
    u3: tuple[CouncilId, ...]
    responders: tuple[CouncilId, ...]
    bad_responders: tuple[CouncilId, ...]
    thresholds: Thresholds
    h2: Digest
    h3: Digest
    input_digests: Mapping[CouncilId, Digest]
    statements: tuple[bytes, ...] = field(repr=False)
    opening: bytes = field(repr=False)
