from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.vocabulary import Vocabulary, fit_vocabulary, smallest_uint
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED

TEXTS = st.lists(st.none() | st.sampled_from([*"abcdefgh", "ä", "(missing)", "a | b"]), max_size=40)


def series(values) -> pl.Series:
    return pl.Series("x", values, dtype=pl.String)


@given(TEXTS, st.integers(1, 4), st.randoms())
def test_codes_by_falling_count_ties_by_text_whatever_the_order(values, minimum: int, random) -> None:
    v = fit_vocabulary("x", [series(values)], min_count=minimum)
    counted = Counter(t for t in values if t is not None)
    expected = sorted((t for t in counted if counted[t] >= minimum), key=lambda t: (-counted[t], t.encode()))
    assert v.values.to_list() == expected
    assert v.codes.tolist() == list(range(RESERVED, RESERVED + len(expected)))
    rare = sum(n for n in counted.values() if n < minimum)
    assert v.counts.tolist() == [values.count(None), rare, 0, *(counted[t] for t in expected)]
    shuffled = values[:]
    random.shuffle(shuffled)
    other = fit_vocabulary("x", [series(shuffled[:7]), series(shuffled[7:])], min_count=minimum)
    assert other.values.to_list() == expected
    assert np.array_equal(other.counts, v.counts)


@given(TEXTS, TEXTS)
def test_encode_and_texts_are_inverse(train, new) -> None:
    v = fit_vocabulary("x", [series(train)])
    codes = v.encode(series(new))
    assert codes.dtype == smallest_uint(v.size)
    known = {t for t in train if t is not None}
    for value, code, back in zip(new, codes.tolist(), v.texts(codes), strict=True):
        assert code == MISSING if value is None else (code == OTHER if value not in known else back == value)
    assert np.array_equal(np.bincount(v.encode(series(train)), minlength=v.size), v.counts)


@st.composite
def remaps(draw) -> tuple[Vocabulary, np.ndarray]:
    v = fit_vocabulary("x", [series(draw(TEXTS))])
    cells = draw(st.lists(st.integers(0, 3), min_size=v.size - RESERVED, max_size=v.size - RESERVED))
    dense = {c: RESERVED + i for i, c in enumerate(sorted({c for c in cells if c}))}
    return v, np.array([0, 1, 2, *(dense.get(c, OTHER) for c in cells)], dtype=np.uint32)


@given(remaps(), TEXTS)
def test_narrow_then_encode_is_encode_then_remap(pair, new) -> None:
    v, remap = pair
    narrow = v.narrow(remap)
    assert np.array_equal(narrow.encode(series(new)), remap[v.encode(series(new))])
    assert narrow.counts.sum() == v.counts.sum()
    assert narrow.counts[OTHER] == v.counts[remap == OTHER].sum()
    assert narrow.size == max(int(remap.max()) + 1, RESERVED)
    assert not set(narrow.values) - set(v.values)


def test_narrow_keeps_the_order_of_the_first_of_merged_buckets() -> None:
    v = fit_vocabulary("x", [series(["lo", "mid", "mid", "hi", "hi", "hi"])], order={"lo": 0.0, "mid": 1.0, "hi": 2.0})
    assert v.order[RESERVED:].tolist() == [2.0, 1.0, 0.0]
    narrow = v.narrow(np.array([0, 1, 2, 3, 3, 1], dtype=np.uint32))
    assert narrow.order[RESERVED:].tolist() == [2.0]
    assert narrow.texts(np.array([MISSING, OTHER, HIDDEN, 3])) == ["(missing)", "(other)", "(hidden)", "hi | mid"]


def test_refusals() -> None:
    v = fit_vocabulary("x", [series(["a"])])
    with pytest.raises(DataError, match="has 4 codes, but the feature set maps 5"):
        v.narrow(np.arange(5, dtype=np.uint32))
    with pytest.raises(DataError, match="1 values, but 2 codes"):
        Vocabulary(name="x", values=series(["a"]), codes=np.array([3, 4]), counts=np.zeros(5))
    with pytest.raises(DataError, match=r"codes must be in 3\.\.3"):
        Vocabulary(name="x", values=series(["a"]), codes=np.array([4]), counts=np.zeros(4))


@pytest.mark.parametrize(
    ("size", "kind"), [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4"), (2**32, "u4")]
)
def test_smallest_uint(size: int, kind: str) -> None:
    assert smallest_uint(size) == np.dtype(kind)


def test_more_codes_than_fit() -> None:
    with pytest.raises(DataError, match="at most"):
        smallest_uint(2**32 + 1)


def test_an_empty_vocabulary() -> None:
    v = fit_vocabulary("x", [series([None, None])])
    assert v.size == RESERVED
    assert v.encode(series(["a", None])).tolist() == [OTHER, MISSING]
