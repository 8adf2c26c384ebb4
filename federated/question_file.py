"""The two files by which a question passes between the coordinator's pages and the analyst's own computer.

The pages hold no key. So they give one file to take away, with the question and its manifest; `federated sign` plans
it anew on the analyst's computer, shows what it is, and writes another file that holds the two signed papers. Neither
file is believed: what the first says is shown before it is signed, and the second is checked as `federated submit` is.
"""

import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federated.errors import FileProblem
from protocols.encoding import canonical_json

__all__ = ["SIGNED_LIMIT", "QuestionToSign", "SignedQuestion"]

SIGNED_LIMIT: Final = 1024 * 1024 + 64 * 1024
"""Most bytes of a signed question: what the coordinator takes of plan and manifest, and a little around them."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def encode(self) -> bytes:
        """The file's bytes: canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))


class QuestionToSign(_File):
    """A question as it is taken away from the pages.

    Attributes:
        question: The question as YAML.
        manifest: The manifest as YAML: these very bytes are signed.
        agreement: Id of the agreement it is to be asked under.
        query_digest: Identity of the question as the pages read it, in hexadecimal.
    """

    question_to_sign: Literal[1] = 1
    question: str
    manifest: str
    agreement: str
    query_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @classmethod
    def decode(cls, content: bytes, *, source: str) -> "QuestionToSign":
        """Read the file.

        Raises:
            FileProblem: It is none.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise FileProblem(
                f"{source}: this is not a question taken from the pages.",
                remedy="Download it again from the page 'Sign and hand in'.",
            ) from error


class SignedQuestion(_File):
    """A signed question on its way back to the pages.

    Attributes:
        plan: The plan's DSSE envelope.
        manifest: The manifest's DSSE envelope.
        refresh: Whether to ask afresh, at a new charge, where the answer is stored.
    """

    signed_question: Literal[1] = 1
    plan: str
    manifest: str
    refresh: bool = False

    @classmethod
    def of(cls, plan: bytes, manifest: bytes, *, refresh: bool) -> "SignedQuestion":
        """From the two envelopes."""
        return cls(plan=plan.decode("ascii"), manifest=manifest.decode("ascii"), refresh=refresh)

    @property
    def envelopes(self) -> tuple[bytes, bytes]:
        """Plan and manifest as signed."""
        return self.plan.encode("utf-8"), self.manifest.encode("utf-8")

    @classmethod
    def decode(cls, content: bytes) -> "SignedQuestion":
        """Read the file.

        Raises:
            FileProblem: It is none, or too long.
        """
        wrong = FileProblem(
            "This is not a signed question.", remedy="Choose the file that `federated sign` wrote, and no other."
        )
        if len(content) > SIGNED_LIMIT:
            raise wrong
        try:
            found = cls.model_validate(json.loads(content.decode("utf-8")))
            _ = found.envelopes  # half of a surrogate pair could not be sent on
        except (ValueError, RecursionError) as error:
            raise wrong from error
        return found
