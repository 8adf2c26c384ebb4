"""`mask-holder init`: a folder with everything a mask holder needs, made without overwriting anything."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from council_node.settings import read_bytes
from federated.errors import FileProblem
from federated.keys import SigningKey, make_key, write_private_key, write_public_key
from federated.trust import TrustSettings
from federated.yaml_document import read_form
from mask_holder.record import OpeningRecord
from mask_holder.settings import DEFAULT_FILE, Settings, read_settings, write_settings

__all__ = ["NewHolder", "make_holder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHolder:
    """What a person must say to set a mask holder up.

    Attributes:
        folder: Where to put it.
        id: The short name that agreements will give it.
        name: The body's name.
        coordinator: Id of the coordinator.
        address: Its host and port.
        trust: A file with the public keys this body believes.
        ca_file: Certificate authority of the coordinator, if not a public one.
        server_name: Name its certificate is for, if not the host.
    """

    folder: Path
    id: str
    name: str
    coordinator: str
    address: str
    trust: Path
    ca_file: Path | None = None
    server_name: str | None = None


def make_holder(new: NewHolder) -> tuple[Settings, SigningKey]:
    """Make the folder: settings, key, state with an empty record of openings, and agreements.

    Raises:
        FileProblem: The folder holds a mask holder already, or a file named is missing or wrong.
    """
    file = new.folder / DEFAULT_FILE
    if file.exists():
        raise FileProblem(
            f"There is a mask holder in {new.folder} already.", remedy="Name another folder, or move that one away."
        )
    trust = read_form(
        TrustSettings, read_bytes(new.trust, "file of trusted keys"), source=str(new.trust), remedy="It lists keys."
    )
    for name in ("state", "agreements"):
        (new.folder / name).mkdir(parents=True, exist_ok=True)
    (new.folder / "state").chmod(0o700)
    coordinator = {"id": new.coordinator, "address": new.address}
    if new.ca_file is not None:
        coordinator["ca_file"] = _copied(new.ca_file, new.folder / "coordinator-ca.pem")
    if new.server_name is not None:
        coordinator["server_name"] = new.server_name
    write_settings(file, holder={"id": new.id, "name": new.name}, coordinator=coordinator, trust=trust)
    try:
        settings = read_settings(file)
    except FileProblem:
        file.unlink()  # what was typed is wrong, and is to be typed again
        raise
    # Here and nowhere else: whoever loses the whole folder must not find an empty record in the next one.
    if not settings.record_file.exists():
        OpeningRecord.create(settings.record_file)
    key = make_key(os.urandom)
    write_private_key(settings.keys.identity, key)
    write_public_key(settings.keys.identity.with_suffix(".pub"), key.public)
    return settings, key


def _copied(source: Path, target: Path) -> str:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise FileProblem(f"{source}: the certificate cannot be copied ({error.strerror}).") from error
    return target.name
