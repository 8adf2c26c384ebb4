"""`coordinator doctor`: everything an operator would otherwise find out one error at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from coordinator.boundaries import load_boundaries
from coordinator.connections import Connections
from coordinator.roster import Membership, load_membership, own_identity
from coordinator.settings import OperationsSettings, Settings
from coordinator.store import Store, open_store
from coordinator.tls import load_certificate
from federated.errors import FederatedError
from federated.keys import fingerprint
from federated.schema import load_schema
from federated.trust import TrustSettings

__all__ = ["Finding", "Verdict", "examine", "findings_of"]

SOON: Final = timedelta(days=14)
_PATIENCE_S: Final = 5.0
_LONGEST_REPLY: Final = 1000


class Verdict(StrEnum):
    """How one check came out."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check, what it found, and what to do."""

    check: str
    verdict: Verdict
    text: str


def examine(settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """Run every check; one that fails does not hide the others."""
    findings = [
        _attempt("identity", lambda: f"this coordinator is '{own_identity(settings).id}'"),
        _certificate(settings, now),
        _attempt("state folder", lambda: _writable(Path(settings.state))),
        _signers(settings.trust),
        *([_attempt("boundaries", lambda: _boundaries(settings))] if settings.boundaries is not None else []),
    ]
    try:
        store = open_store(settings.database_url)
    except FederatedError as error:
        return (*findings, Finding(check="database", verdict=Verdict.BAD, text=error.diagnostics()))
    try:
        findings.append(Finding(check="database", verdict=Verdict.GOOD, text=_database(store, now)))
        findings.extend(_operations(settings.operations))
        findings.extend(_membership(settings, store, now))
    finally:
        store.close()
    return tuple(findings)


def findings_of(settings: Settings, store: Store, now: datetime) -> tuple[Finding, ...]:
    """What can be found out without writing anything: certificate, signers, roster, agreements, enrolments."""
    return (_certificate(settings, now), _signers(settings.trust), *_membership(settings, store, now))


def _signers(trust: TrustSettings) -> Finding:
    if trust.one_person_decides:
        text = (
            "agreement_threshold is 1, so one person alone can change what councils are asked to answer under. "
            "Name a second person under trust.agreement_keys, have both sign, and set agreement_threshold to 2"
        )
        return Finding(check="signers", verdict=Verdict.WARNING, text=text)
    text = (
        f"{trust.roster_threshold} of {len(trust.roster)} people must sign a list of councils, "
        f"{trust.agreement_threshold} of {len(trust.agreement)} an agreement"
    )
    return Finding(check="signers", verdict=Verdict.GOOD, text=text)


def _database(store: Store, now: datetime) -> str:
    holder = store.desk.holder()
    if holder is None or holder.until is None:
        return "opened and up to date; no coordinator acts on it"
    heard = "acts on it" if holder.until >= now else "acted on it, and was not heard of since"
    return f"opened and up to date; '{holder.owner[:8]}' {heard}, until {holder.until:%d %B %Y %H:%M:%S}"


def _operations(settings: OperationsSettings) -> Iterator[Finding]:
    """Ask the serving coordinator itself, where it can be asked."""
    if settings.port is None:
        return
    connection = HTTPConnection(settings.host, settings.port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/readyz")
        reply = connection.getresponse()
        text = reply.read(_LONGEST_REPLY).decode("utf-8", "replace").strip()
        verdict = Verdict.GOOD if reply.status == HTTPStatus.OK else Verdict.WARNING
    except (OSError, HTTPException) as error:
        verdict, text = Verdict.WARNING, f"nothing answers at {settings.host}:{settings.port} ({type(error).__name__})"
    finally:
        connection.close()
    yield Finding(check="readiness", verdict=verdict, text=text)


def _attempt(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check=check, verdict=Verdict.GOOD, text=look())
    except FederatedError as error:
        return Finding(check=check, verdict=Verdict.BAD, text=error.diagnostics())
    except OSError as error:
        return Finding(check=check, verdict=Verdict.BAD, text=f"{error.filename}: {error.strerror}.")


def _writable(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".doctor"
    probe.write_bytes(b"")
    probe.unlink()
    return f"{folder} can be written to"


def _boundaries(settings: Settings) -> str:
    found = load_boundaries(settings, load_schema())
    return "none are named" if found is None else f"{found.name} has a shape for each region"


def _certificate(settings: Settings, now: datetime) -> Finding:
    def look() -> str:
        certificate = load_certificate(Path(settings.tls.key), Path(settings.tls.certificate), now=now)
        return f"for {', '.join(sorted(certificate.names))}, until {certificate.not_after:%d %B %Y}"

    found = _attempt("certificate", look)
    if found.verdict is Verdict.GOOD:
        ends = load_certificate(Path(settings.tls.key), Path(settings.tls.certificate), now=now).not_after
        if ends - now < SOON:
            return Finding(check=found.check, verdict=Verdict.WARNING, text=f"{found.text}. Renew it now.")
    return found


def _membership(settings: Settings, store: Store, now: datetime) -> Iterator[Finding]:
    membership = load_membership(settings, store, now)
    yield _roster(membership, settings, now)
    count = len(membership.agreements)
    verdict = Verdict.GOOD if count else Verdict.WARNING
    yield Finding(check="agreements", verdict=verdict, text=f"{count} in force")
    yield from _holders(membership, Connections.read(Path(settings.state)))
    for problem in membership.problems:
        yield Finding(check="signed files", verdict=Verdict.WARNING, text=problem)
    waiting = sum(row.state == "pending" for row in store.membership.enrolments())
    if waiting:
        text = f"{waiting} waiting; 'coordinator enrol list' shows them"
        yield Finding(check="enrolments", verdict=Verdict.WARNING, text=text)


def _holders(membership: Membership, here: Connections) -> Iterator[Finding]:
    """Each mask holder that agreements name, and whether questions under them can be answered now."""
    for holder in membership.holders.values():
        connected = holder.id in here.holders
        who = f"{holder.name} ('{holder.id}', {fingerprint(holder.key)})"
        text = f"{who} is {'connected' if connected else 'not connected; questions that need it wait for it'}"
        yield Finding(check="mask holder", verdict=Verdict.GOOD if connected else Verdict.WARNING, text=text)


def _roster(membership: Membership, settings: Settings, now: datetime) -> Finding:
    roster = membership.roster
    if roster is None:
        text = "none in force; draft one with 'coordinator roster draft', have it signed, and publish it"
        return Finding(check="roster", verdict=Verdict.BAD, text=text)
    if roster.coordinator_id != settings.id:
        text = f"it is for the coordinator '{roster.coordinator_id}', not '{settings.id}'"
        return Finding(check="roster", verdict=Verdict.BAD, text=text)
    text = f"epoch {roster.epoch}, {len(roster.councils)} councils, until {roster.not_after:%d %B %Y}"
    ends_soon = roster.not_after - now.date() < SOON
    return Finding(
        check="roster",
        verdict=Verdict.WARNING if ends_soon else Verdict.GOOD,
        text=f"{text}. Publish the next one now." if ends_soon else text,
    )
