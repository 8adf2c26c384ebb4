"""What most commands begin with: the settings file and the store, opened and closed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from coordinator.settings import Settings, load_settings
from coordinator.store import Store, open_store

__all__ = ["AsJson", "SettingsFile", "opened"]

SettingsFile = Annotated[Path, typer.Option("--settings", "-s", help="The settings file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def opened(path: Path) -> Iterator[tuple[Settings, Store]]:
    """Settings and store, for one command."""
    settings = load_settings(path)
    store = open_store(settings.database_url)
    try:
        yield settings, store
    finally:
        store.close()
