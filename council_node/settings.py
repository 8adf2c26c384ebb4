"""A council node's settings: one YAML file, checked in full before anything runs.

Relative paths are read from the folder of the settings file, so the whole folder can be moved. What each setting is
for stands beside it, and `docs/reference/settings.md` is made from that.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, Field, model_validator

from federated.clauses import CouncilCode, Form, Line, Name
from federated.errors import FileProblem
from federated.trust import TrustSettings
from federated.yaml_document import read_form

__all__ = [
    "Coordinator",
    "Keys",
    "LogLevel",
    "Settings",
    "ca_file_of",
    "check_files",
    "check_present",
    "read_located",
    "read_settings",
    "template",
    "write_template",
]

LEDGER_FILE: Final = "ledger.db"
STORE_FILE: Final = "node.db"
SETTINGS_LIMIT: Final = 1024 * 1024
_REMEDY: Final = "docs/reference/settings.md explains every setting."

Model = TypeVar("Model", bound=BaseModel)


class LogLevel(StrEnum):
    """How much the node's log tells. No level ever tells a case value."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Council(Form):
    """Whose node this is."""

    id: CouncilCode = Field(description="The council's GSS code, such as `E06000001`.")
    name: Line = Field(description="The council's name, for its own pages and receipts.")


class Coordinator(Form):
    """How to reach the coordinator. The program connects outward only, over TLS."""

    id: Line = Field(
        description="Its id, as the list of councils names it; a server that calls itself otherwise is not served."
    )
    address: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$")] = Field(
        description="Host name and port, such as `coordinator.example:443`."
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of the certificate authorities to trust for it; the public ones when left out.",
    )
    server_name: Line | None = Field(
        default=None, description="Name its certificate must be for, where that is not the host of `address`."
    )
    proxy: Line | None = Field(
        default=None,
        repr=False,
        description="Web proxy to go through, such as `http://proxy.example:8080`; `direct` uses none. When left out, "
        "the computer's own proxy settings are used.",
    )


class Keys(Form):
    """Where the program's own keys are. They are made on this computer and never leave it."""

    identity: Path = Field(
        description="The private key, which signs all that this party sends. Only its owner may read it."
    )


class Roles(Form):
    """Who answers for what at this council; printed on receipts and in the hand-over report."""

    information_asset_owner: Line | None = Field(default=None, description="Who owns the case records.")
    senior_information_risk_owner: Line | None = Field(default=None, description="Who answers for information risk.")
    data_protection_officer: Line | None = Field(default=None, description="Who advises on data protection.")
    system_owner: Line | None = Field(default=None, description="Who runs this node.")
    backups: Line | None = Field(
        default=None, description="Where backups of the state folder and of the key are kept, and who can reach them."
    )
    residents_contact: Line | None = Field(
        default=None, description="Where a resident can ask about their data, object or complain."
    )


class Limits(Form):
    """How much of the computer the node may use."""

    memory_mib: Annotated[int, Field(ge=128, le=65536)] = Field(
        default=300,
        description="Memory for reading and counting cases, in MiB; the node itself takes about 150 more. What does "
        "not fit is read and counted part by part, which takes longer; nothing is put on a disk meanwhile.",
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=2, description="Processor threads for counting and masking."
    )


class Settings(Form):
    """Everything a council node must be told; read once when it starts."""

    settings: Literal[1] = Field(description="Version of this form: always `1`.")
    council: Council = Field(description="Whose node this is.")
    coordinator: Coordinator = Field(description="How to reach the coordinator.")
    trust: TrustSettings = Field(
        description="The public keys that this council believes, compared with their owners by telephone."
    )
    keys: Keys = Field(description="The node's own keys.")
    state: Path = Field(
        description="Folder for what the node keeps: its privacy ledger, decisions and receipts. Back it up; never put "
        "back an old copy without `council-node ledger restore`."
    )
    agreements: Path = Field(description="Folder of the signed agreements that this council has accepted.")
    data: Annotated[dict[Name, Path], Field(min_length=1)] = Field(
        description="For each data set, such as `case`, the mapping file that says where its extract is. With `case` "
        "here, the other tables of households are joined to it, and objections in it hold for them too."
    )
    policy: Path = Field(description="The council's own policy file, which can only be stricter than an agreement.")
    log_level: LogLevel = Field(default=LogLevel.INFO, description="How much the log tells; never a case value.")
    roles: Roles = Field(default=Roles(), description="Who answers for what.")
    limits: Limits = Field(default=Limits(), description="How much of the computer the node may use.")
    reply_step_ms: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=100,
        description="Milliseconds. A reply for which the extract was opened leaves after one of these steps, or after "
        "two or more, and not in between: so the time that it takes does not tell how many cases there are. Make the "
        "step longer than counting takes; the log says `reply_took_steps` where it was not. 0 sends replies at once.",
    )

    @model_validator(mode="after")
    def _two_folders(self) -> "Settings":
        if self.state == self.agreements:
            raise ValueError("must keep state and agreements in two folders")
        return self

    @property
    def ledger_file(self) -> Path:
        """The privacy ledger."""
        return self.state / LEDGER_FILE

    @property
    def store_file(self) -> Path:
        """Decisions, releases and receipts."""
        return self.state / STORE_FILE


def read_settings(path: Path) -> Settings:
    """Read the settings file; every path in the result is absolute.

    Raises:
        FileProblem: Missing or unreadable, or names the line and the setting at fault.
    """
    return read_located(Settings, path, remedy=_REMEDY)


