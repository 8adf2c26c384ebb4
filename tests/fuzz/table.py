"""What a target of the fuzzer is, and what it may let through."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path

from federated.errors import FederatedError, InternalError
from protocols.errors import RemoteProtocolError

__all__ = ["CORPUS", "FOUND", "MERGED", "MOST_KEPT", "Finding", "Form", "Target", "declared", "files_of"]

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
"""Kept inputs, by target."""
FOUND = HERE / "found"
"""Inputs that once broke something, by target."""
MERGED = "merged_"
"""How the names of kept inputs begin that the fuzzer found."""
MOST_KEPT = 500_000
"""Bytes of all kept inputs, which stay below this."""


class Form(StrEnum):
    """How inputs of a target are changed, beside byte by byte."""

    BYTES = "bytes"
    JSON = "json"
    YAML = "yaml"


class Finding(Exception):
    """A decoder took what it must not take, or wrote it back as something else."""


@contextmanager
def declared(*also: type[BaseException]) -> Iterator[None]:
    """Let through what decoders may raise: a sentence for a person, or the other side's fault; never a fault of our own.

    Args:
        also: What this decoder's own description names besides.
    """
    try:
        yield
    except InternalError:
        raise  # "a fault of this software": bytes from outside must not be able to cause one
    except (FederatedError, RemoteProtocolError, *also):
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One entry of the table.

    Attributes:
        name: Of its folder in the corpus.
        feed: Gives bytes to the decoders; raises nothing that they do not declare.
        covers: The decoders, as `module:qualified name`; their modules are watched for new paths.
        form: How inputs are changed.
        slow: Runs few inputs a second, as it opens files or databases.
    """

    name: str
    feed: Callable[[bytes], object]
    covers: tuple[str, ...]
    form: Form = Form.BYTES
    slow: bool = False

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of its decoders."""
        return tuple(dict.fromkeys(name.split(":")[0] for name in self.covers))

    def prepare(self) -> None:
        """Import what it covers."""
        for name in self.modules:
            import_module(name)


def files_of(name: str) -> tuple[Path, ...]:
    """Kept inputs of a target, those that once broke something last."""
    return tuple(path for root in (CORPUS, FOUND) for path in sorted((root / name).glob("*")))
