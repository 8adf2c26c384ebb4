"""The running mask holder: its log, its clock, its one connection. The outermost layer, without rules of its own."""

import asyncio
import os
from importlib.metadata import version
from pathlib import Path

from council_node.abandoned import abandoned_rounds_ended
from council_node.crash_safety import tell_without_values
from council_node.event_log import open_log
from council_node.journal import OUTCOMES_OF_HOLDERS, journalled
from council_node.link_session import LinkIdentity
from council_node.staying_connected import answer_until_stopped
from federated.shell import now_utc, settle_in
from mask_holder.desk import HolderDesk
from mask_holder.events import HOLDER_EVENTS
from mask_holder.office import Office
from mask_holder.settings import read_settings

__all__ = ["link_identity", "run_holder"]


def link_identity(office: Office) -> LinkIdentity:
    """Who this mask holder is on the link."""
    return LinkIdentity(
        council=office.id,
        coordinator_id=office.settings.coordinator.id,
        sign=office.key.sign,
        software=version("council-federation"),
    )


def run_holder(path: Path) -> None:
    """Connect and answer until told to stop (SIGTERM or Ctrl-C)."""
    settings = read_settings(path)
    log = open_log(settings.holder.id, settings.log_level.value, field="holder", events=HOLDER_EVENTS)
    tell_without_values(lambda kind, place: log("uncaught", {"error": kind, "place": place}))
    with Office(settings, clock=now_utc, rng=os.urandom, log=log) as office:
        settle_in()
        asyncio.run(_serve(office))


async def _serve(office: Office) -> None:
    desk = HolderDesk(office)
    answer = journalled(desk.answer, office.log, outcomes=OUTCOMES_OF_HOLDERS)
    opened = len(office.record.entries())
    office.log("started", {"opened": opened, "version": version("council-federation")})
    with abandoned_rounds_ended(desk, office.log):
        await answer_until_stopped(
            office.settings, link_identity(office), answer, clock=office.now, rng=office.rng, log=office.log
        )
    office.log("stopped", {})
