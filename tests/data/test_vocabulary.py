from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data import texts as texts_module
from ctrsel.data.hashing import stable_hash
from ctrsel.data.texts import SortedTexts
from ctrsel.data.vocabulary import Vocabulary, fit_vocabulary, smallest_uint, vocabulary_of
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED

TEXTS = st.lists(st.none() | st.sampled_from([*"abcdefgh", "ä", "(missing)", "a | b"]), max_size=40)


def series(values) -> pl.Series:
    return pl.Series("x", values, dtype=pl.String)


@given(TEXTS, st.integers(1, 4), st.randoms())
def test_codes_by_falling_count_ties_by_text_whatever_the_order(values, minimum: int, random) -> None:
    v = fit_vocabulary("x", [series(values)], min_count=minimum)
    counted = Counter(t for t in values if t is not None)
    expected = sorted((t for t in counted if counted[t] >= minimum), key=lambda t: (-counted[t], t.encode()))
    assert v.values.to_list() == sorted(expected, key=str.encode)
    assert v.texts(np.arange(RESERVED, v.size)) == expected
    assert v.codes.dtype == smallest_uint(v.size)
    rare = sum(n for n in counted.values() if n < minimum)
    assert v.counts.tolist() == [values.count(None), rare, 0, *(counted[t] for t in expected)]
    shuffled = values[:]
    random.shuffle(shuffled)
    other = fit_vocabulary("x", [series(shuffled[:7]), series(shuffled[7:])], min_count=minimum)
    assert other.texts(np.arange(RESERVED, v.size)) == expected
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
    assert not set(narrow.values.to_list()) - set(v.values.to_list())


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
        Vocabulary(name="x", values=SortedTexts.of(series(["a"])), codes=np.array([3, 4]), counts=np.zeros(5))
    with pytest.raises(DataError, match=r"codes must be in 3\.\.3"):
        Vocabulary(name="x", values=SortedTexts.of(series(["a"])), codes=np.array([4]), counts=np.zeros(4))


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


def counted(values) -> tuple[SortedTexts, np.ndarray, int]:
    """Distinct texts, their counts, and how many are missing."""
    found = Counter(t for t in values if t is not None)
    texts = SortedTexts.of(series(list(found)))
    return texts, np.array([found[t] for t in texts.to_list()], dtype=np.int64), values.count(None)


@pytest.fixture(params=[False, True], ids=["small", "packed"])
def form(request, monkeypatch) -> bool:
    """Whether vocabularies are held as those of millions of values are."""
    if request.param:
        monkeypatch.setattr(texts_module, "SMALL", 0)
    return request.param


def alike(a: Vocabulary, b: Vocabulary) -> None:
    assert a.values.to_list() == b.values.to_list()
    for x, y in ((a.codes, b.codes), (a.counts, b.counts)):
        assert x.dtype == y.dtype
        assert x.tolist() == y.tolist()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=TEXTS, outside=TEXTS, minimum=st.integers(1, 4))
def test_a_vocabulary_of_counts_is_the_fitted_one(form: bool, train, outside, minimum: int) -> None:
    texts, _, _ = counted([*train, *outside])
    only = Counter(train)
    own = np.array([only[t] for t in texts.to_list()], dtype=np.int64)
    v = vocabulary_of("x", texts, own, missing=train.count(None), min_count=minimum)
    alike(v, fit_vocabulary("x", [series(train)], min_count=minimum))
    asked = SortedTexts.of(series([*{t for t in train + outside if t is not None}, "strange"]))
    assert v.codes_for(asked).tolist() == v.encode(series(asked.to_list())).tolist()
    codes = np.arange(v.size)
    texts_of = v.one_text(codes)
    assert texts_of[:RESERVED].to_list() == [None] * RESERVED
    assert v.encode(texts_of)[RESERVED:].tolist() == codes[RESERVED:].tolist()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=TEXTS, then=TEXTS, minimum=st.integers(1, 3), limit=st.none() | st.integers(0, 3))
