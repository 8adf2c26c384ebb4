"""`coordinator init`: the files a new coordinator starts with. Nothing that exists is ever overwritten."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import yaml

from coordinator.settings import DEFAULT_FILE, Settings, load_settings
from coordinator.tls import issue_certificate, make_authority, save_pair
from federated.errors import FileProblem
from federated.keys import SigningKey, make_key, write_private_key, write_public_key
from protocols.identifiers import RandomSource

__all__ = ["NewCoordinator", "create"]

_HEAD: Final = "# Settings of the coordinator; docs/reference/coordinator-settings.md explains every one.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCoordinator:
    """What its operator says about a new coordinator.

    Attributes:
        id: Goes into every round id.
        name: For people.
        hosts: Names and addresses councils will use; the certificate is for these.
        listen_host: Address to listen on.
        port: TCP port.
        roster_keys: Public lines of the people who sign the roster; at least two.
        agreement_keys: Public lines of the people who sign agreements.
        agreement_threshold: How many of them must have signed one; 1 lets one person alone change it.
    """

    id: str
    name: str
    hosts: Sequence[str]
    listen_host: str
    port: int
    roster_keys: Sequence[str]
    agreement_keys: Sequence[str]
    agreement_threshold: int = 2


def create(folder: Path, new: NewCoordinator, *, now: datetime, rng: RandomSource) -> tuple[Settings, SigningKey]:
    """Write settings, identity key and a TLS certificate from a certificate authority made for this federation.

    Args:
        folder: Where; made if missing.
        new: What to write.
        now: Start of the certificates.
        rng: Secure random bytes for the identity key.

    Returns:
        The settings as read back, and the identity key.

    Raises:
        FileProblem: One of the files exists, or what was said makes no valid settings.
    """
    settings_file = folder / DEFAULT_FILE
    if settings_file.exists():
        raise FileProblem(
            f"{settings_file}: there are settings here already.", remedy="Choose another folder; nothing was changed."
        )
    _make(folder / "tls")
    _make(folder / "agreements")
    settings_file.write_text(_HEAD + yaml.safe_dump(_document(new), sort_keys=False), encoding="utf-8")
    try:
        settings = load_settings(settings_file)
    except FileProblem:
        settings_file.unlink()  # so that the next try starts from nothing
        raise
    key = make_key(rng)
    write_private_key(Path(settings.key), key)
    write_public_key(Path(settings.key).with_suffix(".pub"), key.public)
    _certificates(settings, new, folder / "tls", now)
    return settings, key


def _certificates(settings: Settings, new: NewCoordinator, folder: Path, now: datetime) -> None:
    authority = make_authority(f"{new.name} authority", now=now)
    save_pair(
        authority.key_pem,
        authority.certificate_pem,
        key_file=folder / "authority.key",
        certificate_file=folder / "authority.pem",
    )
    server = issue_certificate(authority, new.hosts, now=now)
    save_pair(
        server.key_pem,
        server.chain_pem,
        key_file=Path(settings.tls.key),
        certificate_file=Path(settings.tls.certificate),
    )


def _document(new: NewCoordinator) -> dict[str, object]:
    return {
        "coordinator": 1,
        "id": new.id,
        "name": new.name,
        "listen": {"host": new.listen_host, "port": new.port},
        "tls": {"certificate": "tls/server.pem", "key": "tls/server.key"},
        "trust": {
            "roster_keys": list(new.roster_keys),
            "roster_threshold": 2,
            "agreement_keys": list(new.agreement_keys),
            "agreement_threshold": new.agreement_threshold,
        },
    }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(f"{folder}: the folder cannot be made ({error.strerror}).") from error
