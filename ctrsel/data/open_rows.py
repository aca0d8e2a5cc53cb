"""Where training takes its rows from: memory if they fit there beside all else, blocks on disk if not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.core.memory import available_memory
from ctrsel.data.blocks import Blocks
from ctrsel.data.rows import RowMatrix, Rows
from ctrsel.data.scratch import in_memory_folder
from ctrsel.data.table import Table

__all__ = ["RowsIn", "open_rows"]

RowsIn = Literal["auto", "memory", "blocks"]

_MARGIN = 0.8  # of the memory that is left: beyond it the system may end the process


def open_rows(
    table: Table,
    split: str | None,
    *,
    seed: int,
    where: RowsIn = "auto",
    beside: int = 0,
    sharers: int = 1,
    scratch: Path | None = None,
) -> Rows:
    """Open a split's rows for shuffled reading; close what is returned (it is a context manager).

    The rule of "auto": in memory if `RowMatrix.estimate` and `beside` are together at most 0.8 of `available_memory`,
    which knows the limits of containers and shells; otherwise blocks.

    Args:
        table: The rows.
        split: Which split; None for all rows.
        seed: Of the assignment to blocks.
        where: "memory" and "blocks" force it.
        beside: Bytes that the caller is about to fill with something else, a net for example.
        sharers: Processes on this machine that are about to take as much.
        scratch: Folder for blocks; None for the folder for temporary files (TMPDIR).

    Raises:
        ConfigError: If the forced kind does not fit, or blocks are needed and the scratch folder is kept in memory.
        DataError: If the disk has no space for the blocks.
    """
    left = available_memory() // sharers - beside
    needed = RowMatrix.estimate(table, split)
    if where == "memory" or (where == "auto" and needed + beside <= _MARGIN * (left + beside)):
        if needed > left:
            raise ConfigError(
                f"rows in memory need {_gib(needed)} beside {_gib(beside)}, {_gib(left + beside)} are free; "
                "let them be in blocks"
            )
        return RowMatrix(table, split)
    if where == "auto" and in_memory_folder(scratch):
        raise ConfigError(
            f"the rows need {_gib(needed)} beside {_gib(beside)}, {_gib(left + beside)} are free, and the folder for "
            "temporary files is kept in memory itself; set TMPDIR to a folder on a disk"
        )
    least = Blocks.estimate(table, split)
    if least > left:
        raise ConfigError(f"blocks of rows need {_gib(least)} beside {_gib(beside)}, {_gib(left + beside)} are free")
    event("rows on disk", needed=needed, free=left + beside)
    return Blocks(table, split, seed=seed, scratch=scratch, memory=max(16 << 20, min(128 << 20, left // 4)))


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
