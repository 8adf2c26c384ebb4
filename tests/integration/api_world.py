"""The programs' interface over the console's world, with real accounts and tokens, asked in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient
from starlette.types import ASGIApp

from coordinator.console.site import build_site
from coordinator.console.visitor import Role, Scope
from coordinator.sign_in.audit import Readings
from coordinator.sign_in.tokens import make_token
from coordinator.store import AccountRow
from tests.integration.console_world import ConsoleWorld, console_world
from tests.integration.coordinator_federation import seeded
from tests.integration.sign_in_site import make_desk

ORIGIN = "https://pages.example"
STRANGER = "sally.stranger"
NAMES = {role.value: f"pat.{role.value}" for role in Role} | {"stranger": STRANGER}
"""Account by who it is."""


def site_of(
    world: ConsoleWorld,
    open_sign_in: Callable[[Any, Callable[[], datetime]], Any],
    *,
    origin: str = ORIGIN,
    later_days: int = 0,
    **console: object,
) -> ASGIApp:
    """Pages and programs of a world, some days later; `open_sign_in` is given what is around it, and the clock."""
    store = world.federation.store

    def clock() -> datetime:
        return world.federation.now() + timedelta(days=later_days)

    return build_site(
        world.settings(**console),
        world.reading,
        origin=origin,
        note_read=Readings(store, clock),
        styles=b"",
        clock=clock,
        rng=seeded(11),
        deciding=store,
        open_sign_in=lambda around: open_sign_in(around, clock),
    )


@dataclass
class ApiWorld:
    """The site, and a token for each role, `stranger` of another agreement, and `wrong`."""

    console: ConsoleWorld
    tokens: dict[str, str] = field(default_factory=dict)

    def site(self, **options: Any) -> ASGIApp:
        store = self.console.federation.store
        return site_of(
            self.console, lambda around, clock: make_desk(store, own=ORIGIN, clock=clock, site=around), **options
        )

    def headers(self, who: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[who]}"} if who else {}


class Program(TestClient):
    """A program that asks the interface; paths are beneath `/api/v1`."""

    def __init__(self, world: ApiWorld, who: str = "", *, site: ASGIApp | None = None, **console: Any) -> None:
        self.world = world
        made = world.site(**console) if site is None else site
        super().__init__(made, base_url=ORIGIN, follow_redirects=False, headers=world.headers(who))

    def ask(self, path: str, **options: Any):
        return self.get(f"/api/v1{path}", **options)


@contextmanager
def api_world(folder: Path, *, database: str | None = None) -> Iterator[ApiWorld]:
    with console_world(folder, database=database) as console:
        world = ApiWorld(console)
        store, now = console.federation.store, console.federation.now()
        for number, (who, name) in enumerate(NAMES.items()):
            stranger = who == "stranger"
            row = AccountRow(
                name=name,
                kind="local",
                roles="analyst reviewer observer" if stranger else who,
                agreements="another" if stranger else console.agreement,
                created_at=now,
                changed_at=now,
            )
            assert store.accounts.add(row, by="command line")
            world.tokens[who], _ = make_token(
                store,
                row,
                label=who,
                scope=Scope.ASK,
                days=366,
                by="command line",
                rng=seeded(900 + number),
                now=now,
            )
        world.tokens["wrong"] = "hst_wrong"
        yield world
