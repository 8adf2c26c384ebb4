"""The running node: its log, its clock, its one connection. The outermost layer, without rules of its own."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import structlog

from council_node.link import NodeLink
from council_node.link_channel import LinkSettings
from council_node.link_enrolment import enrol
from council_node.link_session import LinkIdentity
from council_node.node import CouncilNode
from council_node.settings import Settings, read_settings
from council_node.station import Station
from federated.errors import FederatedError
from federated.keys import fingerprint, read_private_key
from federated.shell import now_utc
from protocols.identifiers import CouncilId

__all__ = ["enrol_node", "link_settings", "open_station", "run_node"]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def event_log(settings: Settings) -> structlog.stdlib.BoundLogger:
    """A log of JSON lines on standard output; events and ids only, never a case value."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.log_level.value]),
        cache_logger_on_first_use=False,
    )
    log: structlog.stdlib.BoundLogger = structlog.get_logger(council=settings.council.id)
    return log


def open_station(path: Path) -> Station:
    """Everything this council holds, with the system's clock and entropy."""
    settings = read_settings(path)
    log = event_log(settings)

    def write(event: str, fields: Mapping[str, str | int]) -> None:
        log.info(event, **fields)

    return Station(settings, clock=now_utc, rng=os.urandom, log=write)


def link_settings(settings: Settings) -> LinkSettings:
    """How to reach the coordinator."""
    coordinator = settings.coordinator
    return LinkSettings(
        address=coordinator.address,
        ca_file=coordinator.ca_file,
        server_name=coordinator.server_name,
        proxy=coordinator.proxy,
    )


def run_node(path: Path) -> None:
    """Connect and answer until told to stop (SIGTERM or Ctrl-C)."""
    with open_station(path) as station:
        asyncio.run(_serve(station))


async def _serve(station: Station) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    node = CouncilNode(station)
    coordinator = station.settings.coordinator.id
    identity = LinkIdentity(council=station.council, coordinator_id=coordinator, sign=station.key.sign)
    link = NodeLink(link_settings(station.settings), identity, node.answer, rng=os.urandom, on_event=station.log)
    station.log("started", {"ledger_entry": station.ledger.counter})
    await link.run(stop)
    station.log("stopped", {})


def enrol_node(path: Path) -> str:
    """Send this council's public key to the coordinator, to be put into the next list of councils.

    Returns:
        The key's fingerprint, for the telephone.

    Raises:
        FederatedError: The coordinator shows another fingerprint than this key's, or cannot be reached.
    """
    settings = read_settings(path)
    key = read_private_key(settings.keys.identity)
    shown = asyncio.run(enrol(link_settings(settings), CouncilId(settings.council.id), key.public, key.sign))
    own = fingerprint(key.public)
    if shown != own:
        raise FederatedError(
            "The coordinator received another key than this council's.", remedy="Do not go on; ring it."
        )
    return own
