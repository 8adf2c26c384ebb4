"""Names for the things every party refers to, as distinct types so that they cannot be swapped."""

from collections.abc import Callable
from typing import Final, NewType

from protocols.errors import MalformedMessage

CouncilId = NewType("CouncilId", str)
"""A council's GSS code (for example ``E06000001``): 1 to 32 printable ASCII characters, no space."""

Digest = NewType("Digest", bytes)
"""A SHA-256 digest: exactly 32 bytes."""

RoundId = NewType("RoundId", bytes)
"""The round's session identifier, ``sid``: exactly 32 bytes."""

RandomSource = Callable[[int], bytes]
"""Returns that many secure random bytes. The system's at the edge; a seeded one lives only in ``tests/``."""

DIGEST_SIZE: Final = 32
COUNCIL_ID_MAX: Final = 32


def council_id(text: str) -> CouncilId:
    """Check and type a council id.

    Raises:
        MalformedMessage: Not 1 to 32 printable ASCII characters without spaces.
    """
    if not (1 <= len(text) <= COUNCIL_ID_MAX) or not all("!" <= character <= "~" for character in text):
        raise MalformedMessage(f"a council id is 1 to {COUNCIL_ID_MAX} printable ASCII characters without spaces")
    return CouncilId(text)
