"""Where an analyst or reviewer works from: one YAML file that says whom to ask and whom to trust."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from federated.errors import FileProblem
from federated.keys import SigningKey, read_private_key
from federated.trust import TrustSettings
from federated.yaml_document import read_form

__all__ = ["DEFAULT_FILE", "Workspace"]

DEFAULT_FILE = Path("federated.yaml")


class CoordinatorAddress(BaseModel):
    """How to reach the coordinator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    address: Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$", description="host:port")]
    ca_file: Path
    server_name: str | None = None


class Workspace(BaseModel):
    """Settings of `federated`, version 1.

    Attributes:
        key: Private key to sign with.
        coordinator: Whom to ask.
        trust: Keys whose roster and agreements are believed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    workspace: Literal[1]
    key: Path
    coordinator: CoordinatorAddress
    trust: TrustSettings

    @classmethod
    def load(cls, path: Path = DEFAULT_FILE) -> Self:
        """Read the file; paths inside it are taken from its own folder.

        Raises:
            FileProblem: The file is missing or a field is wrong.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise FileProblem(
                f"{path}: the workspace file cannot be read ({error.strerror}).",
                remedy="Name it with --workspace, or write it as docs/guides/analyst.md shows.",
            ) from error
        read = read_form(cls, content, source=str(path), remedy="See docs/guides/analyst.md.")
        base = path.resolve().parent
        coordinator = read.coordinator.model_copy(update={"ca_file": base / read.coordinator.ca_file})
        return read.model_copy(update={"key": base / read.key, "coordinator": coordinator})

    def signing_key(self) -> SigningKey:
        """The private key to sign with."""
        return read_private_key(self.key)
