"""Where a question stands, in words for everybody; and why, without a word on which council did what.

What the store keeps as a reason is for the analyst: it counts refusals and names stages. Of a few councils a number
can tell all, so the public is given one sentence for each kind of end. The words of whoever took a question back are
shown, because they are written for it (`coordinator withdraw --reason`).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from coordinator.proposal_states import ProposalState
from coordinator.store import ProposalRow
from federated.plain_english import as_sentence
from federated.privacy import Mechanism

__all__ = ["MECHANISMS", "STANDINGS", "Standing", "reason_of", "standing_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a question stands, as the register says it.

    Attributes:
        name: For addresses.
        label: For people.
        meaning: In a sentence.
        states: Of proposals that stand so.
        colour: Of its tag.
    """

    name: str
    label: str
    meaning: str
    states: frozenset[ProposalState]
    colour: str


S = ProposalState
STANDINGS: Final = (
    Standing(
        name="planned",
        label="Planned",
        meaning="The councils asked are deciding whether to answer.",
        states=frozenset({S.RECEIVED, S.COLLECTING, S.READY}),
        colour="blue",
    ),
    Standing(
        name="running",
        label="Running",
        meaning="The councils that agreed are answering now.",
        states=frozenset({S.RUNNING}),
        colour="yellow",
    ),
    Standing(
        name="done",
        label="Answered",
        meaning="There is an answer.",
        states=frozenset({S.RELEASED}),
        colour="green",
    ),
    Standing(
        name="refused",
        label="Refused",
        meaning="So many of the councils asked said no that no answer was possible. Nothing was spent.",
        states=frozenset({S.REFUSED}),
        colour="red",
    ),
    Standing(
        name="failed",
        label="Failed",
        meaning="It was tried, and there is no answer.",
        states=frozenset({S.FAILED}),
        colour="red",
    ),
    Standing(
        name="withdrawn",
        label="Withdrawn",
        meaning="It was taken back before any council had answered. Nothing was spent.",
        states=frozenset({S.WITHDRAWN}),
        colour="grey",
    ),
    Standing(
        name="expired",
        label="Expired",
        meaning="Its time was over before enough councils had agreed. Nothing was spent.",
        states=frozenset({S.EXPIRED}),
        colour="grey",
    ),
)
_OF_STATE: Final = MappingProxyType({state: item for item in STANDINGS for state in item.states})
_REASONS: Final = MappingProxyType(
    {
        (S.EXPIRED, "collect_by"): "Too few councils had agreed when the time to decide was over. Nothing was spent.",
        (S.EXPIRED, "roster_changed"): "The list of councils changed before it was answered. Nothing was spent.",
        (S.FAILED, "coordinator_stopped"): "The coordinator stopped while it was being answered. What was spent stays "
        "spent.",
        (S.FAILED, "database"): "The coordinator's database could not be used while it was being answered. What was "
        "spent stays spent.",
    }
)
_OTHER: Final = MappingProxyType(
    {
        S.FAILED: "A round ended before the councils' masked figures could be added up. What was spent stays spent.",
        S.EXPIRED: "What it was planned from was no longer in force. Nothing was spent.",
    }
)
MECHANISMS: Final = MappingProxyType(
    {
        Mechanism.DISCRETE_LAPLACE.value: "discrete Laplace noise, which the councils add together",
        Mechanism.DISCRETE_GAUSSIAN.value: "discrete Gaussian noise, which the councils add together",
    }
)


def standing_of(row: ProposalRow) -> Standing:
    """Where a question stands."""
    return _OF_STATE[ProposalState(row.state)]


def reason_of(row: ProposalRow) -> str:
    """Why it stands there, for everybody; what a council did is never in it."""
    state = ProposalState(row.state)
    if state is ProposalState.WITHDRAWN and row.reason:
        return f"{as_sentence(row.reason)} Nothing was spent."
    return _REASONS.get((state, row.rule)) or _OTHER.get(state) or standing_of(row).meaning
