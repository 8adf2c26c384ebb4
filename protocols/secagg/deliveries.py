"""Key shares on their way through the coordinator: each council is delivered its own openings only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from protocols.identifiers import CouncilId
from protocols.secagg.messages import Dealt, pieces_of_shares
from protocols.secagg.share_records import Openings
from protocols.wire.pieces import InPieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """One council's key-share message: its signed part and its opening for each of U1."""

    dealt: Dealt
    openings: Openings


class Deliveries(InPieces[CouncilId]):
    """SHARES for each of U2, made when asked for: together they are too large to hold at once."""

    def __init__(self, dealings: Mapping[CouncilId, Dealing], members: tuple[CouncilId, ...]) -> None:
        self._dealings = dealings
        self._dealt = [dealing.dealt.message.encode() for dealing in dealings.values()]
        self._positions = {member: position for position, member in enumerate(members) if member in dealings}

    def pieces(self, key: CouncilId) -> tuple[bytes, ...]:
        """SHARES for one receiver: what every dealer signed, which is the same for all, and the receiver's openings."""
        position = self._positions[key]
        return pieces_of_shares(
            self._dealt, [dealing.openings.encoded(position) for dealing in self._dealings.values()]
        )

    def __iter__(self) -> Iterator[CouncilId]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)
