"""Pages of governance over a real store: versions of agreements and what they changed, and repeats of a question."""

import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml

from coordinator.store import AgreementRow
from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.manifest import MANIFEST_TYPE
from federated.signing import sign_payload, unsafe_payload
from protocols.encoding import sha256
from tests.integration.console_world import console_world
from tests.integration.coordinator_federation import ANALYST, CEM, make_agreement


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with console_world(tmp_path_factory.mktemp("governance")) as made:
        yield made


@pytest.fixture(scope="module")
def closed(world):
    with world.served() as served:
        yield served


def said(reply):
    """What a page says, without its marks."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", reply.text)).split())


def keep_agreement(world, envelope):
    digest = sha256(unsafe_payload(envelope, AGREEMENT_TYPE))
    agreement = parse_agreement(unsafe_payload(envelope, AGREEMENT_TYPE))
    row = AgreementRow(digest=digest, agreement_id=agreement.id, envelope=envelope, added_at=world.federation.now())
    world.federation.store.membership.add_agreement(row)
    return digest.hex()


# Versions


def test_a_version_says_what_it_changed_the_looser_first_and_whether_its_signatures_hold(world, closed):
    old = yaml.safe_load(unsafe_payload(make_agreement(world.federation.councils, version=2), AGREEMENT_TYPE))
    old |= {"min_cohort": 7, "decision_days": 13}
    payload = yaml.safe_dump(old, sort_keys=False, allow_unicode=True).encode()
    earlier = keep_agreement(world, sign_payload(payload, AGREEMENT_TYPE, [CEM]))
    current = world.federation.agreement.digest.hex()
    assert f'href="/agreements/{earlier}"' in closed.ask("/agreements").text
    page = closed.ask(f"/agreements/{current}")
    assert f'href="/agreements/{earlier}"' in page.text
    told = said(page)
    assert "Wider or looser Changed – min cohort: it was 7, it is now 5." in told
    assert told.index("min cohort: it was") < told.index("decision days: it was")
    assert "Holds Signatures." in told
    assert "It is in force" in told
    assert "It is not in force." in said(closed.ask(f"/agreements/{earlier}"))


def test_a_version_with_a_wrong_signature_says_so(world, closed):
    forged = keep_agreement(world, sign_payload(b"# forged\n" + unsafe_payload(make_agreement(world.federation.councils, version=1), AGREEMENT_TYPE), AGREEMENT_TYPE, [ANALYST]))  # fmt: skip
    assert "Does not hold Signatures." in said(closed.ask(f"/agreements/{forged}"))


def test_an_agreement_that_is_not_here_is_not_shown(closed):
    assert closed.ask(f"/agreements/{'0' * 64}").status == 404


# Repeats


def test_a_repeat_is_held_against_the_question_before(world, closed):
    store = world.federation.store
    first = store.proposals.get(bytes.fromhex(world.plans["released"]))
    assert first.manifest_id == "lost-tenancies-2026"
    assert first.return_by is not None
    document = yaml.safe_load(unsafe_payload(first.manifest_envelope, MANIFEST_TYPE))
    document["recipients"].append({"role": "reporters", "body": "The Paper", "type": "commercial"})
    payload = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
    repeat = replace(
        store.proposals.get(bytes.fromhex(world.plans["withdrawn"])),
        plan_digest=sha256(b"a repeat"),
        manifest_envelope=sign_payload(payload, MANIFEST_TYPE, [ANALYST]),
        manifest_id=first.manifest_id,
        received_at=world.federation.now() + timedelta(days=1),
    )
    assert store.proposals.add(repeat)
    page = closed.ask(f"/questions/{repeat.plan_digest.hex()}")
    assert "What changed since it was last asked" in page.text
    assert "Wider or looser New – recipients, 'The Paper', body: The Paper." in said(page)
    other = replace(repeat, plan_digest=sha256(b"another"), manifest_id="quite-another")
    assert store.proposals.add(other)
    assert "since it was last asked" not in closed.ask(f"/questions/{other.plan_digest.hex()}").text
