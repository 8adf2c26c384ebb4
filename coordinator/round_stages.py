"""The five stages of a round as the coordinator drives them, as a table: what is sent, what may come back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from coordinator.progress import RunStage
from coordinator.settings import StageTimeouts
from protocols.identifiers import CouncilId
from protocols.secagg import Aggregator
from protocols.wire.link_message import Kind

__all__ = ["STAGES", "RoundStage"]

Close = Callable[[Aggregator], Mapping[CouncilId, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStage:
    """One stage.

    Attributes:
        stage: Its name for people.
        request: Kind sent to each council of the stage.
        reply: Kind that takes part; anything else takes a council out of the round.
        seconds: Its deadline.
        receive: Hands one reply to the aggregator.
        close: Ends the stage and gives the next stage's requests; None for the last.
        must_act: Councils spend for it, or show what unmasks the sum: it begins only while we may act.
        threshold_is_enough: Answers beyond the threshold add nothing, so nobody is waited for once it is reached.
    """

    stage: RunStage
    request: Kind
    reply: Kind
    seconds: Callable[[StageTimeouts], float]
    receive: Callable[[Aggregator, CouncilId, bytes], None]
    close: Close | None
    must_act: bool = False
    threshold_is_enough: bool = False


STAGES: Final = (
    RoundStage(
        stage=RunStage.ADVERTISE_KEYS,
        request=Kind.INVITE,
        reply=Kind.ADVERT,
        seconds=lambda timeouts: timeouts.advert,
        receive=Aggregator.receive_advert,
        close=Aggregator.close_adverts,
    ),
    RoundStage(
        stage=RunStage.SHARE_KEYS,
        request=Kind.ADVERTS,
        reply=Kind.KEY_SHARES,
        seconds=lambda timeouts: timeouts.key_shares,
        receive=Aggregator.receive_key_shares,
        close=Aggregator.close_key_shares,
    ),
    RoundStage(
        stage=RunStage.MASKED_INPUT,
        request=Kind.SHARES,
        reply=Kind.MASKED_INPUT,
        seconds=lambda timeouts: timeouts.masked_input,
        receive=Aggregator.receive_masked_input,
        close=Aggregator.close_masked_inputs,
        must_act=True,
    ),
    RoundStage(
        stage=RunStage.CONSISTENCY_CHECK,
        request=Kind.SURVIVORS,
        reply=Kind.CONFIRMATION,
        seconds=lambda timeouts: timeouts.confirmation,
        receive=Aggregator.receive_confirmation,
        close=Aggregator.close_confirmations,
        threshold_is_enough=True,
    ),
    RoundStage(
        stage=RunStage.UNMASK,
        request=Kind.STATEMENTS,
        reply=Kind.UNMASK,
        seconds=lambda timeouts: timeouts.unmask,
        receive=Aggregator.receive_unmask,
        close=None,
        must_act=True,
        threshold_is_enough=True,
    ),
)
"""Sending SHARES is the point of no return: a node spends its budget before it answers it."""
