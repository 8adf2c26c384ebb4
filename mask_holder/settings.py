"""The mask holder's settings: one YAML file, checked in full before anything runs.

Relative paths are read from the folder of the settings file, so the whole folder can be moved. What each setting is
for stands beside it, and `docs/reference/mask-holder-settings.md` is made from that.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import Field, model_validator

from council_node.party import Party
from council_node.settings import Coordinator, Keys, LogLevel, ca_file_of, check_present, read_located
from federated.agreement_parts import HolderName
from federated.clauses import Form, Line
from federated.errors import FileProblem
from federated.trust import TrustSettings

__all__ = ["DEFAULT_FILE", "MASK_HOLDER", "Settings", "check_files", "read_settings", "write_settings"]

DEFAULT_FILE: Final = Path("mask-holder.yaml")
MASK_HOLDER: Final = Party(noun="mask holder", program="mask holder", command="mask-holder")
_REMEDY: Final = "docs/reference/mask-holder-settings.md explains every setting."


class Holder(Form):
    """Whose mask holder this is."""

    id: HolderName = Field(description="The short name that agreements give it, such as `lga`. It never changes.")
    name: Line = Field(description="The body's name, for its own log and lists.")


class Settings(Form):
    """Everything a mask holder must be told; read once when it starts."""

    settings: Literal[1] = Field(description="Version of this form: always `1`.")
    holder: Holder = Field(description="Whose mask holder this is.")
    coordinator: Coordinator = Field(description="How to reach the coordinator.")
    trust: TrustSettings = Field(
        description="The public keys that this body believes, compared with their owners by telephone."
    )
    keys: Keys = Field(description="The mask holder's own key.")
    state: Path = Field(
        description="Folder for what it keeps: the list of councils, and its record of what it opened. Back it up; "
        "never put back an old copy, or a sum could be opened a second time."
    )
    agreements: Path = Field(description="Folder of the signed agreements that this body has accepted.")
    log_level: LogLevel = Field(default=LogLevel.INFO, description="How much the log tells; never a mask or a key.")
    threads: Annotated[int, Field(ge=1, le=64)] = Field(default=2, description="Processor threads for making masks.")

    @model_validator(mode="after")
    def _two_folders(self) -> "Settings":
        if self.state == self.agreements:
            raise ValueError("must keep state and agreements in two folders")
        return self

    @property
    def record_file(self) -> Path:
        """What was opened."""
        return self.state / "opened.db"

    @property
    def papers_file(self) -> Path:
        """The list of councils."""
        return self.state / "papers.db"


def read_settings(path: Path) -> Settings:
    """Read the settings file; every path in the result is absolute.

    Raises:
        FileProblem: Missing or unreadable, or names the line and the setting at fault.
    """
    return read_located(Settings, path, remedy=_REMEDY)


def check_files(settings: Settings) -> None:
    """Check that everything the settings name is there.

    Raises:
        FileProblem: Names the first setting whose file or folder is missing.
    """
    files = {"keys.identity": settings.keys.identity} | ca_file_of(settings.coordinator)
    check_present(files, {"state": settings.state, "agreements": settings.agreements})


_TEMPLATE: Final = """\
# Settings of a mask holder. docs/reference/mask-holder-settings.md explains every line.
# Paths are read from this file's folder.
settings: 1

# As agreements name it. The id never changes.
{holder}
# The mask holder connects outward only, over TLS; nothing connects to it.
{coordinator}
# Whom it believes. Compare each key's fingerprint with its owner by telephone (`federated keys fingerprint`).
{trust}
# Made here, and never leaves this computer. Agreements pin its public half.
keys:
  identity: identity.pem

# Its record of what it opened is in here. Back it up; never put back an old copy.
state: state
agreements: agreements

log_level: info
# Processor threads for making masks.
threads: 2
"""


def write_settings(path: Path, *, holder: dict[str, str], coordinator: dict[str, str], trust: TrustSettings) -> None:
    """Write the settings of a new mask holder, never over a file that is there.

    Args:
        path: The file.
        holder: Its id and name.
        coordinator: How to reach it.
        trust: Whom it believes.

    Raises:
        FileProblem: A file is there already, or the folder cannot be written to.
    """

    def block(name: str, content: object) -> str:
        return yaml.safe_dump({name: content}, sort_keys=False, allow_unicode=True)

    text = _TEMPLATE.format(
        holder=block("holder", holder),
        coordinator=block("coordinator", coordinator),
        trust=block("trust", trust.model_dump(mode="json")),
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise FileProblem(f"There are settings at {path} already.", remedy="Edit them, or move them away.") from error
    except OSError as error:
        raise FileProblem(
            f"The settings {path} cannot be written: {error.strerror}.",
            remedy="Check the folder and who may write to it.",
        ) from error
