"""Refuses manifests that say nothing in particular (requirement R25).

A council cannot decide on "policy and service improvement". Each finding says which field, what is wrong with it and
how to write it; an error keeps a question from being asked and from being answered, a warning does not.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal, get_origin

from pydantic import BaseModel

from federated import plain_english
from federated.manifest_form import Manifest
from federated.yaml_document import form_faults, read_form

__all__ = ["LintFinding", "Severity", "lint", "lint_payload"]

SPECIFIC_WORDS: Final[Mapping[str, int]] = {
    "question": 4,
    "decision": 5,
    "benefit_to_council": 4,
    "benefit_to_residents": 4,
    "need.why_now": 3,
    "need.done_differently": 4,
}
"""Fewest words with a meaning of their own, for the fields a council decides by."""
SENTENCE_WARNING: Final = 25
SENTENCE_ERROR: Final = 40
SCORE_WARNING: Final = 60
SCORE_ERROR: Final = 70
LONGEST_RETENTION: Final = timedelta(days=3653)
DECIDING_WORDS: Final = frozenset(
    """
    decide decides whether which choose chooses where when start starts stop stops open opens close closes set sets
    move moves extend extends end ends keep keeps
    """.split()  # noqa: SIM905 - one quoted word to a line would be harder to read
)
MAY_BE_NONE: Final = frozenset({"linked_data"})
LEGAL_WORDING: Final = ("legal_position.", "contacts.")
"""Fields whose wording is the law's, or an address: they are not held to a reading score."""


class Severity(StrEnum):
    """What a finding means."""

    ERROR = "error"
    """The manifest is refused."""
    WARNING = "warning"
    """The manifest would be better for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One thing to mend in a manifest.

    Attributes:
        field: Which field, for example ``need.why_now``.
        problem: What is wrong with it, as a sentence.
        advice: How to write it, as a sentence.
        severity: Whether the manifest is refused for it.
        line: Line in the file, where it is known; 0 otherwise.
    """

    field: str
    problem: str
    advice: str
    severity: Severity
    line: int = 0


def lint_payload(payload: bytes) -> tuple[LintFinding, ...]:
    """Everything to mend in a manifest file, whether or not it has the form of one. Shown by `federated manifest lint`.

    Args:
        payload: The manifest as YAML.
    """
    faults = form_faults(Manifest, payload)
    if not faults:
        return lint(read_form(Manifest, payload, source="manifest"))
    return tuple(
        LintFinding(
            field=fault.name,
            problem=f"It {fault.problem}." if fault.path else f"The file {fault.problem}.",
            advice=_description(fault.path),
            severity=Severity.ERROR,
            line=fault.line,
        )
        for fault in faults
    )


def lint(manifest: Manifest) -> tuple[LintFinding, ...]:
    """Everything to mend in a manifest, errors first. Run by the analyst's client and again by every node."""
    texts = tuple(_texts(manifest))
    findings = [finding for name, text in texts for check in _CHECKS for finding in check(name, text)]
    findings += _unexplained_acronyms(texts)
    findings += _far_end(manifest)
    return tuple(sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR))