def test_growth_keeps_codes_and_adds_what_is_new(form: bool, first, then, minimum: int, limit: int | None) -> None:
    base = fit_vocabulary("x", [series(first)], min_count=minimum)
    texts, counts, missing = counted(then)
    grown = base.grow(texts, counts, missing=missing, min_count=minimum, limit=limit)
    assert grown.codes_for(base.values).tolist() == base.codes.tolist()
    known, new = set(base.values.to_list()), Counter(t for t in then if t is not None)
    expected = sorted((t for t in new if t not in known and new[t] >= minimum), key=lambda t: (-new[t], t.encode()))
    expected = expected[:limit]
    assert grown.texts(np.arange(base.size, grown.size)) == expected
    assert grown.counts.sum() == base.counts.sum() + len(then)
    assert grown.counts[MISSING] == first.count(None) + then.count(None)
    assert grown.counts[OTHER] == base.counts[OTHER] + sum(n for t, n in new.items() if t not in {*known, *expected})
    for text in {*known, *expected}:
        code = grown.encode(series([text]))[0]
        before = first.count(text) if text in known else 0  # what was rare is forgotten
        assert grown.counts[code] == before + then.count(text)
    assert grown.values.to_list() == sorted({*known, *expected}, key=str.encode)
    if limit is None and minimum == 1:
        union = fit_vocabulary("x", [series(first + then)])
        asked = series([*first, *then, "strange", None])
        pairs = set(zip(grown.encode(asked).tolist(), union.encode(asked).tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_growth_places_new_buckets_on_the_line() -> None:
    base = fit_vocabulary("x", [series(["lo", "hi", "hi"])], order={"lo": 0.0, "hi": 2.0})
    texts = SortedTexts.of(series(["mid", "lo"]))
    grown = base.grow(texts, np.array([1, 1]), missing=0, order={"mid": 1.0})
    assert grown.order[RESERVED:].tolist() == [2.0, 0.0, 1.0]
    with pytest.raises(DataError, match="'mid' has no place"):
        base.grow(texts, np.array([1, 1]), missing=0)


def test_large_counts_are_ordered_too() -> None:
    counts = np.array([5, 70_000, 65_535, 2**40, 65_536, 5, 65_535])
    v = vocabulary_of("x", SortedTexts.of(series(list("abcdefg"))), counts, missing=0)
    assert v.texts(np.arange(3, 10)) == ["d", "b", "e", "c", "g", "a", "f"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=TEXTS, new=TEXTS, buckets=st.integers(1, 9))
def test_hashed_codes(form: bool, train, new, buckets: int) -> None:
    plain = fit_vocabulary("x", [series(train)], hash_buckets=buckets)
    assert plain.size == RESERVED + buckets
    places = dict(zip([t for t in new if t is not None], stable_hash(series(new).drop_nulls()).tolist(), strict=True))
    expected = [MISSING if t is None else RESERVED + places[t] % buckets for t in new]
    assert plain.encode(series(new)).tolist() == expected
    assert plain.encode(series(new)).dtype == smallest_uint(plain.size)
    assert np.bincount(plain.encode(series(train)), minlength=plain.size).tolist() == plain.counts.tolist()
    own = [(stable_hash(series([t]))[0] % buckets) for t in {t for t in train if t is not None}]
    assert plain.hashed.distinct.tolist() == np.bincount(np.array(own, dtype=int), minlength=buckets).tolist()
    kept = np.concatenate([np.ones(RESERVED, bool), plain.counts[RESERVED:] > 0])
    remap = np.where(kept, np.cumsum(kept) - 1, OTHER).astype(np.uint32)
    fewer = plain.narrow(remap)
    assert np.array_equal(fewer.encode(series(new)), remap[plain.encode(series(new))])
    assert np.array_equal(np.bincount(fewer.encode(series(train)), minlength=fewer.size), fewer.counts)
    texts, counts, missing = counted(new)
    grown = plain.grow(texts, counts, missing=missing, min_count=2)
    assert np.array_equal(grown.encode(series(new)), plain.encode(series(new)))
    assert np.array_equal(grown.counts, plain.counts + np.bincount(plain.encode(series(new)), minlength=plain.size))


def test_hashed_values_have_names_from_twenty_rows_on() -> None:
    train = ["shoe"] * 25 + ["hat"] * 21 + ["secret"] * 19 + [None]
    v = fit_vocabulary("x", [series(train)], hash_buckets=1)
    assert v.values.to_list() == ["hat", "shoe"]
    assert v.counts.tolist() == [1, 0, 0, 65]
    assert (v.hashed.distinct.tolist(), v.hashed.colliding) == ([3], 3)
    assert [(c.texts, c.counts) for c in v.hashed.heaviest] == [(("shoe", "hat"), (25, 21))]
    assert v.texts(np.array([0, 3])) == ["(missing)", "(bucket 0): hat | shoe"]
    assert v.one_text(np.array([3, 1])).to_list() == ["hat", None]
    secret = fit_vocabulary("x", [series(train)], hash_buckets=1, named=False)
    assert (len(secret.values), secret.hashed.heaviest) == (0, ())
    assert (secret.counts.tolist(), secret.hashed.distinct.tolist()) == ([1, 0, 0, 65], [3])
    none = v.narrow(np.array([0, 1, 2, 1], dtype=np.uint32))
    assert none.hashed.heaviest == ()
    assert len(none.values) == 0
    assert none.encode(series(["shoe", None])).tolist() == [OTHER, MISSING]
    many = fit_vocabulary("x", [series([f"t{i}" for i in range(64)])], hash_buckets=4)
    assert many.texts(np.array([3])) == ["(bucket 0)"]
    merged = many.narrow(np.array([0, 1, 2, 3, 3, 3, 3], dtype=np.uint32))
    assert merged.texts(np.array([3])) == ["(bucket 0, 1, 2, ...)"]


def test_many_merged_values_are_named_by_the_first_of_them() -> None:
    values = [f"v{i:02d}" for i in range(30)]
    v = fit_vocabulary("x", [series(values)])
    merged = np.concatenate([np.arange(RESERVED), np.full(30, RESERVED)]).astype(np.uint32)
    (name,) = v.narrow(merged).texts(np.array([RESERVED]))
    assert name == "v00 | v01 | v02 | v03 | v04 | v05 | v06 | v07 | ... (30 values)"
