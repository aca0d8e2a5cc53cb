"""The errors a user can meet: each is one sentence with the place, the rule and the value, and knows its exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = [
    "AbsentError",
    "AlarmError",
    "ConfigError",
    "CtrselError",
    "DataError",
    "LeakError",
    "MissingExtraError",
    "PromotionRefusedError",
    "RefusedError",
    "UnreachableError",
    "unknown_name",
]


class CtrselError(Exception):
    """Base of all expected failures.

    Attributes:
        exit_code: What the command line returns.
        result: What was done all the same, as plain values, for those who read outcomes as JSON.
    """

    exit_code = 1
    result: Mapping[str, Any] = MappingProxyType({})


class ConfigError(CtrselError):
    """The configuration or the command line asks for something that cannot be."""

    exit_code = 2


class RefusedError(ConfigError):
    """A server or storage does not let this user in, or not do this; a person must give rights, a repetition does not."""


class MissingExtraError(ConfigError):
    """An optional library is needed; the message holds the line that installs it."""


class DataError(CtrselError):
    """The data break a rule: the message names file, column or row, the rule and the value."""

    exit_code = 3


class AbsentError(DataError):
    """There is nothing where a source should lie; it may come later."""


class LeakError(DataError):
    """The audit found a field that gives the label away and that the config does not accept."""


class PromotionRefusedError(CtrselError):
    """The new model did not pass the promotion rule; it is registered but not promoted."""

    exit_code = 4


class UnreachableError(CtrselError):
    """A server or storage cannot be reached at the moment; everything is kept, and the same command goes on."""

    exit_code = 5


class AlarmError(CtrselError):
    """A watched figure is beyond its limit."""

    exit_code = 6


def unknown_name(kind: str, name: str, known: Iterable[str], *, place: str = "") -> ConfigError:
    """Build the error for a name that is not known, with the nearest known ones.

    Args:
        kind: What the name stands for, in the singular ("config key", "selector").
        name: The name that came.
        known: All names that would have been right.
        place: Where it stands ("train.yaml: learners.net"), if there is a place to name.

    Returns:
        The error, to be raised by the caller.

    Examples:
        >>> str(unknown_name("selector", "optsf", ["gated", "optfs"]))
        "unknown selector 'optsf'; did you mean 'optfs'? Known: gated, optfs"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    where = f"{place}: " if place else ""
    shown = [n if n.isprintable() else repr(n) for n in names]  # a column may be named by two lines
    return ConfigError(f"{where}unknown {kind} {name!r}{hint} Known: {', '.join(shown) if shown else 'none'}")
