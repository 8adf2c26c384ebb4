"""How long a round may last: councils end one that takes longer, so no coordinator waits for longer than that."""

from datetime import timedelta
from typing import Final

__all__ = ["ROUND_LIMIT"]

ROUND_LIMIT: Final = timedelta(hours=6)
"""A node's own limit: a round it has not seen the end of by then is ended there, and what it charged stands."""
