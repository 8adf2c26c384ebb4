"""Changes an input as a person could who knows its form: a value, a name or a branch of JSON or YAML at a time.

Byte by byte, nearly every change of a document only breaks its form, and what stands behind the form is not reached.
"""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import yaml

from tests.fuzz.table import Form

__all__ = ["ODD", "bytes_changed", "changed"]

ODD = (
    None, True, False, 0, 1, -1, 2, 127, 2**31, 2**53, -(2**63), 2**64, 10**17, 10**30, 0.5, -0.0, 1e308, float("inf"), float("nan"),
    "", " ", "a", "0", "-1", "1/2", "1/3", "0/1", "1" * 39, "0." + "9" * 39, "1e400", "nan", "yes", "null", "none", "all", "/", "..",
    "0001-01-01", "9999-12-31", "2025-02-29", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2025-W01-1", "20250101", "E06000001", "E12000001", "é", "\u0661", "²", "\ud800", "\u202e", "\x00", "\n", "\x85", "'", "`",
    "{0}", "%s", "A" * 200, "A" * 5000, "00" * 32, "ff" * 32, "zz" * 32, "e30=", "====", "ed25519:" + "0" * 64, [], {}, [[]], [{}], {"": ""},
)  # fmt: skip
"""Values at the edges of what is allowed, and beyond."""

_MOST = 24 * 1024


def changed(content: bytes, form: Form, rng: random.Random) -> bytes | None:
    """The input with one to four changes; None where it is not of its form, so that bytes must be changed."""
    read, write = _FORMS[form]
    try:
        document = read(content)
    except (ValueError, RecursionError, yaml.YAMLError):
        return None
    try:
        for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
            document = _one(document, rng)
        made = write(document)
    except (ValueError, RecursionError, TypeError, yaml.YAMLError):
        return None
    return made if len(made) <= _MOST else None


def _one(document: Any, rng: random.Random) -> Any:
    places = list(_places(document))
    if not places:
        return _value(document, rng)
    holder, key = rng.choice(places)
    match rng.randrange(10):
        case 0:
            del holder[key]
        case 1:
            other, name = rng.choice(places)
            holder[key] = copy.deepcopy(other[name])
        case 2 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 2:
            holder[f"{key}_"[: rng.choice((1, 60))]] = holder.pop(key)
        case 3 if isinstance(holder, dict):
            _, name = rng.choice(places)
            holder[str(name)] = copy.deepcopy(holder[key])
        case 4:
            holder[key] = [holder[key]]
        case 5:
            holder[key] = {"a": holder[key]}
        case _:
            holder[key] = _value(holder[key], rng)
    return document


def _value(value: Any, rng: random.Random) -> Any:
    if rng.random() < 0.5:
        return copy.deepcopy(rng.choice(ODD))
    match value:
        case bool():
            return not value
        case int() | float():
            return value + rng.choice((-1, 1, 2**32, -(2**32))) if rng.random() < 0.7 else -value
        case str() if value:
            at = rng.randrange(len(value))
            letter = rng.choice("0123456789-:/.,'\"{}[] abczAZ\u00e9\u2028\u0660")
            return rng.choice(
                (value[:at], value[at:], value[:at] + letter + value[at + 1 :], value + letter, value * 2)
            )
        case _:
            return copy.deepcopy(rng.choice(ODD))


def _places(document: Any) -> Any:
    """Every place in a document, as its holder and its key there."""
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            waiting.append(holder[key])


def _plain(value: Any) -> Any:
    # Dates and the like, which YAML's own library reads and ours does not, as they stand there.
    return json.loads(json.dumps(value, default=str))


_FORMS: dict[Form, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    Form.JSON: (json.loads, lambda document: json.dumps(document, sort_keys=True, separators=(",", ":")).encode()),
    Form.YAML: (
        lambda content: _plain(yaml.safe_load(content)),
        lambda document: yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass"),
    ),
}


def bytes_changed(content: bytes, rng: random.Random) -> bytes:
    """Bytes with a few places overwritten, cut out, said twice or cut off."""
    made = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(made) + 1)
        end = min(len(made), start + rng.choice((1, 1, 4, 64)))
        match rng.randrange(4):
            case 0:
                made[start:end] = rng.randbytes(end - start)
            case 1:
                del made[start:end]
            case 2:
                made[start:start] = made[start:end]
            case _:
                del made[len(made) - min(len(made), rng.randrange(16)) :]
    return bytes(made)