def _texts(block: BaseModel, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text a person wrote, by field."""
    for name, field in type(block).model_fields.items():
        if get_origin(field.annotation) is not Literal:  # a choice among fixed words is nobody's text
            yield from _texts_of(getattr(block, name), f"{path}{name}")


def _texts_of(value: object, name: str) -> Iterator[tuple[str, str]]:
    match value:
        case StrEnum():
            return
        case str():
            yield name, value
        case BaseModel():
            yield from _texts(value, f"{name}.")
        case tuple():
            for position, item in enumerate(value):
                yield from _texts_of(item, f"{name}.{position}")
        case _:
            return


def _error(field: str, problem: str, advice: str) -> LintFinding:
    return LintFinding(field=field, problem=problem, advice=advice, severity=Severity.ERROR)


def _warning(field: str, problem: str, advice: str) -> LintFinding:
    return LintFinding(field=field, problem=problem, advice=advice, severity=Severity.WARNING)


def _unfinished(name: str, text: str) -> Iterator[LintFinding]:
    found = plain_english.placeholder(text)
    if found is not None:
        yield _error(name, f"It is unfinished: '{found}' is still there.", "Write the text itself.")
    if plain_english.says_nothing(text) and name not in MAY_BE_NONE:
        yield _error(name, f"'{text}' is no answer.", "Say in a sentence why, or what was looked at.")


def _vague(name: str, text: str) -> Iterator[LintFinding]:
    needed = SPECIFIC_WORDS.get(name, 0)
    if len(plain_english.specific_words(text)) < needed:
        yield _error(
            name,
            "It is too general: it could stand in any manifest.",
            "Name the people, the service, the choice and the date it is about. 'To improve services' says nothing; "
            "'to decide by June which three towns get a night shelter' does.",
        )
    if name == "decision" and not {word.strip(",.;:").lower() for word in text.split()} & DECIDING_WORDS:
        yield _warning(name, "It names no choice.", "Say who decides whether or which, and when.")
    if name == "question" and "?" not in text:
        yield _warning(name, "It is not a question.", "Write it as a question, with a question mark.")


def _open_ended(name: str, text: str) -> Iterator[LintFinding]:
    if name.startswith(LEGAL_WORDING):
        return
    found = plain_english.open_ended(text)
    if found is not None:
        yield _error(name, f"'{found}' leaves open what else is meant.", "List everything, and nothing else.")


def _without_end(name: str, text: str) -> Iterator[LintFinding]:
    found = plain_english.without_end(text)
    if found is not None:
        yield _error(name, f"'{found}' sets no end.", "Give the day on which it ends.")


def _unreadable(name: str, text: str) -> Iterator[LintFinding]:
    if name.startswith(LEGAL_WORDING):
        return
    longest = plain_english.longest_sentence(text)
    if longest > SENTENCE_WARNING:
        make = _error if longest > SENTENCE_ERROR else _warning
        yield make(name, f"It has a sentence of {longest} words.", f"Keep sentences under {SENTENCE_WARNING} words.")
    score = plain_english.reading_score(text)
    if score is not None and score > SCORE_WARNING:
        make = _error if score > SCORE_ERROR else _warning
        yield make(
            name,
            f"It is hard to read: its reading score is {score}, and {SCORE_WARNING} is a legal text.",
            "Use shorter sentences and everyday words.",
        )


_CHECKS: Final[tuple[Callable[[str, str], Iterator[LintFinding]], ...]] = (
    _unfinished,
    _vague,
    _open_ended,
    _without_end,
    _unreadable,
)


def _unexplained_acronyms(texts: tuple[tuple[str, str], ...]) -> Iterator[LintFinding]:
    explained = frozenset().union(*(plain_english.expanded_acronyms(text) for _, text in texts))
    seen: set[str] = set()
    for name, text in texts:
        if name.startswith("contacts."):
            continue
        for acronym in plain_english.acronyms(text):
            if acronym not in seen | explained:
                seen.add(acronym)
                yield _error(
                    name,
                    f"'{acronym}' is not explained anywhere.",
                    f"Write it out where it first stands, with ({acronym}) after it, or do without it.",
                )


def _far_end(manifest: Manifest) -> Iterator[LintFinding]:
    if manifest.retention.until > manifest.expires_on + LONGEST_RETENTION:
        yield _error(
            "retention.until",
            "It is more than ten years after the question ends, which is as good as no end date.",
            "Give an end date within ten years.",
        )


def _description(path: tuple[str | int, ...]) -> str:
    """What a field is for, from the form itself."""
    block: object = Manifest
    description = "See docs/reference/manifest.md."
    for part in path:
        if isinstance(part, int):
            continue
        field = block.model_fields.get(part) if isinstance(block, type) and issubclass(block, BaseModel) else None
        if field is None:
            return description
        description = field.description or description
        block = _inner(field.annotation)
    return description


def _inner(annotation: object) -> object:
    """The form inside a list of forms, or the form itself."""
    arguments = getattr(annotation, "__args__", ())
    return arguments[0] if arguments else annotation
