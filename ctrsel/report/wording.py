"""How texts and settings are written: nothing in the data can break a line, turn a text around, or flood the page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["public", "settings", "shorten", "visible"]

# Control characters, halves of surrogate pairs, non-characters, and what changes the direction of the text that follows;
# letters that run right to left stay as they are.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    + "".join(chr(plane + 0xFFFE) + chr(plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000))
    + "]"
)


def visible(text: str) -> str:
    r"""Write out the characters that HTML forbids or that turn the text around them.

    Examples:
        >>> visible("a\x00b\u202ec"), visible("\u05d0 plain")
        ('a\\x00b\\u202ec', '\u05d0 plain')
    """
    return _FORBIDDEN.sub(lambda found: _code(found.group()), text)


def _code(c: str) -> str:
    point = ord(c)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def shorten(text: str, limit: int = 60) -> str:
    """Shorten a long text in the middle to at most `limit` characters.

    Examples:
        >>> shorten("a" * 100 + "z", 9), shorten("short", 9)
        ('aaaa\u2026aaaz', 'short')
    """
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head]}\u2026{text[len(text) - (limit - 1 - head) :]}"


def public(text: str) -> str:
    """Hide user and password in an address.

    Examples:
        >>> public("https://ann:secret@host/x")
        'https://***@host/x'
    """
    return re.sub(r"(://)[^/@\s]+@", r"\1***@", text)


def settings(value: Any) -> str:
    """Write plain values in the manner of YAML, for reading; passwords in addresses are hidden.

    Examples:
        >>> print(settings({"seed": 1, "select": {"size": 0.5, "groups": []}, "rank": [{"use": "mi"}], "note": ""}))
        seed: 1
        select:
          size: 0.5
          groups: []
        rank:
          - use: mi
        note: ""
    """
    return "\n".join(_lines(value))


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        found: list[str] = []
        for key, item in value.items():
            name = visible(str(key))
            if isinstance(item, Mapping | list | tuple) and item:
                found += [f"{name}:", *(f"  {line}" for line in _lines(item))]
            else:
                found.append(f"{name}: {_lines(item)[0]}")
        return found
    if isinstance(value, list | tuple) and value:
        found = []
        for item in value:
            first, *rest = _lines(item)
            found += [f"- {first}", *(f"  {line}" for line in rest)]
        return found
    return [_single(value)]


def _single(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    text = public(visible(shorten(str(value), 400)))
    quoted = isinstance(value, str) and (
        not text.strip() or text != text.strip() or ": " in text or text[0] in "#&*!|>'\"%@`[]{}"
    )
    return f'"{text}"' if quoted else text
