"""What training a net takes in memory, and where its rows go beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrsel.core.errors import ConfigError
from ctrsel.core.memory import available_memory
from ctrsel.data.open_rows import RowsIn, open_rows
from ctrsel.data.rows import RowMatrix
from ctrsel.train.best import IN_MEMORY

if TYPE_CHECKING:
    from ctrsel.data.rows import Rows
    from ctrsel.data.table import Table
    from ctrsel.models.layout import Layout
    from ctrsel.train.optimisers import Optimiser
    from ctrsel.train.parallel import Processes

__all__ = ["net_bytes", "rows_beside_a_net"]

_VALID_ROW = 64  # bytes: logits, labels and their sorting for AUC


def net_bytes(layout: Layout, *, width: int, optimiser: Optimiser) -> int:
    """Return the bytes that training the tables with a row per code takes: weights, copies, gradients and moments."""
    weights = layout.total_codes * (width + 1) * 4
    best = min(weights, IN_MEMORY)  # larger ones lie on disk
    # The returned model is built when the optimiser is gone.
    return weights + best + max(optimiser.table_bytes(layout.total_codes, width), weights)


def rows_beside_a_net(
    table: Table,
    layout: Layout,
    *,
    width: int,
    optimiser: Optimiser,
    where: RowsIn,
    processes: Processes,
    seed: int,
) -> Rows:
    """Open the training rows in what memory the net leaves; of several processes rank 0 decides where for all.

    Raises:
        ConfigError: If the net itself does not fit, or its rows do not where they must be (see `open_rows`).
    """
    sharers = processes.sharers if processes.rank == 0 else 1  # the others come when rank 0 has taken its own
    need, have = net_bytes(layout, width=width, optimiser=optimiser), available_memory() // sharers
    if need > have:
        raise ConfigError(
            f"net: {layout.total_codes} embedding rows of width {width} need {need / 2**30:.1f} GiB to "
            f"train, {have / 2**30:.1f} GiB are free; raise min_count or lower width"
        )
    valid = table.span("valid")
    beside = need + (valid.stop - valid.start) * _VALID_ROW
    if processes.rank:
        return open_rows(table, "train", seed=seed, where=processes.agreed(where), beside=beside)
    rows = open_rows(table, "train", seed=seed, where=where, beside=beside, sharers=sharers)
    processes.agreed("memory" if isinstance(rows, RowMatrix) else "blocks")
    return rows
