"""What identifies people, known by its heading and by a sample of its content; it is never read as a value.

A heading is judged where a mapping file is read, and nothing about a case can change that. Content is judged only in
`council-node map` and `council-node check`, from a sample, before any round: a refusal that depended on a case would
tell something about it (`protocol.md` 1.3). Patterns follow published forms: National Insurance numbers (two letters,
six digits, A to D), NHS numbers (ten digits, the last a check digit modulo 11), postcodes (outward and inward part).
"""

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

from council_node.mapping.readable_dates import read_date

__all__ = ["counted_patterns", "identifying_content", "identifying_heading", "is_nhs_number"]

ENOUGH: Final = 20
"""Fewest texts from which anything but a telling pattern is concluded."""
TELLING: Final = 10
"""Per cent of the texts with a telling pattern from which the column is taken to be made of it."""
CHILDHOOD_YEARS: Final = 16
"""Main applicants are at least 16: dates of birth lie before that, dates of a case hardly ever."""
PLACEHOLDER_YEARS: Final = frozenset({1, 1753, 1899, 1900, 1970})
"""Years that systems write for "no date"."""

# Headings in lower case, everything but letters and digits a blank. The first group must be the whole heading.
_WHOLE: Final = {
    r"(main )?(applicant|client|customer|partner|tenant|person|surname|forename)s?( \d)?": "a name",
    r"d ?o ?b|birth ?(date|day)|(date |when )?born( on)?": "a date of birth",
    r"n ?i( (no|num|number|ref))?|nino": "a National Insurance number",
    r"nhs( (no|num|number|id))?": "an NHS number",
    r"(tel|telephone|mobile|phone|contact)( (no|num|number))?( \d)?": "a telephone number",
    r"(housing |case )?(officer|worker|caseworker|assessor)": "an officer's name",
    r"(.* )?notes?( \d)?|anything else|remarks?|memo|narrative|(further |other |more )?details": "free text",
}
_PART: Final = {
    r"\b(fore|sur|last|first|user)?names?\b(?! of)": "a name",
    r"\bdate of birth\b|\bd ?o ?b\b|\bbirth ?da(te|y)\b": "a date of birth",
    r"\bnational insurance\b|\bni (no|num|number)\b|\bnino\b": "a National Insurance number",
    r"\bnhs (no|num|number)\b": "an NHS number",
    r"\b(post|zip) ?codes?\b(?! (area|district))": "a postcode",
    r"\bu ?[ps] ?r ?n\b": "a property or street reference (UPRN, USRN)",
    r"\be ?mails?\b": "an e-mail address",
    r"\b(tele)?phones?\b|\b(mobile|tel) (no|num|number)\b": "a telephone number",
    r"\baddr(ess(es)?)?\b|\bhouse (no|num|number|name)\b": "an address",
    r"\b(easting|northing|latitude|longitude|grid ref(erence)?)\b": "a place on the map",
    r"\bcase ?notes?\b|\bcomments?\b|\bfree ?text\b": "free text",
    r"\bpassport\b|\bdriving licen[cs]e\b|\bhome office (no|num|number|ref|reference)\b": "the number of a document",
    r"\bbank (account|details)\b|\bsort code\b|\baccount (no|num|number)\b": "bank details",
}
_THINGS: Final = re.compile(
    r"\b(programme|program|scheme|project|council|authority|borough|region|district|ward|team|system|category)s? "
    r"names?\b"
)
"""Names of things, not of people."""

_NATIONAL_INSURANCE = re.compile(r"\b[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b")
_POSTCODE = re.compile(r"\b(?:[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|[A-Z]{1,2}\d[A-Z\d]?\d[A-Z]{2})\b")
_E_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Z]{2,}")
_TELEPHONE = re.compile(r"(?:\+44 ?(?:\(0\))?|\b0)[1-37]\d{2,4}[ -]?\d{3}[ -]?\d{3,4}\b")
_ADDRESS = re.compile(
    r"((flat|apartment|room) )?\d+[a-z]?,? ([a-z'’]+ ){1,4}(street|st|road|rd|avenue|ave|lane|close|drive|way|court|"
    r"terrace|gardens|crescent|grove|place|hill|walk|square)\b.*",
    re.IGNORECASE,
)
_TITLED = re.compile(r"^(MR|MRS|MS|MISS|MX|DR)\.? [A-Z]")
_PATTERNS: Final = {
    "a National Insurance number": _NATIONAL_INSURANCE,
    "an e-mail address": _E_MAIL,
    "a postcode": _POSTCODE,
    "a telephone number": _TELEPHONE,
    "a name": _TITLED,
}
_PERSON = re.compile(r"[A-Z][a-z'’-]+(?:[ ,]+[A-Z][a-zA-Z'’-]*){1,3}")
_WEIGHTS: Final = range(10, 1, -1)
_ELEVEN: Final = 11
_LONG_NUMBER = re.compile(r"\d{9,12}")


