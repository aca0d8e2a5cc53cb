"""What training a net takes in memory, and where its rows go beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrsel.core.errors import ConfigError
from ctrsel.core.memory import available_memory
from ctrsel.data.open_rows import RowsIn, open_rows

if TYPE_CHECKING:
    from ctrsel.data.rows import Rows
    from ctrsel.data.table import Table
    from ctrsel.models.layout import Layout

__all__ = ["net_bytes", "rows_beside_a_net"]

_COPIES = 6  # of the tables: weights, gradient, two moments, the best epoch's, the returned model's
_VALID_ROW = 64  # bytes: logits, labels and their sorting for AUC


def net_bytes(layout: Layout, *, width: int) -> int:
    """Return the bytes that training the tables with a row per code takes."""
    return layout.total_codes * (width + 1) * 4 * _COPIES


def rows_beside_a_net(table: Table, layout: Layout, *, width: int, where: RowsIn, seed: int) -> Rows:
    """Open the training rows in what memory the net leaves.

    Raises:
        ConfigError: If the net itself does not fit, or its rows do not where they must be (see `open_rows`).
    """
    need, have = net_bytes(layout, width=width), available_memory()
    if need > have:
        raise ConfigError(
            f"net: {layout.total_codes} embedding rows of width {width} need {need / 2**30:.1f} GiB to "
            f"train, {have / 2**30:.1f} GiB are free; raise min_count or lower width"
        )
    valid = table.span("valid")
    beside = need + (valid.stop - valid.start) * _VALID_ROW
    return open_rows(table, "train", seed=seed, where=where, beside=beside)
