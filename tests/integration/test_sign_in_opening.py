"""Signing in as the settings say, with the passwords' real parameters."""

import pytest
import yaml

from coordinator.settings import SignInSettings, load_settings
from coordinator.sign_in.opening import open_desk
from coordinator.store import open_store
from federated.errors import FileProblem
from tests.integration.coordinator_federation import seeded
from tests.integration.sign_in_site import OWN, Browser, Clock, add_account, site

OPENID = {
    "issuer": "https://login.example",
    "client_id": "pages",
    "client_secret_file": "secret",
    "roles": {"a": "analyst"},
}


@pytest.fixture
def store(tmp_path):
    made = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    made.close()


def opened(store, settings=None, own=OWN):
    return open_desk(settings or SignInSettings(), store, own=own, site=site, clock=Clock(), rng=seeded(3))


def test_people_sign_in_with_the_settings_left_out(store):
    desk = opened(store)
    add_account(desk)
    assert desk.store.accounts.get("ann").password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    browser = Browser(desk)
    assert browser.sign_in().status_code == 303
    assert browser.who() == "ann"
    assert browser.read("/sign-in/openid").status_code == 404


def test_both_ways_are_shown_when_both_are_there(store, tmp_path):
    (tmp_path / "secret").write_text("s")
    openid = OPENID | {"client_secret_file": str(tmp_path / "secret")}
    for local in (True, False):
        page = Browser(opened(store, SignInSettings(local=local, openid=openid))).read("/sign-in").text
        assert "Sign in with your organisation" in page
        assert ('type="password"' in page) is local


@pytest.mark.parametrize(
    ("settings", "own", "sentence"),
    [
        (SignInSettings(), "http://pages.example", "over TLS alone"),
        (SignInSettings(local=False), OWN, "Nobody could sign in"),
        (SignInSettings(openid=OPENID | {"client_secret_file": "/nowhere"}), OWN, "client secret"),
    ],
)
def test_settings_with_which_nobody_could_sign_in_are_refused(store, settings, own, sentence):
    with pytest.raises(FileProblem, match=sentence) as problem:
        opened(store, settings, own)
    assert problem.value.remedy


def test_the_secret_is_looked_for_beside_the_settings_file(tmp_path):
    content = {
        "coordinator": 1,
        "id": "hub",
        "name": "Hub",
        "tls": {"certificate": "c", "key": "k"},
        "trust": {
            "roster_keys": [f"ed25519:{'0' * 63}1", f"ed25519:{'0' * 63}2"],
            "agreement_keys": [f"ed25519:{'0' * 63}3", f"ed25519:{'0' * 63}4"],
        },
        "console": {"sign_in": {"openid": OPENID}},
    }
    path = tmp_path / "coordinator.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load_settings(path).console.sign_in.openid.client_secret_file == str(tmp_path / "secret")
