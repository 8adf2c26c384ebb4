"""YAML read strictly, so that a signed file means one thing to every reader, and faults name their line.

A small part of YAML is read: mappings, lists, text, whole numbers, yes/no and empty values. Everything that lets
two readers disagree, or a short file grow large, is refused: anchors and aliases, tags, several documents, names
given twice, plain decimals (which become rounded) and characters that cannot be seen. JSON is a part of that part.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from federated.errors import FileProblem

__all__ = ["Fault", "form_faults", "read_document", "read_form", "write_document"]

DOCUMENT_LIMIT: Final = 1024 * 1024
DEPTH_LIMIT: Final = 24

# Digits of other scripts make no number: people who sign could read another one, or none.
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?(\d*\.\d+|\d+\.\d*)([eE][-+]?\d+)?|\d+[eE][-+]?\d+")
_WORDS: Final = {"true": True, "yes": True, "false": False, "no": False, "null": None, "~": None, "": None}

_PROBLEMS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this form; check its spelling and its indent",
    "value_error": "{error}",
    "string_type": "must be text; put it in quotes if it is a number, yes or no",
    "string_too_short": "is too short: at least {min_length} characters are needed",
    "string_too_long": "is too long: at most {max_length} characters are allowed",
    "string_pattern_mismatch": "is not written as it must be; see the reference page for its form",
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be yes or no, without quotes",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "too_short": "must list at least {min_length}",
    "too_long": "must list at most {max_length}",
    "tuple_type": "must be a list: each entry on its own line after a hyphen",
    "dict_type": "must have named fields under it",
    "model_type": "must have named fields under it",
}
"""Pydantic's kinds of error, as the end of a sentence that begins with the field."""

Path = tuple[str | int, ...]
Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a file.

    Attributes:
        path: The field, as names and positions from the top; empty for the whole file.
        line: Line in the file, from 1; 0 when unknown.
        problem: What is wrong, as the end of a sentence about the field.
    """

    path: Path
    line: int
    problem: str

    @property
    def name(self) -> str:
        """The field as people write it, for example ``groups.1.profile``."""
        return ".".join(str(part) for part in self.path) or "the file"


class _Writer(yaml.SafeDumper):
    """Writes so that the reader of this module reads the same again."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what comes twice out twice: the reader refuses anchors."""
        del data
        return True


def _written(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # To the library 09 and 1e5 are text, and it leaves them bare; here they are a number and a decimal.
    bare = not (_WHOLE.fullmatch(text) or _DECIMAL.fullmatch(text) or text.lower() in _WORDS)
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else "'")


_Writer.add_representer(str, _written)


def write_document(document: object, *, width: int = 80) -> str:
    """A document of mappings, lists and plain values as YAML that `read_form` reads as the same.

    Args:
        document: In the order in which it is to be written.
        width: Of a line, where text can be folded.
    """
    written: str = yaml.dump(document, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=width)
    return written


class _Malformed(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.problem)
        self.fault = fault


def read_form(model: type[Form], content: bytes, *, source: str, remedy: str = "") -> Form:
    """Read a YAML (or JSON) file into a form.

    Args:
        model: The form, a strict pydantic model.
        content: The file's bytes.
        source: What to call the file in an error.
        remedy: What to do about an error.

    Raises:
        FileProblem: Names the line and the field of the first fault, and how many more there are.
    """
    form, faults = _read(model, content)
    if form is not None:
        return form
    first = faults[0]
    place = f", line {first.line}" if first.line else ""
    more = f" ({len(faults) - 1} more after this one)" if len(faults) > 1 else ""
    raise FileProblem(f"{source}{place}: {first.name} {first.problem}{more}.", remedy=remedy)


def read_document(content: bytes, *, source: str) -> Any:
    """The plain values of a file, whatever form it is to become.

    Raises:
        FileProblem: It is not of the small part of YAML that is read; names the line.
    """
    try:
        return _Reader(content).read()[0]
    except _Malformed as error:
        place = f", line {error.fault.line}" if error.fault.line else ""
        raise FileProblem(f"{source}{place}: {error.fault.name} {error.fault.problem}.") from error


def form_faults(model: type[BaseModel], content: bytes) -> tuple[Fault, ...]:
    """Everything that keeps a file from being a form; empty when it is one."""
    return _read(model, content)[1]


def _read(model: type[Form], content: bytes) -> tuple[Form | None, tuple[Fault, ...]]:
    try:
        value, lines = _Reader(content).read()
    except _Malformed as error:
        return None, (error.fault,)
    try:
        # JSON mode reads dates and choices from text, and is strict about everything else.
        return model.model_validate_json(json.dumps(value)), ()
    except ValidationError as error:
        items = error.errors(include_url=False, include_input=False)
        faults = [
            Fault(path=item["loc"], line=_line(item["loc"], lines), problem=_problem(item))
            for item in items
            if not _follows_from_another(item, items)
        ]
        return None, tuple(sorted(faults, key=lambda fault: (fault.line, fault.name)))


