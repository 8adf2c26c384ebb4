"""How alike two short texts are, for matching headings with columns and wordings with codes.

Texts are compared word by word. Words that tell the candidates apart weigh most, so that "rent arrears" in every
second code decides nothing and "social" does. A typing error or a shortened word still counts; another number, another
sex or a "not" too many never does. Similarity is for proposals: what it finds is shown to a person or held against a
threshold that a test keeps free of wrong matches.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Final

from rapidfuzz import fuzz

__all__ = ["Likeness", "Ranked", "plain_words"]

_NEGATIONS: Final = frozenset({"no", "not", "non", "nor", "without", "never", "neither", "none"})
_SEXES: Final = {
    "male": "male", "man": "male", "men": "male", "father": "male", "m": "male", "boy": "male",
    "female": "female", "woman": "female", "women": "female", "mother": "female", "f": "female", "girl": "female",
}  # fmt: skip
_FILLERS: Final = frozenset("a an and any at by for from in is of on or the to".split())  # noqa: SIM905 - easier to read
_MARK: Final = re.compile(r"^\W*(?:\d{1,3}|[a-z])(?:[\s).:-]+|\)\s*)(?=\S{2,})", re.IGNORECASE)
"""A number or letter before the words, as code lists have: ``03 - Relief``."""
SHORTENED: Final = 3
"""Fewest letters of a word that may stand for a longer one beginning with them."""
TYPED: Final = 84
"""Per cent of letters in common from which two words with one first letter are taken to be one."""
SHORTENED_WORTH: Final = 92
HUNDRED: Final = 100


def plain_words(text: str, expand: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The words of a heading or wording: lower case, apart where capitals or signs part them, fillers left out.

    Args:
        text: As written.
        expand: Abbreviations and what they stand for.
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).casefold().replace("'", "").replace("’", "")
    apart = re.sub(r"(?<=[a-z])(?=\d{2})|(?<=\d)(?=[a-z]{3})", " ", apart)
    apart = apart.replace("not known", "unknown")
    words = re.findall(r"[a-z]+\d?|\d+", apart)
    expanded = (part for word in words for part in (expand or {}).get(word, word).split())
    return tuple(word for word in expanded if word not in _FILLERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate and how like the text it is.

    Attributes:
        name: The candidate.
        score: 0 to 100; 100 when the words are the same.
    """

    name: str
    score: int


@dataclass(frozen=True)
class Likeness:
    """Candidates to compare texts with.

    Attributes:
        names: Every text that stands for a candidate, by candidate.
        expand: Abbreviations and what they stand for.
        numbered: Whether a number before the words may be a place in a list.
    """

    names: Mapping[str, tuple[str, ...]]
    expand: Mapping[str, str]
    numbered: bool = False

    @cached_property
    def _candidates(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        pairs = ((name, plain_words(text, self.expand)) for name, texts in self.names.items() for text in texts)
        return tuple(dict.fromkeys(pair for pair in pairs if pair[1]))

    @cached_property
    def _weights(self) -> dict[str, float]:
        words: dict[str, set[str]] = {}
        for name, found in self._candidates:
            for word in found:
                words.setdefault(word, set()).add(name)
        return {word: log(1 + len(self.names) / len(names)) for word, names in words.items()}

    @cached_property
    def _unknown(self) -> float:
        """Weight of a word that no candidate has: as telling as one that only one candidate has."""
        return log(1 + len(self.names))

    def rank(self, text: str) -> tuple[Ranked, ...]:
        """The candidates that share anything with a text, the likest first."""
        best: dict[str, int] = {}
        for words in (plain_words(reading, self.expand) for reading in self.readings_of(text)):
            for name, candidate in self._candidates:
                best[name] = max(best.get(name, 0), self._score(words, candidate))
        ranked = (Ranked(name=name, score=score) for name, score in best.items() if score)
        return tuple(sorted(ranked, key=lambda item: -item.score))

    def readings_of(self, text: str) -> Iterator[str]:
        """The text, and without a place in a list before it."""
        plain = text.strip()
        yield plain
        if self.numbered and (shorter := _MARK.sub("", plain)) != plain:
            yield shorter

    def _score(self, words: tuple[str, ...], candidate: tuple[str, ...]) -> int:
        if not words or _apart(words, candidate):
            return 0
        if words == candidate:
            return HUNDRED
        worth = {word: max((_same(word, other) for other in candidate), default=0) for word in words}
        back = {other: max((_same(word, other) for word in words), default=0) for other in candidate}
        found = sum(self._weight(word) * part for word, part in worth.items())
        matched = sum(self._weight(other) * part for other, part in back.items())
        total = self._total(words) + self._total(candidate)
        return min(HUNDRED - 1, int((found + matched) / total))

    def _weight(self, word: str) -> float:
        if word in self._weights:
            return self._weights[word]
        near = [self._weights[other] for other in self._weights if _same(word, other)]
        return min(near, default=self._unknown)

    def _total(self, words: Iterable[str]) -> float:
        return sum(self._weight(word) for word in dict.fromkeys(words))


def _same(word: str, other: str) -> int:
    """How far two words are one: 100, or less for a typing error or a shortened word; 0 when they are two."""
    if word == other:
        return HUNDRED
    if word.isdigit() or other.isdigit() or word[0] != other[0]:
        return 0
    short, long = sorted((word, other), key=len)
    if len(short) >= SHORTENED and long.startswith(short):
        return SHORTENED_WORTH
    score = int(fuzz.ratio(word, other))
    return score if len(short) > SHORTENED and score >= TYPED else 0


def _apart(words: tuple[str, ...], candidate: tuple[str, ...]) -> bool:
    """Whether one says a number, a sex or a "not" that the other does not."""
    kinds: tuple[Callable[[str], str | None], ...] = (
        lambda word: word if word.isdigit() else None,
        _SEXES.get,
        lambda word: "not" if word in _NEGATIONS else None,
    )
    return any({kind(word) for word in words} - {None} != {kind(word) for word in candidate} - {None} for kind in kinds)
