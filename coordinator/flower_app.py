"""The coordinator as a Flower `ServerApp`: the same store, rounds, proposals and analysts' service over Flower's link.

It runs for as long as the Flower run does. Where its settings are is the run's configuration; everything else is in
them, as for `coordinator serve`. Flower's public API only (`flwr.app`, `flwr.serverapp`).
"""

from functools import partial
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from coordinator.flower_link import FlowerLink
from coordinator.serve import LinkParts, run_server
from coordinator.settings import load_settings
from federated.errors import QueryError

__all__ = ["READY_FILE", "SETTINGS", "app"]

SETTINGS = "settings"
READY_FILE = "ready-file"

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Serve until the run is stopped.

    Raises:
        QueryError: The run does not say where the coordinator's settings are.
        FederatedError: A file or the address cannot be used.
    """
    settings, ready = (str(context.run_config.get(name, "")) for name in (SETTINGS, READY_FILE))
    if not settings:
        raise QueryError(
            "The run does not say where the coordinator's settings are.",
            remedy="Start it with 'coordinator flower run', or name them in --run-config as 'settings'.",
        )
    run_server(
        load_settings(Path(settings)), ready_file=Path(ready) if ready else None, link=partial(over_flower, grid)
    )


def over_flower(grid: Grid, parts: LinkParts) -> FlowerLink:
    """The link of this run."""
    return FlowerLink(
        grid,
        coordinator_id=parts.coordinator_id,
        identities=parts.identities,
        rng=parts.rng,
        record=parts.record,
        on_event=parts.on_event,
    )
