"""Reads a form with one file, as browsers send it, with the mail parser of Python's own library.

What comes in is bounded before it is read here, and only one route takes it (`coordinator.console.guard`).
"""

from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from typing import Final

from coordinator.console.guard import Closed

__all__ = ["FILE", "read_upload"]

FILE: Final = "file"
"""Name of the field that holds the file."""
MOST_PARTS: Final = 8


def read_upload(content: bytes, content_type: str) -> tuple[dict[str, str], bytes]:
    """The fields of a form, and its file.

    Args:
        content: The form as sent.
        content_type: Its header, which names the boundary.

    Raises:
        Closed: It is no such form, or has a field twice.
    """
    wrong = Closed(HTTPStatus.BAD_REQUEST, "The form cannot be read. Nothing was done.")
    if not content_type.isascii() or not content_type.isprintable():
        raise wrong
    head = b"MIME-Version: 1.0\r\nContent-Type: " + content_type.encode("ascii") + b"\r\n\r\n"
    try:
        form = BytesParser(policy=HTTP).parsebytes(head + content)
        parts = form.get_payload() if form.is_multipart() else []
    except (MessageError, ValueError, LookupError, RecursionError) as error:
        raise wrong from error
    fields: dict[str, str] = {}
    file: bytes | None = None
    if not isinstance(parts, list) or not 0 < len(parts) <= MOST_PARTS or form.defects:
        raise wrong
    for part in parts:
        name, value = _part(part)
        if name is None or value is None or name in fields or (name == FILE and file is not None):
            raise wrong
        if name == FILE:
            file = value
        else:
            fields[name] = value.decode("utf-8", errors="replace").removesuffix("\n").removesuffix("\r")
    return fields, file or b""


def _part(part: object) -> tuple[str | None, bytes | None]:
    """Name and bytes of one field; None where it is not a plain one."""
    if not isinstance(part, Message) or part.is_multipart() or part.get_content_disposition() != "form-data":
        return None, None
    name = part.get_param("name", header="content-disposition")
    value = part.get_payload(decode=True)
    return (name if isinstance(name, str) else None), (value if isinstance(value, bytes) else None)
