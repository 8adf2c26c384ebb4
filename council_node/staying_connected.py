"""Staying connected to the coordinator until told to stop: the same loop for every party that dials out."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from datetime import datetime

from council_node.event_log import Log
from council_node.health import BEAT_S, Heartbeat, health_file
from council_node.link import NodeLink
from council_node.link_channel import LinkSettings
from council_node.link_session import LinkIdentity
from council_node.party import PartySettings
from protocols.identifiers import RandomSource

__all__ = ["answer_until_stopped", "link_settings"]


def link_settings(settings: PartySettings) -> LinkSettings:
    """How to reach the coordinator."""
    coordinator = settings.coordinator
    return LinkSettings(
        address=coordinator.address,
        ca_file=coordinator.ca_file,
        server_name=coordinator.server_name,
        proxy=coordinator.proxy,
    )


async def answer_until_stopped(
    settings: PartySettings,
    identity: LinkIdentity,
    answer: Callable[[bytes], bytes],
    *,
    clock: Callable[[], datetime],
    rng: RandomSource,
    log: Log,
) -> None:
    """Connect, answer and connect again, noting the contact, until SIGTERM or Ctrl-C.

    Args:
        settings: Where the coordinator is, and where the contact is noted.
        identity: Who we are.
        answer: Answers one request.
        clock: Gives the time, UTC.
        rng: For the waits between attempts.
        log: Takes the link's events.
    """
    stop = _stop_when_told()
    heartbeat = Heartbeat(health_file(settings))

    def heard(event: str, fields: Mapping[str, str | int]) -> None:
        heartbeat.heard(event, clock())
        log(event, fields)

    link = NodeLink(link_settings(settings), identity, answer, rng=rng, on_event=heard)
    beating = asyncio.create_task(_beat(heartbeat, clock), name="heartbeat")
    try:
        await link.run(stop)
    finally:
        beating.cancel()


def _stop_when_told() -> asyncio.Event:
    """Set on SIGTERM and SIGINT; on Windows, on Ctrl-C and Ctrl-Break, which is what service managers send."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(*_: object) -> None:
        loop.call_soon_threadsafe(stop.set)

    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), tell)
    return stop


async def _beat(heartbeat: Heartbeat, clock: Callable[[], datetime]) -> None:
    while True:
        heartbeat.beat(clock())
        await asyncio.sleep(BEAT_S)
