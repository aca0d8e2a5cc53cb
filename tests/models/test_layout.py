from __future__ import annotations

import numpy as np
import pytest

from ctrsel.models.layout import Layout
from ctrsel.testing.tables import sequence_table, tiny_table


def test_slots_are_codes_then_pooled_lists_then_floats():
    tiny = Layout.of(tiny_table(rows=80).encoder, history=False)
    assert tiny.slots == ("site", "ad", "noise", "id", "hour", "load")
    assert tiny.floats == ("load",)
    encoder = sequence_table(rows=80).encoder
    assert Layout.of(encoder, history=False).slots == ("user", "item", "history", "tags")
    assert Layout.of(encoder, history=True).slots == ("user", "item", "tags")


def test_reserved_and_untrained_rows():
    encoder = tiny_table(rows=80).encoder
    layout = Layout.of(encoder, history=False)
    starts = np.array(list(encoder.offsets.values()))
    np.testing.assert_array_equal(np.sort(layout.reserved), np.sort(np.concatenate([starts, starts + 1, starts + 2])))
    untrained = set(layout.untrained(encoder, other_share=0.0).tolist())
    assert set((starts + 2).tolist()) <= untrained  # hidden
    assert set((starts + 1).tolist()) <= untrained  # other: minimum count 1
    site = encoder.offsets["site"]
    assert site not in untrained  # missing occurs
    assert encoder.offsets["ad"] in untrained  # missing does not
    with_other = set(layout.untrained(encoder, other_share=0.1).tolist())
    assert untrained - with_other == set((starts + 1).tolist())


@pytest.mark.parametrize("history", [False, True])
def test_shape(history):
    shape = Layout.of(sequence_table(rows=80).encoder, history=history).shape(width=3, labels=2)
    assert (shape.width, shape.labels) == (3, 2)
    assert dict(shape.histories) == ({"history": 1} if history else {})
