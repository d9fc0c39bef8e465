"""JSON in pieces: attestations, bundles, provenance and answers with something wrong in them."""

from __future__ import annotations

import base64
import copy
import json
from typing import TYPE_CHECKING, Any

from fuzz.texts import damaged, encoded, repeated, word

if TYPE_CHECKING:
    import random

_LARGEST = 20 << 20


def value(chance: random.Random, depth: int = 3) -> Any:
    """Make up any JSON value."""
    match chance.randrange(12):
        case 0:
            return None
        case 1:
            return chance.choice((True, False))
        case 2:
            return chance.choice((0, -1, 1, 2**31, 2**63, 2**64, 10**30, -(10**30)))
        case 3:
            return chance.choice((0.5, 1e308, -1e308, float("inf"), float("nan")))
        case 4 | 5 | 6:
            return word(chance)
        case 7:
            return base64.b64encode(encoded(chance, word(chance))).decode()
        case 8:
            return repeated(chance, 100_000)
        case 9 if depth:
            small = chance.choice((0, None, "", "a", [], {}, {"a": []}, [[]], 0.5))
            return [small] * int(5000 ** chance.random())
        case 10 if depth:
            return {word(chance)[:50]: value(chance, depth - 1) for _ in range(chance.randrange(5))}
        case _:
            return [] if chance.random() < 0.5 else {}


def changed(chance: random.Random, document: Any) -> Any:
    """Change a JSON document in some places: values, keys, lengths, what base64 holds."""
    made = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        places = list(_places(made))
        if not places:
            return value(chance)
        holder, key = chance.choice(places)
        match chance.randrange(8):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[word(chance)[:80]] = holder.pop(key)
            case 2 if isinstance(holder, list):
                holder[key:key] = [holder[key]] * int(3000 ** chance.random())
            case 3:
                holder[key] = [holder[key]]
            case 4 | 5 if isinstance(holder[key], str):
                holder[key] = _changed_text(chance, holder[key])
            case _:
                holder[key] = value(chance)
    return made


def _places(document: Any) -> Any:
    if isinstance(document, dict):
        for key, inner in document.items():
            yield document, key
            yield from _places(inner)
    elif isinstance(document, list):
        for number, inner in enumerate(document[:50]):
            yield document, number
            yield from _places(inner)


def _changed_text(chance: random.Random, text: str) -> str:
    """Damage a text, or what it holds: base64 of bytes or of JSON."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        content = b""
    if not content or chance.random() < 0.2:
        return damaged(chance, text.encode("utf-8", "replace")).decode("utf-8", "replace")
    try:
        inner = json.loads(content)
    except ValueError:
        return base64.b64encode(damaged(chance, content)).decode()
    made = changed(chance, inner) if isinstance(inner, dict | list) else value(chance)
    return base64.b64encode(json.dumps(made).encode()).decode()


def as_bytes(chance: random.Random, document: Any) -> bytes:
    """Write a document as JSON, now and then with damage, or many of them in lines."""
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5)
    content = encoded(chance, text) if chance.random() < 0.2 else text.encode("utf-8", "replace")
    match chance.randrange(10):
        case 0:
            return damaged(chance, content)
        case 1:
            times = min(int(1500 ** chance.random()), _LARGEST // (len(content) + 1) + 1)
            return b"\n".join([content] * times)
        case 2:
            nest = chance.choice((b"[", b'{"a":'))
            return nest * int(100_000 ** chance.random()) + content
        case _:
            return content
