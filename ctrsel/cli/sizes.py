"""How `ctrsel select` is told what chooses and how much is kept, and how it tells of sizes that it tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ctrsel.cli.speak import aligned
from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    from ctrsel.records.size_choice import SizeChoice

__all__ = ["names_of", "size_of", "size_text"]


def names_of(given: Sequence[str] | None, *, place: str) -> list[str]:
    """Return the names of a repeatable option that takes several with commas between them.

    Raises:
        ConfigError: If the option is given and names nothing, or one thing twice.

    Examples:
        >>> names_of(["gated,ranking", "merge"], place="--method"), names_of(None, place="--method")
        (['gated', 'ranking', 'merge'], [])
    """
    names = [name.strip() for words in given or () for name in words.split(",") if name.strip()]
    if given and not names:
        raise ConfigError(f"{place}: names nothing, got {','.join(given)!r}")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ConfigError(f"{place}: each stands once, got {twice[0]!r} twice")
    return names


def size_of(keep: str | None, k: int | None, auto: bool) -> str | dict[str, int] | None:
    """Return what the config's `select.size` would say.

    Raises:
        ConfigError: If more than one size is named, or a share is none.
    """
    named = [
        name for name, is_given in (("--keep", keep is not None), ("--k", k is not None), ("--auto", auto)) if is_given
    ]
    if len(named) > 1:
        raise ConfigError(f"{named[1]}: one size is enough, and {named[0]} names one")
    if auto:
        return "auto"
    if k is not None:
        if k < 1:
            raise ConfigError(f"--k: must be at least 1 field, got {k}")
        return {"fields": k}
    if keep is not None:
        from ctrsel.select.wanted import Wanted, share_of

        share = share_of(keep)
        if share is None:
            raise ConfigError(f"--keep: expected a share of the values such as 20% or 0.2, got {keep!r}")
        Wanted(share=share, place="--keep")
    return keep


def size_text(choice: SizeChoice) -> str:
    """Say which sizes were tried, and why one was taken."""
    rows = [[t.number, t.fields, t.values, f"{t.loss:.5f}", f"{t.above:.5f}", f"{t.error:.5f}"] for t in choice.tried]
    header = ["size", "fields", "values", "valid_log_loss", "above best", "standard error"]
    taken = (
        f"taken: {choice.chosen:,} {choice.unit}, the smallest within one standard error of the best "
        f"({choice.best:,}); the error is that of the difference, paired by row"
    )
    return "\n".join([aligned(header, rows), "", taken])
