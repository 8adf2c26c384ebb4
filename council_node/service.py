"""The running node: its log, its clock, its one connection. The outermost layer, without rules of its own."""

import asyncio
import os
from importlib.metadata import version
from pathlib import Path

from council_node.abandoned import abandoned_rounds_ended
from council_node.crash_safety import tell_without_values
from council_node.event_log import open_log
from council_node.journal import journalled
from council_node.link_enrolment import enrol
from council_node.link_session import LinkIdentity
from council_node.node import CouncilNode
from council_node.pacing import paced
from council_node.settings import read_settings
from council_node.station import Station
from council_node.staying_connected import answer_until_stopped, link_settings
from federated.errors import FederatedError
from federated.keys import fingerprint, read_private_key
from federated.shell import now_utc, settle_in
from protocols.identifiers import CouncilId

__all__ = ["enrol_node", "link_identity", "open_station", "run_node"]


def open_station(path: Path) -> Station:
    """Everything this council holds, with the system's clock and entropy."""
    settings = read_settings(path)
    log = open_log(settings.council.id, settings.log_level.value)
    tell_without_values(lambda kind, place: log("uncaught", {"error": kind, "place": place}))
    return Station(settings, clock=now_utc, rng=os.urandom, log=log)


def link_identity(station: Station) -> LinkIdentity:
    """Who this node is, on whichever link."""
    return LinkIdentity(
        council=station.council,
        coordinator_id=station.settings.coordinator.id,
        sign=station.key.sign,
        software=version("council-federation"),
    )


def run_node(path: Path) -> None:
    """Connect and answer until told to stop (SIGTERM or Ctrl-C)."""
    with open_station(path) as station:
        settle_in()
        asyncio.run(_serve(station))


async def _serve(station: Station) -> None:
    node = CouncilNode(station)
    answer = journalled(node.answer, station.log, ledger_entry=lambda: station.ledger.counter)
    answer = paced(answer, step_ms=station.settings.reply_step_ms, log=station.log)
    station.log("started", {"ledger_entry": station.ledger.counter, "version": version("council-federation")})
    with abandoned_rounds_ended(node, station.log):
        await answer_until_stopped(
            station.settings, link_identity(station), answer, clock=station.now, rng=station.rng, log=station.log
        )
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
