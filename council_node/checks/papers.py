"""The files a node works by: settings, key, policy, mappings, agreements, the list of councils, the ledger."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from council_node.checks.findings import Area, Finding, Verdict, attempt
from council_node.ledger import Ledger
from council_node.mapping import ExtractMapping, load_mapping
from council_node.node_store import DocumentKind, NodeStore
from council_node.policy_file import read_policy
from council_node.settings import Settings, check_files
from federated.agreement import Agreement, open_agreement
from federated.errors import FederatedError
from federated.keys import fingerprint, read_private_key
from federated.roster import Roster, open_roster
from federated.schema import Schema
from federated.trust import TrustSettings
from protocols.identifiers import CouncilId

__all__ = ["agreements_in_force", "check_papers"]

SOON: Final = timedelta(days=30)
NAMED: Final = 8
"""Most columns named in one sentence."""


def check_papers(settings: Settings, schema: Schema, now: datetime) -> Iterator[Finding]:
    """Look at every file the settings name.

    Args:
        settings: Of the node.
        schema: The data dictionary.
        now: Time, UTC.
    """
    yield attempt(Area.PAPERS, "files", lambda: _all_there(settings))
    yield attempt(Area.PAPERS, "key", lambda: _key(settings), where=str(settings.keys.identity))
    yield attempt(Area.PAPERS, "policy", lambda: _policy(settings), where=str(settings.policy))
    yield attempt(Area.PAPERS, "ledger", lambda: _ledger(settings), where=str(settings.ledger_file))
    yield _signers(settings.trust)
    yield from _agreements(settings, schema, now)
    yield from _roster(settings, now)
    yield from _coverage(settings, schema, now)


def _all_there(settings: Settings) -> str:
    check_files(settings)
    return "Every file and folder that the settings name is there."


def _key(settings: Settings) -> str:
    key = read_private_key(settings.keys.identity)
    return f"The council's key is there, and only its owner can read it. Its fingerprint: {fingerprint(key.public)}."


def _policy(settings: Settings) -> str:
    policy = read_policy(settings.policy)
    who = "the checks decide" if policy.automatic else "a person decides on every question"
    return f"The policy is sound: {who}{'; this council is paused' if policy.paused else ''}."


def _ledger(settings: Settings) -> str:
    if not settings.ledger_file.exists():
        return "There is no ledger yet: the node makes it when it first runs."
    with Ledger.read_only(settings.ledger_file, CouncilId(settings.council.id)) as ledger:
        ledger.verify()
        return f"The ledger is whole: {ledger.counter} entries."


def _signers(trust: TrustSettings) -> Finding:
    if trust.one_person_decides:
        return Finding(
            area=Area.PAPERS,
            check="signers",
            verdict=Verdict.LOOK,
            where="trust.agreement_threshold",
            said="One person alone can change what this council answers: one signature is enough for an agreement.",
            remedy="Name a second person under agreement_keys, accept the agreement with both signatures, and set "
            "agreement_threshold to 2.",
        )
    said = (
        f"A list of councils needs {trust.roster_threshold} signatures of {len(trust.roster)} people, and an agreement "
        f"{trust.agreement_threshold} of {len(trust.agreement)}."
    )
    return Finding(area=Area.PAPERS, check="signers", verdict=Verdict.GOOD, said=said)


def _accepted(settings: Settings) -> tuple[Path, ...]:
    return tuple(sorted(settings.agreements.glob("*.dsse")))


def agreements_in_force(settings: Settings, schema: Schema, now: datetime) -> tuple[Agreement, ...]:
    """The accepted agreements that can be read and are in force."""
    found = []
    for path in _accepted(settings):
        try:
            found.append(open_agreement(path.read_bytes(), settings.trust, now, schema=schema))
        except (FederatedError, OSError):
            continue  # told by its own check
    return tuple(found)


def _agreements(settings: Settings, schema: Schema, now: datetime) -> Iterator[Finding]:
    paths = _accepted(settings)
    if not paths:
        yield Finding(
            area=Area.PAPERS,
            check="agreement",
            verdict=Verdict.LOOK,
            where=str(settings.agreements),
            said="This council has accepted no agreement yet.",
            remedy="Read one and accept it with `council-node accept`.",
        )

    def sound(path: Path) -> str:
        agreement = open_agreement(path.read_bytes(), settings.trust, now, schema=schema)
        return f"The agreement '{agreement.id}', version {agreement.version}, is in force to {agreement.valid_to}."

    for path in paths:
        yield attempt(Area.PAPERS, "agreement", partial(sound, path), where=str(path))
    for agreement in agreements_in_force(settings, schema, now):
        if agreement.valid_to - now.date() < SOON:
            yield Finding(
                area=Area.PAPERS,
                check="agreement_ends",
                verdict=Verdict.LOOK,
                where=agreement.id,
                said=f"The agreement '{agreement.id}' ends on {agreement.valid_to}.",
                remedy="Ask for the next version; without it every question is refused from then on.",
            )


def _roster(settings: Settings, now: datetime) -> Iterator[Finding]:
    kept = None
    if settings.store_file.exists():
        with NodeStore.open(settings.store_file) as store:
            kept = store.latest(DocumentKind.ROSTER, "current")
    if kept is None:
        yield Finding(
            area=Area.PAPERS,
            check="roster",
            verdict=Verdict.LOOK,
            said="This council has no list of councils yet.",
            remedy="It comes by itself when the node first runs and is enrolled.",
        )
        return
    envelope, saved_at = kept.body, kept.saved_at

    def in_force() -> str:
        roster = open_roster(envelope, settings.trust, saved_at, None)
        roster.check_in_force(now)
        return f"The list of councils, epoch {roster.epoch}, is in force to {roster.not_after}."

    yield attempt(Area.PAPERS, "roster", in_force)
    yield attempt(
        Area.PAPERS, "listed", lambda: _listed(settings, open_roster(envelope, settings.trust, saved_at, None))
    )


def _listed(settings: Settings, roster: Roster) -> str:
    entry = roster.councils.get(CouncilId(settings.council.id))
    if entry is None:
        raise FederatedError(
            "The list of councils does not name this council.",
            remedy="Enrol with `council-node enrol`, read the fingerprint out, and wait for the next list.",
        )
    own = read_private_key(settings.keys.identity).public
    if entry.public_key != own:
        raise FederatedError(
            f"The list of councils has another key for this council, with the fingerprint "
            f"{fingerprint(entry.public_key)}.",
            remedy="Ring the people who sign the list before anything else.",
        )
    return "The list of councils names this council with its own key."


def _coverage(settings: Settings, schema: Schema, now: datetime) -> Iterator[Finding]:
    """What agreements let people ask about and this council's mappings leave out."""
    mappings = dict(_sound_mappings(settings, schema))
    for agreement in agreements_in_force(settings, schema, now):
        for name, allowed in agreement.datasets.items():
            dataset = schema.dataset(name)
            mapped = mappings[name].columns if name in mappings else {}
            missing = [c for c in allowed.columns if (dataset.column(c).derived_from or c) not in mapped]
            yield _covered(agreement.id, name, missing, held=name in settings.data)


def _sound_mappings(settings: Settings, schema: Schema) -> Iterator[tuple[str, ExtractMapping]]:
    for name, path in settings.data.items():
        try:
            yield name, load_mapping(path, schema)
        except FederatedError:
            continue  # told by the check of the extract


def _covered(agreement: str, dataset: str, missing: list[str], *, held: bool) -> Finding:
    where = f"{agreement}: {dataset}"
    if not missing:
        said = f"Every column of '{dataset}' that the agreement '{agreement}' allows is mapped."
        return Finding(area=Area.PAPERS, check="coverage", verdict=Verdict.GOOD, said=said, where=where)
    named = ", ".join(missing[:NAMED]) + (f" and {len(missing) - NAMED} more" if len(missing) > NAMED else "")
    said = (
        f"{len(missing)} column(s) that the agreement '{agreement}' allows are not mapped: {named}."
        if held
        else f"The agreement '{agreement}' allows questions on '{dataset}', which the settings do not name."
    )
    return Finding(
        area=Area.PAPERS,
        check="coverage",
        verdict=Verdict.LOOK,
        where=where,
        said=said,
        remedy="Questions on them are refused here. Map them if the council holds them; if not, nothing need be done.",
    )
