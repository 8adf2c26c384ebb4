"""The node's log: JSON lines on standard output, for people and for whatever collects logs.

Every event has a name, a level and fields that are listed here and nowhere else; `docs/reference/log.md` is made from
the list. A field holds an identifier, a count, a word of a closed list, or a sentence of ours. What is not listed is
not written: a line can be forgotten here, but no value of a case can slip through it.
"""

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

__all__ = ["EVENTS", "UNLISTED", "Event", "Log", "open_log"]

Log = Callable[[str, Mapping[str, str | int]], None]
"""Writes one event: its name and fields that hold no case value."""

LOG_VERSION: Final = 1
UNLISTED: Final = "unlisted_event"
_NAME: Final = re.compile(r"[a-z_]{1,40}")
_WHOSE: Final = ("council", "holder")
_ALWAYS: Final = frozenset({"request", "sid", "plan"})
"""Correlation: which request of the coordinator, which round, which question."""


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of line.

    Attributes:
        says: What happened, for the reference.
        fields: What the line may hold beside time, level, council and correlation.
        level: `debug`, `info`, `warning` or `error`.
    """

    says: str
    fields: tuple[str, ...] = ()
    level: str = "info"


EVENTS: Final[Mapping[str, Event]] = {
    "started": Event("The program has opened its files and begins to connect.", ("ledger_entry", "version")),
    "stopped": Event("The program was told to stop and has stopped."),
    "link_up": Event("Connected to the coordinator.", ("address",)),
    "link_down": Event("Not connected; it tries again by itself.", ("reason",), "warning"),
    "link_stopped": Event("The connection is closed for good."),
    "proved": Event("Over Flower: proved this council's key to the coordinator, from that place.", ("place",)),
    "supernode_away": Event("The SuperNode does not answer; looked for again and again.", ("reason",), "warning"),
    "supernode_back": Event("The SuperNode answers again."),
    "bundle_refused": Event(
        "Over Flower: a run of an app that is not this image's was refused, its code unopened.", ("bundle",), "warning"
    ),
    "answered": Event("A reply left this computer: its size in bytes.", ("request_bytes", "reply_bytes")),
    "roster_changed": Event("A newer list of councils was verified and taken.", ("epoch", "change")),
    "roster_set_aside": Event(
        "The list of councils kept here was signed by people whom the settings trust no longer; a newer one is needed.",
        ("epoch", "reason"),
        "warning",
    ),
    "agreement_set_aside": Event(
        "An agreement that was accepted here lacks signatures that the settings ask for: every question under it is "
        "refused.",
        ("agreement", "reason"),
        "warning",
    ),
    "roster_alarm": Event("Do not believe a list of councils that came. Ring its signers.", ("reason",), "error"),
    "question_decided": Event(
        "Signatures, plan and manifest of a question were verified; this is the decision now.", ("decision", "rule")
    ),
    "proposal_refused": Event(
        "A question was refused before it was looked at: a signature or a figure is wrong.", ("rule",), "warning"
    ),
    "round_joined": Event("Invited to a round, checked again, charge reserved."),
    "round_refused": Event("Invited to a round, refused.", ("rule",), "warning"),
    "masked_input_sent": Event(
        "The charge was spent, the extract read, noise and mask added; so many bytes leave.", ("bytes", "ledger_entry")
    ),
    "round_failed": Event("The round ended here without an answer.", ("rule",), "warning"),
    "stage_failed": Event("Why, where a file of this party or this program is at fault.", ("reason",), "error"),
    "reply_took_steps": Event(
        "Opening or counting the extract took longer than `reply_step_ms`: the time of the reply tells that.",
        ("steps",),
        "warning",
    ),
    "answer_received": Event("The answer was checked and kept, with a receipt.", ("bytes",)),
    "round_abandoned": Event("The coordinator gave the round up."),
    "deletion_recorded": Event("The round's rows and secrets are gone, and a signed record says so."),
    "reservation_released": Event("A charge that was reserved, never spent, was given back.", ("reason",)),
    "budget_told": Event("A signed statement of what was spent left this council."),
    "request_refused": Event(
        "A request of the coordinator was not served; it was told this.", ("code", "reason"), "warning"
    ),
    "request_failed": Event(
        "A request was not served because a file of this party cannot be used.", ("kind", "reason"), "error"
    ),
    "answer_failed": Event("Something unexpected: its kind and place. Please report it.", ("error", "place"), "error"),
    "uncaught": Event("The same, outside any request.", ("error", "place"), "error"),
    UNLISTED: Event("An event that is not in this list: its name alone. Please report it.", ("name",), "warning"),
}


def _listed(
    events: Mapping[str, Event], _logger: object, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep what the list allows; the last step before a line is written."""
    name = str(line["event"])
    event = events.get(name)
    fixed = {key: line[key] for key in ("time", "level", *_WHOSE) if key in line}
    if event is None:
        known = name if _NAME.fullmatch(name) else "not a name"
        return {**fixed, "log": LOG_VERSION, "event": UNLISTED, "level": events[UNLISTED].level, "name": known}
    allowed = {key: value for key, value in line.items() if key in event.fields or key in _ALWAYS}
    return {**fixed, "log": LOG_VERSION, "event": name, "level": event.level, **allowed}


def open_log(whose: str, level: str, *, field: str = "council", events: Mapping[str, Event] = EVENTS) -> Log:
    """A log for one party; lines below the level are left out, and those that cannot be written are lost.

    Args:
        whose: A council's GSS code, or the id of the mask holder.
        level: `debug`, `info`, `warning` or `error`.
        field: In which field of each line that stands.
        events: All that the party may write.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            partial(_listed, events),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=False,
    )
    least = logging.getLevelNamesMapping()[level.upper()]
    bound = structlog.get_logger(**{field: whose})

    def write(event: str, fields: Mapping[str, str | int]) -> None:
        if logging.getLevelNamesMapping()[events.get(event, events[UNLISTED]).level.upper()] >= least:
            # A disk that is full, or a collector that is gone, must not keep a node from ending a round.
            with suppress(OSError):
                bound.info(event, **fields)

    return write
