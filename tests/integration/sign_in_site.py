"""A small site with the routes of signing in, as the console has them, over a store and a clock of the test's own."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from coordinator.sign_in import sessions
from coordinator.sign_in.codes import CODE_GOOD_FOR, code_hash
from coordinator.sign_in.desk import Desk
from coordinator.sign_in.pages import sign_in_routes
from coordinator.sign_in.passwords import Passwords
from coordinator.store import AccountRow
from federated.pages import renderer
from tests.integration.coordinator_federation import seeded

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
OWN = "https://pages.example"
CHEAP = {"time_cost": 1, "memory_cost": 64, "parallelism": 1}
PASSWORD = "correct horse battery"
CODE = "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self):
        return self.now

    def forward(self, **by):
        self.now += timedelta(**by)


def site(visitor):
    navigation = [{"href": "/account", "text": visitor.name or "Sign in", "active": False}]
    return {
        "owner": "Northern hub",
        "name": "Homelessness statistics",
        "home": "/",
        "navigation": navigation,
        "footer": [],
        "styles": "/styles.css",
        "note": "A test.",
        "findable": False,
    }


def make_desk(store, *, clock=None, own=OWN, **changes):
    rng = seeded(7)
    desk = Desk(
        store=store,
        own=own,
        passwords=Passwords(PasswordHasher(**CHEAP), rng),
        templates=renderer({"sign_in": "coordinator.sign_in"}),
        site=site,
        clock=clock or Clock(),
        rng=rng,
    )
    return replace(desk, **changes)


def app_of(desk, styles=b""):
    def who(request):
        seen = desk.visitor_of(request)
        rights = "+".join(sorted(seen.roles)), "+".join(sorted(seen.agreements))
        return PlainTextResponse(f"{seen.name}|{'|'.join(rights)}|{seen.form_token}")

    return Starlette(
        routes=[
            Route("/", who),
            Route("/budgets", who),
            Route("/styles.css", lambda _: Response(styles, media_type="text/css")),
            *sign_in_routes(desk),
        ]
    )


def add_account(desk, name="ann", *, password=PASSWORD, **changes):
    fields = {
        "kind": "local",
        "roles": "analyst",
        "agreements": "north-east",
        "password_hash": None if password is None else desk.passwords.hash(password),
        "created_at": desk.clock(),
        "changed_at": desk.clock(),
    }
    assert desk.store.accounts.add(AccountRow(name=name, **(fields | changes)), by="command line")


def give_code(desk, name="ann"):
    until = desk.clock() + CODE_GOOD_FOR
    desk.store.accounts.set_code(name, code_hash=code_hash(CODE), until=until, by="command line", now=desk.clock())


class Browser(TestClient):
    """A browser that sends what browsers send, and follows nothing by itself."""

    def __init__(self, desk, *, address="192.0.2.1"):
        super().__init__(app_of(desk), base_url=desk.own, follow_redirects=False, client=(address, 1))
        self.own = desk.own

    def read(self, path, **options):
        return self.get(path, headers={"sec-fetch-site": "same-origin"}, **options)

    def submit(self, path, headers=None, **form):
        return self.post(path, data=form, headers={"origin": self.own} if headers is None else headers)

    def form_token(self, path="/sign-in"):
        return self.read(path).text.split('name="token" value="')[1].split('"')[0]

    def sign_in(self, name="ann", password=PASSWORD, following="/budgets", **changes):
        token = self.form_token()
        return self.submit(
            "/sign-in", **({"token": token, "name": name, "password": password, "next": following} | changes)
        )

    def send_code(self, code, name="ann", password="seven ducks on a pond"):
        token = self.form_token("/set-password")
        return self.submit("/set-password", token=token, name=name, code=code, password=password, again=password)

    def who(self):
        return self.read("/").text.split("|")[0]

    @property
    def session(self):
        return self.cookies.get(sessions.COOKIE)


def audited(store):
    return [(row.who, row.operation, row.outcome, row.object) for _, row in reversed(store.audit.latest(size=200))]
