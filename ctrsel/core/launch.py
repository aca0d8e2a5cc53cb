"""Launch: what a launcher of several processes, such as `torchrun`, told this process in its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ctrsel.core.errors import ConfigError

__all__ = ["LAUNCH_NAMES", "Launch"]

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
LAUNCH_NAMES = (
    *_NEEDED,
    *("LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME"),
    *("TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One process among several.

    Attributes:
        rank: Which it is.
        size: How many there are.
        local_rank: Which it is on this machine.
        local_size: How many there are on this machine.
        host: Where the processes meet.
        port: The same.
        hosted: Whether the launcher keeps the meeting place; otherwise rank 0 does.
        attempt: How often the launcher has started the processes again.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    host: str
    port: int
    hosted: bool
    attempt: int

    @staticmethod
    def of(environment: Mapping[str, str] | None = None) -> Launch | None:
        """Read the environment; None where this process was started alone.

        Raises:
            ConfigError: If a number is none.

        Examples:
            >>> Launch.of({}) is None
            True
            >>> told = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
            >>> Launch.of(told).rank, Launch.of({**told, "WORLD_SIZE": "1", "RANK": "0"}) is None
            (1, True)
        """
        told = os.environ if environment is None else environment
        if any(name not in told for name in _NEEDED):
            return None

        def number(name: str, default: int | None = None) -> int:
            text = told.get(name, str(default))
            if not text.isdigit():
                raise ConfigError(f"environment: {name} must be a whole number, got {text!r}")
            return int(text)

        size = number("WORLD_SIZE")
        if size < 2:
            return None
        return Launch(
            rank=number("RANK"),
            size=size,
            local_rank=number("LOCAL_RANK", number("RANK")),
            local_size=number("LOCAL_WORLD_SIZE", size),
            host=told["MASTER_ADDR"],
            port=number("MASTER_PORT"),
            hosted=told.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
            attempt=number("TORCHELASTIC_RESTART_COUNT", 0),
        )
