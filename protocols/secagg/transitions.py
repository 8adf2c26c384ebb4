"""The legal order of a round, as three tables; everything that can happen next is in this file.

Whatever is not in a table is refused. A participant and a mask holder can end from every state; an aggregator can
abandon a round from every state. None has a way back.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from protocols.errors import LocalProtocolError

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


class ParticipantState(StrEnum):
    """Where a council stands in a round."""

    CREATED = "created"
    ADVERTISED = "advertised"
    SHARED_KEYS = "shared keys"
    READY_TO_MASK = "ready to mask"
    MASKED = "masked"
    CONFIRMED = "confirmed"
    UNMASKED = "unmasked"
    ENDED = "ended"


class ParticipantEvent(StrEnum):
    """What can happen to a council in a round: its own two steps, the coordinator's four messages, the end."""

    ADVERTISE = "advertise"
    ADVERTS = "adverts"
    SHARES = "shares"
    MASK = "mask"
    SURVIVORS = "survivors"
    STATEMENTS = "statements"
    END = "end"


PARTICIPANT: Final[Mapping[tuple[ParticipantState, ParticipantEvent], ParticipantState]] = MappingProxyType(
    {
        (ParticipantState.CREATED, ParticipantEvent.ADVERTISE): ParticipantState.ADVERTISED,
        (ParticipantState.ADVERTISED, ParticipantEvent.ADVERTS): ParticipantState.SHARED_KEYS,
        (ParticipantState.SHARED_KEYS, ParticipantEvent.SHARES): ParticipantState.READY_TO_MASK,
        (ParticipantState.READY_TO_MASK, ParticipantEvent.MASK): ParticipantState.MASKED,
        (ParticipantState.MASKED, ParticipantEvent.SURVIVORS): ParticipantState.CONFIRMED,
        (ParticipantState.CONFIRMED, ParticipantEvent.STATEMENTS): ParticipantState.UNMASKED,
        **{(state, ParticipantEvent.END): ParticipantState.ENDED for state in ParticipantState},
    }
)


class AggregatorState(StrEnum):
    """Where the coordinator stands in a round."""

    ADVERTISING = "advertising"
    SHARING_KEYS = "sharing keys"
    MASKING = "masking"
    CONFIRMING = "confirming"
    UNMASKING = "unmasking"
    FINISHED = "finished"
    ABANDONED = "abandoned"


class AggregatorEvent(StrEnum):
    """What can happen to the coordinator in a round."""

    ADVERT = "an advert"
    CLOSE_ADVERTS = "closing the adverts"
    KEY_SHARES = "key shares"
    CLOSE_KEY_SHARES = "closing the key shares"
    MASKED_INPUT = "a masked input"
    CLOSE_MASKED_INPUTS = "closing the masked inputs"
    CONFIRMATION = "a confirmation"
    CLOSE_CONFIRMATIONS = "closing the confirmations"
    OPENING = "the mask holder's opening"
    UNMASK = "an unmask answer"
    FINISH = "finishing"
    ABANDON = "abandoning"


AGGREGATOR: Final[Mapping[tuple[AggregatorState, AggregatorEvent], AggregatorState]] = MappingProxyType(
    {
        (AggregatorState.ADVERTISING, AggregatorEvent.ADVERT): AggregatorState.ADVERTISING,
        (AggregatorState.ADVERTISING, AggregatorEvent.CLOSE_ADVERTS): AggregatorState.SHARING_KEYS,
        (AggregatorState.SHARING_KEYS, AggregatorEvent.KEY_SHARES): AggregatorState.SHARING_KEYS,
        (AggregatorState.SHARING_KEYS, AggregatorEvent.CLOSE_KEY_SHARES): AggregatorState.MASKING,
        (AggregatorState.MASKING, AggregatorEvent.MASKED_INPUT): AggregatorState.MASKING,
        (AggregatorState.MASKING, AggregatorEvent.CLOSE_MASKED_INPUTS): AggregatorState.CONFIRMING,
        (AggregatorState.CONFIRMING, AggregatorEvent.CONFIRMATION): AggregatorState.CONFIRMING,
        (AggregatorState.CONFIRMING, AggregatorEvent.CLOSE_CONFIRMATIONS): AggregatorState.UNMASKING,
        (AggregatorState.UNMASKING, AggregatorEvent.OPENING): AggregatorState.UNMASKING,
        (AggregatorState.UNMASKING, AggregatorEvent.UNMASK): AggregatorState.UNMASKING,
        (AggregatorState.UNMASKING, AggregatorEvent.FINISH): AggregatorState.FINISHED,
        **{(state, AggregatorEvent.ABANDON): AggregatorState.ABANDONED for state in AggregatorState},
    }
)


class HolderState(StrEnum):
    """Where the mask holder stands in a round."""

    CREATED = "created"
    ADVERTISED = "advertised"
    PREPARED = "prepared"
    OPENED = "opened"
    ENDED = "ended"


class HolderEvent(StrEnum):
    """What can happen to the mask holder in a round."""

    ADVERTISE = "advertise"
    REQUEST = "opening request"
    OPEN = "open"
    END = "end"


HOLDER: Final[Mapping[tuple[HolderState, HolderEvent], HolderState]] = MappingProxyType(
    {
        (HolderState.CREATED, HolderEvent.ADVERTISE): HolderState.ADVERTISED,
        (HolderState.ADVERTISED, HolderEvent.REQUEST): HolderState.PREPARED,
        (HolderState.PREPARED, HolderEvent.OPEN): HolderState.OPENED,
        **{(state, HolderEvent.END): HolderState.ENDED for state in HolderState},
    }
)


def next_state(table: Mapping[tuple[State, Event], State], state: State, event: Event) -> State:
    """Where an event leads.

    Raises:
        LocalProtocolError: The table has no such step.
    """
    following = table.get((state, event))
    if following is None:
        raise LocalProtocolError(f"{event.value} is out of order: the round is at '{state.value}'")
    return following