def read_located(form: type[Model], path: Path, *, remedy: str) -> Model:
    """Read a settings file of any party; every path in the result is absolute.

    Args:
        form: Its form.
        path: The file.
        remedy: Where every setting is explained.

    Raises:
        FileProblem: Missing or unreadable, or names the line and the setting at fault.
    """
    found = read_form(form, read_bytes(path, "settings file"), source=str(path), remedy=remedy)
    return _located(found, path.resolve().parent)


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file a person wrote.

    Raises:
        FileProblem: Missing, unreadable or far too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SETTINGS_LIMIT + 1)
    except OSError as error:
        raise FileProblem(
            f"The {what} {path} cannot be read: {error.strerror}.",
            remedy="Check the path and who may read it; `init` writes a new folder of settings.",
        ) from error
    if len(content) > SETTINGS_LIMIT:
        raise FileProblem(f"The {what} {path} is larger than {SETTINGS_LIMIT} bytes.", remedy="Check the path.")
    return content


def _located(form: Model, base: Path) -> Model:
    """The same form with every path made absolute."""
    return form.model_copy(update={name: _absolute(getattr(form, name), base) for name in type(form).model_fields})


def _absolute(value: Any, base: Path) -> Any:
    match value:
        case Path():
            return base / value.expanduser()
        case dict():
            return {name: _absolute(item, base) for name, item in value.items()}
        case BaseModel():
            return _located(value, base)
        case _:
            return value


def check_files(settings: Settings) -> None:
    """Check that everything the settings name is there. Run by `council-node check` and when the node starts.

    Raises:
        FileProblem: Names the first setting whose file or folder is missing.
    """
    files = {
        "keys.identity": settings.keys.identity,
        "policy": settings.policy,
        **{f"data.{name}": mapping for name, mapping in settings.data.items()},
    }
    check_present(
        files | ca_file_of(settings.coordinator), {"state": settings.state, "agreements": settings.agreements}
    )


def ca_file_of(coordinator: Coordinator) -> dict[str, Path]:
    """The file of certificate authorities, by the name of its setting; nothing where none is named."""
    return {} if coordinator.ca_file is None else {"coordinator.ca_file": coordinator.ca_file}


def check_present(files: Mapping[str, Path], folders: Mapping[str, Path]) -> None:
    """Check that files and folders are there, each by the name of its setting.

    Raises:
        FileProblem: Names the first setting whose file or folder is missing.
    """
    for name, path in files.items():
        if not path.is_file():
            raise FileProblem(
                f"The setting {name} names the file {path}, which is not there.",
                remedy="Put the file there, or correct the setting.",
            )
    for name, path in folders.items():
        if not path.is_dir():
            raise FileProblem(
                f"The setting {name} names the folder {path}, which is not there.",
                remedy="Make the folder, or correct the setting.",
            )


_TEMPLATE: Final = """\
# Settings of a council node. docs/reference/settings.md explains every line.
# Paths are read from this file's folder. Replace every FILL IN; `council-node check` says what is still missing.
settings: 1

council:
  id: {council_id}
  name: {name}

coordinator:
  id: {coordinator}
  address: {address}
  # Only if the coordinator's certificate is not from a public authority:
  # ca_file: coordinator-ca.pem
  # server_name: coordinator.example
  # Only if the computer's own proxy settings are wrong for this:
  # proxy: http://proxy.example:8080

# Compare each key's fingerprint with its owner by telephone (`federated keys fingerprint`).
trust:
  roster_keys:
    - "FILL IN: ed25519:... of the first person who signs the list of councils"
    - "FILL IN: ed25519:... of the second person"
  roster_threshold: 2
  agreement_keys:
    - "FILL IN: ed25519:... of the first person who signs agreements"
    - "FILL IN: ed25519:... of the second person"
  agreement_threshold: 2

keys:
  identity: identity.pem

state: state
agreements: agreements
policy: policy.yaml
data:
  case: case-mapping.yaml
  # Other tables find their case, and so their household, by the case reference:
  # support_need: support-need-mapping.yaml
  # ta_placement: ta-placement-mapping.yaml

log_level: info

# Printed on receipts and in the hand-over report.
# roles:
#   information_asset_owner: Head of Housing
#   senior_information_risk_owner: Director of Resources
#   data_protection_officer: dpo@council.example
#   system_owner: IT service desk
#   backups: IT service desk, nightly, safe in room 12
#   residents_contact: dpo@council.example

limits:
  memory_mib: 300
  threads: 2

# Replies leave at steps of so many milliseconds, so that their time tells nothing of the extract:
reply_step_ms: 100
"""


def template(
    *, council_id: str = "FILL IN", name: str = "FILL IN", address: str = "FILL IN", coordinator: str = "FILL IN"
) -> str:
    """A settings file to start from."""
    return _TEMPLATE.format(
        council_id=_quoted(council_id), name=_quoted(name), address=_quoted(address), coordinator=_quoted(coordinator)
    )


def _quoted(text: str) -> str:
    # YAML's single quotes know one escape only: the quote itself.
    return "'" + text.replace("'", "''") + "'"


def write_template(
    path: Path,
    *,
    council_id: str = "FILL IN",
    name: str = "FILL IN",
    address: str = "FILL IN",
    coordinator: str = "FILL IN",
) -> None:
    """Write a settings file to start from, never over one that is there.

    Raises:
        FileProblem: A file is there already, or the folder cannot be written to.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template(council_id=council_id, name=name, address=address, coordinator=coordinator))
    except FileExistsError as error:
        raise FileProblem(f"There are settings at {path} already.", remedy="Edit them, or move them away.") from error
    except OSError as error:
        raise FileProblem(
            f"The settings {path} cannot be written: {error.strerror}.",
            remedy="Check the folder and who may write to it.",
        ) from error
