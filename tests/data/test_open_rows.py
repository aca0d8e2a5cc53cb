"""Which rows are opened: by bytes, in one place."""

from __future__ import annotations

import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.data import open_rows as module
from ctrsel.data.blocks import Blocks
from ctrsel.data.open_rows import open_rows
from ctrsel.data.rows import RowMatrix
from ctrsel.testing.tables import tiny_table

TABLE = tiny_table(rows=4000)
NEEDED = RowMatrix.estimate(TABLE, "train")


@pytest.fixture
def free(monkeypatch):
    monkeypatch.setattr(module, "in_memory_folder", lambda folder: False)

    def is_free(size: float) -> None:
        monkeypatch.setattr(module, "available_memory", lambda: int(size))

    return is_free


@pytest.mark.parametrize(
    ("size", "beside", "kind"),
    [(1.3, 0, RowMatrix), (1.2, 0, Blocks), (5.2, 3, RowMatrix), (4.9, 3, Blocks), (1000, 0, RowMatrix)],
)
def test_memory_if_rows_and_what_stands_beside_are_four_fifths_at_most(free, monkeypatch, size, beside, kind) -> None:
    monkeypatch.setattr(Blocks, "estimate", staticmethod(lambda table, split: NEEDED // 2))
    free(size * NEEDED)
    with open_rows(TABLE, "train", seed=1, beside=beside * NEEDED) as rows:
        assert type(rows) is kind
        assert len(rows) == TABLE.span("train").stop


def test_force(free) -> None:
    free(1 << 40)
    with open_rows(TABLE, "train", seed=1, where="blocks") as rows:
        assert isinstance(rows, Blocks)
    free(1.1 * NEEDED)
    with open_rows(TABLE, "train", seed=1, where="memory") as rows:
        assert isinstance(rows, RowMatrix)
    free(0.9 * NEEDED)
    with pytest.raises(ConfigError, match=r"rows in memory need .* are free; let them be in blocks"):
        open_rows(TABLE, "train", seed=1, where="memory")


def test_no_memory_even_for_blocks(free) -> None:
    free(100)
    with pytest.raises(ConfigError, match="blocks of rows need"):
        open_rows(TABLE, "train", seed=1)


def test_a_scratch_folder_in_memory_is_refused_where_it_would_be_chosen(free, monkeypatch) -> None:
    free(NEEDED)
    monkeypatch.setattr(module, "in_memory_folder", lambda folder: True)
    with pytest.raises(ConfigError, match="kept in memory itself; set TMPDIR"):
        open_rows(TABLE, "train", seed=1)


def test_the_estimate_is_what_is_held() -> None:
    rows = RowMatrix(TABLE, "train")
    assert rows.nbytes + 8 * len(rows) == NEEDED
