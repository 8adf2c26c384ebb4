"""What the mask holder's log may say: every event and its fields, as `council_node.event_log` writes them."""

from collections.abc import Mapping
from typing import Final

from council_node.event_log import EVENTS, UNLISTED, Event

__all__ = ["HOLDER_EVENTS"]

_SHARED: Final = (
    "stopped",
    "link_up",
    "link_down",
    "link_stopped",
    "answered",
    "roster_changed",
    "roster_set_aside",
    "agreement_set_aside",
    "roster_alarm",
    "stage_failed",
    "request_refused",
    "request_failed",
    "answer_failed",
    "uncaught",
    UNLISTED,
)
"""Events that mean the same in a council's node."""

HOLDER_EVENTS: Final[Mapping[str, Event]] = {
    "started": Event("The mask holder has opened its files and begins to connect.", ("opened", "version")),
    **{name: EVENTS[name] for name in _SHARED},
    "round_held": Event("Asked to hold a round: every paper was checked, and a fresh key left."),
    "hold_refused": Event("Asked to hold a round, refused.", ("rule",), "warning"),
    "sum_opened": Event("Written down, and opened: so many bytes of masks leave.", ("bytes",)),
    "round_failed": Event("Asked to open a sum, and would not; the round has ended here.", ("rule",), "warning"),
    "round_let_go": Event("The coordinator is done with the round; what was in memory of it is gone."),
}
