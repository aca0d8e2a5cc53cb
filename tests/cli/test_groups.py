"""Option groups become plain options."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from ctrsel.cli.groups import expand


@dataclass(frozen=True)
class Loud:
    quiet: bool = False
    times: int = 1


def test_groups_are_expanded_and_put_together_again():
    seen = []

    def command(*, name: str, loud: Loud, last: int = 3) -> None:
        """Speak."""
        seen.append((name, loud, last))

    made = expand(command)
    assert list(inspect.signature(made).parameters) == ["name", "quiet", "times", "last"]
    assert inspect.signature(made).parameters["times"].default == 1
    assert made.__doc__ == "Speak."
    made(name="a", quiet=True, times=2, last=4)
    assert seen == [("a", Loud(quiet=True, times=2), 4)]
