"""Failure: what went wrong as one sentence and an exit code."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ctrsel.core.errors import ConfigError, CtrselError

__all__ = ["EXIT_CODES", "Failure", "Terminated", "failure"]

EXIT_CODES = {
    0: "done",
    1: "a defect of the program, with its traceback",
    2: "bad config or usage, or access refused",
    3: "bad data, an unaccepted leak, or a full disk",
    4: "promotion refused",
    5: "a server or storage cannot be reached; nothing is lost",
    6: "a watched figure is beyond its limit",
    130: "interrupted by Ctrl-C",
    141: "the reader of the output went away",
    143: "ended by SIGTERM",
}

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries below Python write files too; their errors carry the system's text, numpy's only the two byte counts.
_FULL_TEXT = re.compile(
    r"no space left on device|disk is full|disk quota exceeded|file too large|os error (28|122|27)\b|"
    r"\d+ requested and \d+ written",
    re.IGNORECASE,
)
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EEXIST}


class Terminated(KeyboardInterrupt):
    """SIGTERM came; everything that Ctrl-C cleans up is cleaned up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a command ended.

    Attributes:
        code: The exit code.
        sentence: What is said on standard error; None says nothing.
        defect: Whether the traceback is shown as well.
    """

    code: int
    sentence: str | None
    defect: bool = False


def failure(error: BaseException, *, place: str = "") -> Failure:
    """Classify an exception.

    Args:
        error: What was raised.
        place: The folder or file that was being written, for a full disk that names none.

    Examples:
        >>> from ctrsel.core.errors import DataError
        >>> failure(DataError("a.csv: the file is empty"))
        Failure(code=3, sentence='a.csv: the file is empty', defect=False)
        >>> failure(OSError(errno.ENOSPC, "No space left on device", "/data/t.npy")).sentence
        '/data/t.npy: no space is left on the disk; what was half-written is removed'
    """
    if isinstance(error, CtrselError) and (error.exit_code != ConfigError.exit_code or not _full(error)):
        return Failure(code=error.exit_code, sentence=str(error))
    if isinstance(error, Terminated):
        return Failure(code=143, sentence="ended by SIGTERM; finished stages are kept and the same command goes on")
    if isinstance(error, KeyboardInterrupt):
        return Failure(code=130, sentence="interrupted; finished stages are kept and the same command goes on")
    if isinstance(error, BrokenPipeError):
        return Failure(code=141, sentence=None)
    full = _full(error)
    if full is not None:
        # Of two names the second is what was written.
        named = (full.filename2 or full.filename) if isinstance(full, OSError) else None
        where = _text(named) or place or "the folder that was being written"
        return Failure(code=3, sentence=f"{where}: no space is left on the disk; what was half-written is removed")
    if isinstance(error, OSError) and error.errno in _REFUSED and error.filename is not None:
        return Failure(code=2, sentence=f"{_text(error.filename)}: {(error.strerror or str(error)).lower()}")
    return Failure(
        code=1,
        sentence=f"a defect of ctrsel, please report it with the lines above: {type(error).__name__}: {error}",
        defect=True,
    )


def _full(error: BaseException) -> BaseException | None:
    """Return what says that the disk is full, the error itself or one below it."""
    for cause in _chain(error):
        if (isinstance(cause, OSError) and cause.errno in _FULL) or _FULL_TEXT.search(str(cause)):
            return cause
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or now.__context__


def _text(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else "" if name is None else str(name)
