"""`council-node init`: a folder with everything a node needs, made without overwriting anything."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from council_node.durable_sqlite import FileLock
from council_node.ledger_file import NAME as LEDGER_NAME
from council_node.policy_file import Class2, write_policy
from council_node.settings import Settings, read_settings
from federated.errors import FileProblem
from federated.keys import SigningKey, make_key, write_private_key, write_public_key
from federated.schema import load_schema
from federated.trust import TrustSettings
from federated.yaml_document import read_form

__all__ = ["NewNode", "make_node", "replace_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNode:
    """What a person must say to set a node up.

    Attributes:
        folder: Where to put it.
        council: GSS code.
        coordinator: Id of the coordinator.
        address: Its host and port.
        trust: A file with the public keys this council believes.
        mapping: The mapping file of the case extract.
        ca_file: Certificate authority of the coordinator, if not a public one.
        server_name: Name its certificate is for, if not the host.
        automatic: Whether questions that pass every check are answered without a person.
        class_2: What to do with questions on the most sensitive columns that an agreement allows.
    """

    folder: Path
    council: str
    coordinator: str
    address: str
    trust: Path
    mapping: Path
    ca_file: Path | None = None
    server_name: str | None = None
    automatic: bool = False
    class_2: Class2 = Class2.PERSON


def make_node(new: NewNode) -> tuple[Settings, SigningKey]:
    """Make the folder: settings, key, policy, state and agreements.

    Raises:
        FileProblem: The folder holds a node already, or a file named is missing or wrong.
        QueryError: There is no such council.
    """
    settings_file = new.folder / "node.yaml"
    if settings_file.exists():
        raise FileProblem(
            f"There is a node in {new.folder} already.", remedy="Name another folder, or move that one away."
        )
    council = load_schema().council(new.council)
    trust = read_form(TrustSettings, _read(new.trust), source=str(new.trust), remedy="It lists public keys.")
    if not new.mapping.is_file():
        raise FileProblem(f"The mapping file {new.mapping} is not there.", remedy="See docs/guides/council-it.md.")
    for name in ("state", "agreements"):
        (new.folder / name).mkdir(parents=True, exist_ok=True)
    (new.folder / "state").chmod(0o700)  # who decided what, and what was answered, is for this account alone
    key = make_key(os.urandom)
    write_private_key(new.folder / "identity.pem", key)
    write_public_key(new.folder / "identity.pub", key.public)
    write_policy(new.folder / "policy.yaml", automatic=new.automatic, class_2=new.class_2)
    coordinator: dict[str, Any] = {"id": new.coordinator, "address": new.address}
    if new.ca_file is not None:
        coordinator["ca_file"] = _copied(new.ca_file, new.folder / "coordinator-ca.pem")
    if new.server_name is not None:
        coordinator["server_name"] = new.server_name
    document = {
        "settings": 1,
        "council": {"id": council.id, "name": council.name},
        "coordinator": coordinator,
        "trust": trust.model_dump(mode="json"),
        "keys": {"identity": "identity.pem"},
        "state": "state",
        "agreements": "agreements",
        "policy": "policy.yaml",
        "data": {"case": str(new.mapping.resolve())},
    }
    _write(settings_file, document)
    return read_settings(settings_file), key


def replace_key(settings: Settings, now: datetime) -> tuple[SigningKey, Path | None]:
    """Make a new key for a council whose key was lost or stolen. The node must be stopped.

    Ledger, store, policy and agreements stay: the budget is the council's and not its key's.

    Args:
        settings: Of the node.
        now: The time, UTC; it goes into the name of the old file.

    Returns:
        The new key, and where the old one was put; None where it was not there.

    Raises:
        FileProblem: The node runs, or a file cannot be written.
    """
    path = settings.keys.identity
    lock = FileLock(settings.ledger_file, LEDGER_NAME)
    try:
        when = f"until-{now:%Y%m%dT%H%M%SZ}"
        old = _moved_away(path, when)
        # The public half stays with it: what the council signed before is checked with it.
        _moved_away(path.with_suffix(".pub"), when)
        key = make_key(os.urandom)
        write_private_key(path, key)
        write_public_key(path.with_suffix(".pub"), key.public)
    finally:
        lock.release()
    return key, old


def _moved_away(path: Path, when: str) -> Path | None:
    old = path.with_name(f"{path.stem}-{when}{path.suffix}")
    try:
        path.rename(old)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileProblem(f"{path}: the old key cannot be moved away ({error.strerror}).") from error
    return old


def _copied(source: Path, target: Path) -> str:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise FileProblem(f"{source}: the certificate cannot be copied ({error.strerror}).") from error
    return target.name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: the file of trusted keys cannot be read ({error.strerror}).") from error


def _write(path: Path, document: Mapping[str, Any]) -> None:
    text = "# Settings of a council node. docs/reference/settings.md explains every line.\n" + yaml.safe_dump(
        dict(document), sort_keys=False, allow_unicode=True
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileProblem(f"{path}: the settings cannot be written ({error.strerror}).") from error
