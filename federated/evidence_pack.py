"""The evidence pack: one file in which a council shows what its node decided, answered, spent and deleted.

A zip archive of plain members and one signed list of them, `manifest.dsse`, with the size and SHA-256 of each. The
council's own key signs the list, so a change to any byte of any member is found by whoever has that key's public half.
What the members mean, and what they prove together, is in `federated.evidence_check`.
"""

import json
import os
import re
import struct
import zipfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from federated.errors import FileProblem, QueryError, SignatureProblem
from federated.keys import SigningKey, parse_public, public_line, trusted_keys
from federated.signing import open_statement, sign_statement, statement_type, unsafe_payload
from federated.timestamps import parse_time, time_text
from protocols.encoding import Json, sha256
from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId, council_id

__all__ = ["MANIFEST", "MANIFEST_KIND", "EvidencePack", "Member", "is_pack", "write_pack"]

MANIFEST: Final = "manifest.dsse"
MANIFEST_KIND: Final = "evidence-manifest"
"""Kind of signed statement."""
MEMBERS_LIMIT: Final = 200_000
MEMBER_LIMIT: Final = 256 * 1024 * 1024
MANIFEST_LIMIT: Final = 64 * 1024 * 1024
PACK_LIMIT: Final = 2 * 1024 * 1024 * 1024
"""All members together, unpacked."""
PRIVATE: Final = 0o600
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*(?:/[a-zA-Z0-9][a-zA-Z0-9._-]*)*")
_ENCRYPTED: Final = 1
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises for a member that is not as it was written."""
_AGAIN: Final = "Do not use it. Ask the council for a new pack."


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One line of the signed list."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes) -> "Member":
        """The line of a member."""
        return cls(name=name, size=len(content), sha256=sha256(content).hex())


def is_pack(path: Path) -> bool:
    """Whether a file is a zip archive, and so meant as a pack."""
    return zipfile.is_zipfile(path)


def write_pack(
    path: Path,
    members: Mapping[str, bytes],
    *,
    council: CouncilId,
    council_name: str,
    key: SigningKey,
    software: str,
    now: datetime,
) -> None:
    """Write a pack that only its owner can read, never over a file that is there. Run by a council node.

    Args:
        path: The archive to make.
        members: Content by name.
        council: Whose it is.
        council_name: Its name.
        key: The council's identity key.
        software: Version of this software.
        now: Time, UTC.

    Raises:
        FileProblem: A file is there already, or it cannot be written.
    """
    listed: list[Json] = [
        {"name": item.name, "size": item.size, "sha256": item.sha256}
        for item in (Member.of(name, content) for name, content in sorted(members.items()))
    ]
    body: dict[str, Json] = {
        "version": 1,
        "council": council,
        "council_name": council_name,
        "public_key": public_line(key.public),
        "made_at": time_text(now),
        "software": software,
        "members": listed,
    }
    everything = {MANIFEST: sign_statement(MANIFEST_KIND, body, key), **dict(sorted(members.items()))}
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
    except OSError as error:
        raise FileProblem(
            f"The evidence pack {path} cannot be written: {error.strerror}.", remedy="Choose another name or folder."
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in everything.items():
                archive.writestr(zipfile.ZipInfo(name, now.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)
    except OSError as error:
        with suppress(OSError):  # the first error is the one to tell
            path.unlink()
        raise FileProblem(
            f"The evidence pack {path} cannot be written: {error.strerror}.", remedy="Free some space and try again."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePack:
    """A pack whose signed list holds, and whose members are exactly those listed. A context manager.

    Attributes:
        council: Whose it is, as it says itself.
        council_name: Its name, as it says itself.
        public_key: The key that signed the list, raw.
        made_at: When it was made, as it says itself.
        software: Version of the software that made it.
        members: The signed list, by name.
    """

    council: CouncilId
    council_name: str
    public_key: bytes
    made_at: datetime
    software: str
    members: Mapping[str, Member]
    archive: zipfile.ZipFile

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a pack: its archive, its list, the list's signature by the key the list names, every size and digest.

        Raises:
            FileProblem: Not an archive of this kind.
            SignatureProblem: The list is not signed, or names other members than there are, or other content.
        """
        try:
            archive = zipfile.ZipFile(path)
        except _DAMAGED as error:
            raise FileProblem(f"{path} is not an evidence pack, or it is damaged.", remedy=_AGAIN) from error
        try:
            _check_names(archive)
            pack = cls(archive=archive, **_listed(_read(archive, MANIFEST, MANIFEST_LIMIT)))
            pack._check_members()
        except BaseException:
            archive.close()
            raise
        return pack

    @property
    def trusted(self) -> dict[str, bytes]:
        """The key that signed the list, as `federated.signing` takes it."""
        return trusted_keys(self.public_key)

    def read(self, name: str) -> bytes:
        """Content of a member; one byte more than listed where the archive holds more."""
        return _read(self.archive, name, MEMBER_LIMIT, listed=self.members[name].size)

    def within(self, folder: str, suffix: str = "") -> dict[str, bytes]:
        """Members of a folder by their name without folder and suffix, in order."""
        wanted = [name for name in self.members if name.startswith(f"{folder}/") and name.endswith(suffix)]
        return {name.removeprefix(f"{folder}/").removesuffix(suffix): self.read(name) for name in wanted}

    def __enter__(self) -> Self:
        """Enter a block at whose end the archive is closed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.archive.close()

    def _check_members(self) -> None:
        found = set(self.archive.namelist()) - {MANIFEST}
        for name in sorted(found ^ set(self.members)):
            where = "is not on its signed list" if name in found else "is missing"
            raise SignatureProblem(f"The evidence pack was changed: its member {name} {where}.", remedy=_AGAIN)
        # A few bytes can unpack to very many: nothing is read beyond what the list says.
        if sum(member.size for member in self.members.values()) > PACK_LIMIT:
            raise FileProblem(f"The evidence pack unpacks to more than {PACK_LIMIT} bytes.", remedy=_AGAIN)
        for member in self.members.values():
            if Member.of(member.name, self.read(member.name)) != member:
                raise SignatureProblem(
                    f"The evidence pack was changed: its member {member.name} is not what the council signed.",
                    remedy=_AGAIN,
                )


def _check_names(archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    # Two members of one name would mean one thing to us and another to whoever unpacks the archive.
    if len(names) > MEMBERS_LIMIT or len({name.casefold() for name in names}) != len(names):
        raise FileProblem("The evidence pack has too many members, or two of one name.", remedy=_AGAIN)
    for info in archive.infolist():
        plain = info.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} and not info.flag_bits & _ENCRYPTED
        if not (plain and _NAME.fullmatch(info.filename)):
            raise FileProblem("The evidence pack has a member whose name or form cannot be used.", remedy=_AGAIN)
    if MANIFEST not in names:
        raise FileProblem(f"The archive has no {MANIFEST}, so it is not an evidence pack.", remedy=_AGAIN)


def _read(archive: zipfile.ZipFile, name: str, limit: int, *, listed: int | None = None) -> bytes:
    most = limit if listed is None else min(limit, listed)
    try:
        with archive.open(name) as file:
            content = file.read(most + 1)
    except _DAMAGED as error:
        raise SignatureProblem(f"The evidence pack's member {name} cannot be read.", remedy=_AGAIN) from error
    if len(content) > limit:
        raise FileProblem(f"The evidence pack's member {name} has more than {limit} bytes.", remedy=_AGAIN)
    return content


def _listed(envelope: bytes) -> dict[str, Any]:
    """The fields of the signed list; the signature is by the key that the list itself names."""
    try:
        _check_written_one_way(envelope)
        body = json.loads(unsafe_payload(envelope, statement_type(MANIFEST_KIND), limit=MANIFEST_LIMIT))
        claimed = parse_public(str(body["public_key"]))
        body = open_statement(MANIFEST_KIND, envelope, trusted_keys(claimed), limit=MANIFEST_LIMIT)
        listed = [_member(row) for row in body["members"]]
        members = {member.name: member for member in listed}
        if len(members) < len(listed):
            raise ValueError  # noqa: TRY301 - the one sentence below fits
        return {
            "council": council_id(body["council"]),
            "council_name": str(body["council_name"]),
            "public_key": claimed,
            "made_at": parse_time(body["made_at"]),
            "software": str(body["software"]),
            "members": members,
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MalformedMessage, QueryError) as error:
        raise SignatureProblem("The signed list of the evidence pack cannot be read.", remedy=_AGAIN) from error


def _member(row: Mapping[str, Any]) -> Member:
    size = row["size"]
    # A negative size would let others add up to more than the limit.
    if not isinstance(size, int) or size < 0:
        raise ValueError
    return Member(name=row["name"], size=size, sha256=row["sha256"])


def _check_written_one_way(envelope: bytes) -> None:
    """The envelope must be spelt as `write_pack` spells it: then a change to any byte of it is a change.

    Raises:
        ValueError: It is not.
    """
    document = json.loads(envelope)
    (signature,) = document["signatures"]
    texts = (document["payload"], signature["sig"])
    spelt = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"
    if spelt != envelope or any(b64encode(b64decode(text)).decode("ascii") != text for text in texts):
        raise ValueError
