from __future__ import annotations

import numpy as np
import pytest

from ctrsel.api.min_counts import counted, covered
from ctrsel.core.errors import ConfigError
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.select.whole_fields import whole_fields
from ctrsel.testing.tables import tiny_table


def test_values_of_enough_rows_are_kept():
    table = tiny_table(rows=600)
    found = counted(table, 30, always_keep=["id"])
    for name, vocabulary in table.encoder.vocabularies.items():
        kept = found.remaps[name][RESERVED:] != OTHER
        expected = np.ones_like(kept) if name == "id" else vocabulary.counts[RESERVED:] >= 30
        np.testing.assert_array_equal(kept, expected)
    assert found.fields == table.schema.names
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        counted(table, 0)


def test_coverage_is_counted_on_training_rows():
    table = tiny_table(rows=600)
    names = [n for n in table.code_fields if n != "site"]
    start, stop = table.splits["train"]
    entries = {n: int((np.asarray(table.columns[n])[start:stop] != 0).sum()) for n in table.code_fields}
    share = covered(table.encoder, whole_fields(table.encoder, names))
    assert share == pytest.approx(1 - entries["site"] / sum(entries.values()))
