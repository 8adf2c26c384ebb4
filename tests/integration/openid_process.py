"""npm's `oidc-provider` as a process on loopback, and a person's browser that goes to it and comes back."""

import json
import subprocess
from contextlib import contextmanager
from html import unescape
from urllib.parse import urljoin

import httpx

from coordinator.settings import OpenIdSettings
from tests.architecture.source_tree import ROOT
from tests.integration.openid_keys import key_for

SCRIPT = ROOT / "tests" / "integration" / "openid_provider.mjs"
SECRET = "a secret: with signs +/&%"
BACK = "/sign-in/openid/back"


@contextmanager
def provider_process(folder, own, *, algorithm="RS256", groups=None):
    """The provider's issuer, while it runs."""
    assert (ROOT / "node_modules" / "oidc-provider").is_dir(), "run `make setup-web`"
    content = {
        "client_id": "pages",
        "client_secret": SECRET,
        "redirect_uri": own + BACK,
        "algorithm": algorithm,
        "jwks": {"keys": [key_for(algorithm).as_dict(private=True)]},
        "groups": groups or {},
    }
    path = folder / f"{algorithm}.json"
    path.write_text(json.dumps(content))
    with (folder / f"{algorithm}.log").open("wb") as log:
        running = subprocess.Popen(["node", SCRIPT, path], stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            issuer = running.stdout.readline().strip()
            assert issuer.startswith("http://127.0.0.1:"), (folder / f"{algorithm}.log").read_text()
            yield issuer
        finally:
            running.terminate()
            running.wait(timeout=10)
            running.stdout.close()


def settings_for(issuer, **changes):
    fields = {
        "issuer": issuer,
        "client_id": "pages",
        "client_secret_file": "secret",
        "roles_claim": "groups",
        "roles": {"analysts": "analyst", "dpos": "reviewer"},
        "agreements": {"analysts": ["north-east"]},
    }
    return OpenIdSettings(**(fields | changes))


def at_provider(address, login, own):
    """Goes from where our pages sent the browser, through the provider's form, to the address that it sends back to."""
    with httpx.Client(trust_env=False, timeout=20) as browser:
        reply = browser.get(address)
        for _ in range(10):
            location = reply.headers.get("location")
            if location is not None:
                target = urljoin(str(reply.url), location)
                if target.startswith(own):
                    return target.removeprefix(own)
                reply = browser.get(target)
                continue
            assert reply.status_code == 200, reply.text
            action = unescape(reply.text.split('action="')[1].split('"')[0])
            reply = browser.post(urljoin(str(reply.url), action), data={"login": login})
        raise AssertionError(f"the provider never sent the browser back: {reply.status_code}")