def _follows_from_another(item: Any, items: Sequence[Any]) -> bool:
    """A list whose entries are at fault is also called too short, as pydantic counts only the good ones."""
    path = item["loc"]
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in items
    )


def _line(path: Path, lines: dict[Path, int]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _problem(item: Any) -> str:
    template = _PROBLEMS.get(item["type"])
    if template is None:
        message: str = item["msg"]
        return f"cannot be used: {message[:1].lower()}{message[1:]}"
    return template.format(**item.get("ctx", {}))


def _line_of(event: yaml.Event) -> int:
    return 0 if event.start_mark is None else event.start_mark.line + 1


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    path: Path
    value: dict[str, Any] | list[Any]
    key: str | None = None


@dataclass(slots=True)
class _Reader:
    content: bytes
    lines: dict[Path, int] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    root: Any = None
    documents: int = 0

    def read(self) -> tuple[Any, dict[Path, int]]:
        if len(self.content) > DOCUMENT_LIMIT:
            raise _Malformed(Fault(path=(), line=0, problem=f"is larger than {DOCUMENT_LIMIT // 1024} KiB"))
        for event in self._events():
            self._take(event)
        return self.root, self.lines

    def _events(self) -> Iterator[yaml.Event]:
        try:
            # Events are read one by one: composing a tree would recurse as deep as the file says.
            yield from yaml.parse(self.content.decode("utf-8"), Loader=yaml.CSafeLoader)
        except UnicodeDecodeError as error:
            raise _Malformed(Fault(path=(), line=0, problem="is not text in UTF-8")) from error
        except yaml.YAMLError as error:
            line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
            problem = "is not valid YAML; check indents, colons and quotes"
            raise _Malformed(Fault(path=(), line=line, problem=problem)) from error

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self._refuse(event, "holds more than one document; remove the line '---'")
            case yaml.ScalarEvent():
                self._refuse_anchor(event)
                self._add(event, self._scalar(event))
            case yaml.MappingStartEvent():
                self._open(event, {})
            case yaml.SequenceStartEvent():
                self._open(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                closed = self.stack.pop()
                if isinstance(closed.value, dict) and closed.key is not None:
                    self._refuse(event, "ends after a name without a value")
            case yaml.AliasEvent():
                self._refuse(event, "uses a YAML alias (*), which is not read here; write the value out")
            case _:  # start and end of the stream and of a document
                return

    def _open(self, event: yaml.CollectionStartEvent, value: dict[str, Any] | list[Any]) -> None:
        self._refuse_anchor(event)
        if event.tag is not None:
            self._refuse(event, "uses a YAML tag (!), which is not read here")
        if len(self.stack) >= DEPTH_LIMIT:
            self._refuse(event, f"is nested more than {DEPTH_LIMIT} deep")
        self.stack.append(_Open(path=self._add(event, value), value=value))

    def _add(self, event: yaml.Event, value: Any) -> Path:
        """Put a value where it belongs; its path."""
        if not self.stack:
            self.root = value
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            path = (*top.path, len(top.value))
            top.value.append(value)
        elif top.key is None:
            if not isinstance(value, str):
                self._refuse(event, "has a field whose name is not text")
            if value in top.value:
                self._refuse(event, f"has the field '{value[:40]}' twice")
            top.key = value
            self.lines[(*top.path, value)] = _line_of(event)
            return top.path
        else:
            path = (*top.path, top.key)
            top.value[top.key] = value
            top.key = None
        self.lines.setdefault(path, _line_of(event))
        return path

    def _scalar(self, event: yaml.ScalarEvent) -> str | int | bool | None:
        text = event.value
        if event.tag is not None:
            self._refuse(event, "uses a YAML tag (!), which is not read here")
        # Control and direction characters can make a terminal or a page show another text than was signed.
        if not text.isprintable() and any(
            unicodedata.category(mark) in {"Cc", "Cf", "Co", "Cs"} for mark in text if mark not in "\n\t"
        ):
            self._refuse(event, "has a character in it that cannot be seen; delete it and type the text again")
        if not event.implicit[0]:  # quoted: text, whatever it looks like
            return str(text)
        if _WHOLE.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            self._refuse(event, "is a plain decimal number; put it in quotes, so that it is read exactly")
        return _WORDS.get(text.lower(), text)

    def _refuse_anchor(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, "uses a YAML anchor (&), which is not read here; remove it")

    def _refuse(self, event: yaml.Event, problem: str) -> None:
        top = self.stack[-1] if self.stack else None
        path: Path = () if top is None else (*top.path, *(() if top.key is None else (top.key,)))
        raise _Malformed(Fault(path=path, line=_line_of(event), problem=problem))