def identifying_heading(heading: str) -> str | None:
    """What a heading says a column holds, if that identifies people; such as ``a name``."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading)
    text = " ".join(re.sub(r"[^a-z0-9]+", " ", apart.casefold()).split())
    if _THINGS.search(text):
        return None
    whole = (kind for pattern, kind in _WHOLE.items() if re.fullmatch(pattern, text))
    part = (kind for pattern, kind in _PART.items() if re.search(pattern, text))
    return next(whole, None) or next(part, None)


def counted_patterns(texts: Sequence[str]) -> dict[str, int]:
    """How many of the texts hold each telling pattern; patterns that none holds are left out."""
    upper = [text.upper() for text in texts]
    counts = {kind: sum(1 for text in upper if pattern.search(text)) for kind, pattern in _PATTERNS.items()}
    counts["an NHS number"] = sum(map(is_nhs_number, texts))
    return {kind: count for kind, count in counts.items() if count}


def identifying_content(
    texts: Sequence[str], *, today: date, known: Callable[[str], bool] = lambda _: False
) -> str | None:
    """What a sample of a column shows that it holds, if that identifies people.

    Args:
        texts: A sample of the column's texts, blanks left out; equal ones as often as they occur.
        today: For ages.
        known: Whether a text is a known wording of a category; a short extract holds most of them once.

    Returns:
        Such as ``a postcode``. None when nothing identifying is seen, which is no proof that there is nothing.
    """
    counts = counted_patterns(texts)
    # A case number of ten digits has a right check digit one time in eleven.
    counts["an NHS number"] = counts.get("an NHS number", 0) // 5
    for kind, count in counts.items():
        if count > 1 and 100 * count >= TELLING * len(texts):
            return kind
    if len(texts) < ENOUGH or 2 * sum(map(known, texts)) >= len(texts):
        return None
    return next((kind for kind, shown in _SHAPES.items() if shown(texts, today)), None)


def is_nhs_number(text: str) -> bool:
    """Ten digits, perhaps in groups of 3, 3 and 4, of which the last is the check digit modulo 11."""
    if not re.fullmatch(r"\d{3}[ -]?\d{3}[ -]?\d{4}", text):
        return False
    digits = [int(sign) for sign in text if sign.isdigit()]
    check = _ELEVEN - sum(digit * weight for digit, weight in zip(digits, _WEIGHTS, strict=False)) % _ELEVEN
    return check % _ELEVEN == digits[-1] and len(set(digits)) > 1


def _births(texts: Sequence[str], today: date) -> bool:
    """Most are dates of more than sixteen years ago, and they spread over years as births do."""
    found = [day for text in texts if (day := read_date(text, today=today)) is not None]
    dates = [day for day in found if day.year not in PLACEHOLDER_YEARS]
    old = [day for day in dates if day.year + CHILDHOOD_YEARS < today.year]
    return len(dates) >= ENOUGH and 2 * len(old) > len(texts) and len({day.year for day in old}) >= ENOUGH // 2


def _names(texts: Sequence[str], _: date) -> bool:
    people = sum(1 for text in texts if _PERSON.fullmatch(text))
    return 10 * people >= 7 * len(texts) and _various(texts)


def _addresses(texts: Sequence[str], _: date) -> bool:
    return 10 * sum(1 for text in texts if _ADDRESS.fullmatch(text)) >= 3 * len(texts) and _various(texts)


def _prose(texts: Sequence[str], _: date) -> bool:
    return sum(len(text.split()) for text in texts) >= 6 * len(texts) and _various(texts)


def _long_numbers(texts: Sequence[str], today: date) -> bool:
    numbers = [text for text in texts if _LONG_NUMBER.fullmatch(text) and read_date(text, today=today) is None]
    return 10 * len(numbers) >= 8 * len(texts) and _various(texts)


def _various(texts: Sequence[str]) -> bool:
    """Most texts are there once: no list of categories is like that."""
    return 2 * len(set(texts)) > len(texts)


_SHAPES: Final[dict[str, Callable[[Sequence[str], date], bool]]] = {
    "a date of birth": _births,
    "a name": _names,
    "an address": _addresses,
    "free text": _prose,
    "a long number, as property references (UPRN) are": _long_numbers,
}
