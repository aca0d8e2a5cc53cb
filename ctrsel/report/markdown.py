"""Markdown: texts from the data as they are, whatever characters they hold."""

from __future__ import annotations

from ctrsel.report.wording import shorten, visible

__all__ = ["code", "escaped"]


def escaped(words: str) -> str:
    r"""Write a text from the data so that markdown shows it as it is.

    Examples:
        >>> escaped("<b>*")
        '\\<b\\>\\*'
    """
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in visible(shorten(words, 400)))


def code(words: str) -> str:
    """Write a text from the data as code.

    Examples:
        >>> code("a|b")
        '`a/b`'
    """
    return f"`{visible(shorten(words, 200)).replace('`', chr(0x2019)).replace('|', '/')}`"
