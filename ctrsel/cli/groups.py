"""Option groups: a dataclass of options that several commands share, so that each option has one definition."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

__all__ = ["expand"]


def expand(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its groups: each parameter that is a dataclass becomes the dataclass's fields.

    Args:
        function: A command whose parameters are annotated, some of them with option groups.

    Examples:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Loud:
        ...     quiet: bool = False
        >>> def hear(*, loud: Loud, times: int = 1) -> None:
        ...     assert loud.quiet and times == 2
        >>> list(inspect.signature(expand(hear)).parameters)
        ['quiet', 'times']
        >>> expand(hear)(quiet=True, times=2)
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for own in inspect.signature(function).parameters.values():
        if own.name not in groups:
            parameters.append(own.replace(annotation=hints[own.name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        of = get_type_hints(groups[own.name], include_extras=True)
        parameters += [
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=of[f.name])
            for f in dataclasses.fields(groups[own.name])
        ]

    @functools.wraps(function)
    def command(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{f.name: given.pop(f.name) for f in dataclasses.fields(group)})
        function(**given)

    # Both are set, and the link to the original cut, since the command line reads one or the other.
    del command.__wrapped__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by inspect.signature
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command
