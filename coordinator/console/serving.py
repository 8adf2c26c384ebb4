"""Serves the console: a process of its own, with TLS or behind a proxy of this computer, until told to stop."""

import signal
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from coordinator.console.site import build_site
from coordinator.settings import Settings
from coordinator.sign_in.audit import Readings
from coordinator.sign_in.opening import open_desk
from coordinator.store import open_store
from coordinator.tls import load_certificate
from federated.pages import stylesheet
from federated.pages.serving import Certificate, listen, run_site
from protocols.identifiers import RandomSource

__all__ = ["serve_console"]

MOST_CONNECTIONS: Final = 256


def serve_console(
    settings: Settings, *, tell: Callable[[str], None], clock: Callable[[], datetime], rng: RandomSource
) -> None:
    """Serve the pages until SIGTERM or SIGINT.

    Args:
        settings: Of the coordinator.
        tell: Takes the line that says where the pages are, once they can be asked for.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.

    Raises:
        FederatedError: A file, the database or the address cannot be used.
    """
    console = settings.console
    certificate = None
    if not console.behind_proxy:
        load_certificate(Path(settings.tls.key), Path(settings.tls.certificate), now=clock())
        certificate = Certificate(chain=Path(settings.tls.certificate), key=Path(settings.tls.key))
    styles = stylesheet()
    reading = open_store(settings.database_url, read_only=True)
    writing = open_store(settings.database_url)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)  # the server ends what is under way first, and then raises the signal again
    with (
        closing(reading),
        closing(writing),
        closing(listen(console.listen.host, console.listen.port, connections=MOST_CONNECTIONS)) as listening,
    ):
        port = int(listening.getsockname()[1])
        origin = console.public_address or f"https://{console.listen.host}:{port}"
        signing = console.sign_in
        site = build_site(
            settings,
            reading,
            origin=origin,
            note_read=Readings(writing, clock),
            styles=styles,
            clock=clock,
            rng=rng,
            deciding=None if signing is None else writing,
            open_sign_in=None
            if signing is None
            else lambda around: open_desk(signing, writing, own=origin, site=around, clock=clock, rng=rng),
        )
        behind = f", for a proxy on port {port}" if console.behind_proxy else ""
        tell(f"console ready on {origin}{behind}")
        run_site(
            site,
            listening,
            connections=MOST_CONNECTIONS,
            certificate=certificate,
            behind_proxy=console.behind_proxy,
        )


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
