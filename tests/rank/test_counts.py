from __future__ import annotations

import numpy as np
import pytest

from ctrsel.core.errors import DataError
from ctrsel.rank import FieldCounts, TableCounts
from ctrsel.stats.counts import label_counts


def _field(codes, labels, *, valid=True):
    counts = label_counts(np.array(codes), np.array(labels), size=6)
    return FieldCounts(train=counts, valid=counts if valid else None)


def test_chunks_add_up_in_any_order():
    one, two = _field([3, 4, 3], [1, 0, 0]), _field([5, 3], [1, 1], valid=False)
    for both in (one + two, two + one):
        assert both.train.totals.tolist() == [0, 0, 0, 3, 1, 1]
        assert both.train.positives.tolist() == [0, 0, 0, 2, 0, 1]
        assert both.valid is not None
        assert both.valid.rows == 3
    assert (one + one).valid.rows == 6
    table = TableCounts(fields={"a": one}, notes=("x",), refused={"l": "list"}, table="t")
    merged = table + TableCounts(fields={"a": two}, notes=("x", "y"), table="u")
    assert merged.fields["a"].train.rows == 5
    assert merged.notes == ("x", "y")
    assert merged.refused == {"l": "list"}
    assert merged.table == ""


def test_other_fields_do_not_add_up():
    one = _field([3], [1])
    with pytest.raises(DataError, match=r"same fields only, got \['a'\] and \['b'\]"):
        TableCounts(fields={"a": one}) + TableCounts(fields={"b": one})
