"""The hash is XXH64 as its specification has it, however many texts are hashed at once."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data import _text_bytes
from ctrsel.data.hashing import Hashed, collisions, stable_hash

P1, P2, P3, P4, P5 = (
    11400714785074694791,
    14029467366897019727,
    1609587929392839161,
    9650029242287828579,
    2870177450012600261,
)
ALL = 2**64 - 1


def xxh64(data: bytes) -> int:
    """The specification, byte by byte (decimal constants as in its text)."""

    def turn(x: int, by: int) -> int:
        return ((x << by) | (x >> (64 - by))) & ALL

    def one(acc: int, lane: int) -> int:
        return turn((acc + lane * P2) & ALL, 31) * P1 & ALL

    def number(piece: bytes) -> int:
        return int.from_bytes(piece, "little")

    rest = data
    if len(data) >= 32:
        accs = [(P1 + P2) & ALL, P2, 0, -P1 & ALL]
        while len(rest) >= 32:
            accs = [one(a, number(rest[8 * i : 8 * i + 8])) for i, a in enumerate(accs)]
            rest = rest[32:]
        h = sum(turn(a, by) for a, by in zip(accs, (1, 7, 12, 18), strict=True)) & ALL
        for a in accs:
            h = ((h ^ one(0, a)) * P1 + P4) & ALL
    else:
        h = P5
    h = (h + len(data)) & ALL
    while len(rest) >= 8:
        h = (turn(h ^ one(0, number(rest[:8])), 27) * P1 + P4) & ALL
        rest = rest[8:]
    if len(rest) >= 4:
        h = (turn(h ^ (number(rest[:4]) * P1 & ALL), 23) * P2 + P3) & ALL
        rest = rest[4:]
    for byte in rest:
        h = turn(h ^ (byte * P5 & ALL), 11) * P1 & ALL
    h = (h ^ (h >> 33)) * P2 & ALL
    h = (h ^ (h >> 29)) * P3 & ALL
    return h ^ (h >> 32)


# Published values of XXH64 with seed 0.
KNOWN = {
    "": 0xEF46DB3751D8E999,
    "a": 0xD24EC4F1A98C6E5B,
    "abc": 0x44BC2CF5AD770999,
    "Nobody inspects the spammish repetition": 0xFBCEA83C8A378BF1,
}


@pytest.mark.parametrize("few", [0, 10**9])
def test_known_values(few: int, monkeypatch) -> None:
    monkeypatch.setattr(_text_bytes, "FEW", few)
    assert dict(zip(KNOWN, stable_hash(pl.Series(list(KNOWN))).tolist(), strict=True)) == KNOWN
    assert {text: xxh64(text.encode()) for text in KNOWN} == KNOWN


@settings(deadline=None)
@given(st.lists(st.text(max_size=150), max_size=20))
def test_every_form_gives_the_same(values) -> None:
    expected = [xxh64(v.encode()) for v in values]
    for few in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_text_bytes, "FEW", few)
            found = stable_hash(pl.Series(values, dtype=pl.String))
        assert found.dtype == np.uint64
        assert found.tolist() == expected


def test_collisions_are_named_by_lost_rows_and_not_below_twenty_rows() -> None:
    names = np.array(["a", "b", "c", "d", "e", "f"])
    buckets = np.array([0, 0, 1, 1, 2, 2])
    counts = np.array([100, 30, 40, 50, 900, 19])
    found = collisions(buckets, counts, lambda places: pl.Series(names[places].tolist()))
    assert [(c.bucket, c.texts, c.counts) for c in found] == [(1, ("d", "c"), (50, 40)), (0, ("a", "b"), (100, 30))]
    assert collisions(buckets[:0], counts[:0], lambda places: pl.Series([])) == ()


def test_codes_and_narrowing() -> None:
    texts = pl.Series([f"t{i}" for i in range(50)])
    hashed = Hashed(buckets=4, distinct=np.array([2, 1, 0, 3]))
    codes = hashed.codes(texts)
    assert codes.tolist() == [3 + xxh64(t.encode()) % 4 for t in texts]
    assert hashed.colliding == 5
    remap = np.array([0, 1, 2, 3, 1, 3, 4], dtype=np.uint32)
    narrow = hashed.narrow(remap)
    assert narrow.codes(texts).tolist() == remap[codes].tolist()
    assert narrow.distinct.tolist() == [2, 0, 0, 3]
    again = np.array([0, 1, 2, 1, 3], dtype=np.uint32)
    assert narrow.narrow(again).codes(texts).tolist() == again[remap[codes]].tolist()
    with pytest.raises(DataError, match="4 buckets, but 3 counts"):
        Hashed(buckets=4, distinct=np.zeros(3))
    with pytest.raises(DataError, match="4 buckets, but 6 codes"):
        Hashed(buckets=4, distinct=np.zeros(4), remap=np.zeros(6))
