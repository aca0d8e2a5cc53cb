"""Joint texts can be read back, whatever stands in them."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.data.buckets import NO_BUCKET
from ctrsel.data.cross_texts import ABSENT, SEPARATOR, bucket_names, joint_texts, part_texts, split_text
from ctrsel.records.schema import Field

TEXT = st.one_of(
    st.none(),
    st.text(alphabet="ab\\\u00d7 ()", min_size=1, max_size=6),
    st.sampled_from([ABSENT, "\\" + ABSENT, SEPARATOR, "\u00d7", "\n", "a\\\nb"]),
)


@given(st.integers(2, 3).flatmap(lambda n: st.lists(st.tuples(*[TEXT] * n), min_size=1, max_size=6)))
def test_what_was_joined_is_split_again(rows):
    frame = pl.DataFrame(rows, schema={str(i): pl.String for i in range(len(rows[0]))}, orient="row")
    joint = frame.select(joint_texts([pl.col(c) for c in frame.columns])).to_series().to_list()
    for row, text in zip(rows, joint, strict=True):
        assert (text is None) == (set(row) == {None})
        if text is not None:
            assert split_text(text) == row
    assert len(set(joint)) == len(set(rows))


def test_texts_of_parts():
    raw = pl.Series(["3.0", "", None, "x"])
    assert part_texts(Field(name="a", kind="categorical", vocabulary="a"), raw, edges=None).to_list() == [
        "3",
        None,
        None,
        "x",
    ]
    number = Field(name="n", kind="numeric", bucket="quantile", bins=2, vocabulary="n")
    made = part_texts(number, pl.Series([1, None, 9]), edges=np.array([5.0]))
    assert made.to_list() == ["under 5", None, "5 or more"]
    assert bucket_names(np.array([2, NO_BUCKET, 2]), edges=None).to_list() == ["2", None, "2"]
