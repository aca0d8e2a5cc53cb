"""Reaching a storage: what comes back by itself is told from what does not, by the words of the libraries that read it."""

from __future__ import annotations

import re

from ctrsel.core.errors import DataError, UnreachableError

__all__ = ["unread"]

# Object stores by polars and deltalake, PostgreSQL's library, SQLite: their errors have no classes that could be asked.
_PASSING = re.compile(
    r"connection (attempt )?(refused|reset|aborted|closed|timed out)|(reset|closed) by peer|connect error|could not connect|"
    r"error sending request|error decoding response body|operation timed out|timed out|timeout|unreachable|"
    r"temporary failure|temporarily unavailable|service unavailable|slow ?down|too many (requests|clients|connections)|"
    r"internal ?(server ?)?error|bad gateway|status[^0-9]{0,20}(429|500|502|503|504)\b|starting up|shutting down|"
    r"server closed the connection|terminating connection|database (table )?is locked",
    re.IGNORECASE,
)


def unread(sentence: str, *, why: str) -> DataError | UnreachableError:
    """Return the error for a source that could not be read: whether trying again may help is in its class.

    Args:
        sentence: What the user is told.
        why: The library's words.

    Examples:
        >>> type(unread("s3://clicks: cannot be read", why="operation timed out")).__name__
        'UnreachableError'
        >>> type(unread("s3://clicks: cannot be read", why="403 Forbidden")).__name__
        'DataError'
        >>> type(unread("s3://clicks: cannot be read", why="part-500.parquet: 403 Forbidden")).__name__
        'DataError'
    """
    return UnreachableError(sentence) if _PASSING.search(why) else DataError(sentence)
