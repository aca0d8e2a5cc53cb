import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet


def made(remaps, fields=("a",), **more) -> FeatureSet:
    return FeatureSet(
        fields=fields,
        remaps={k: np.asarray(v, dtype=np.uint32) for k, v in remaps.items()},
        **{"method": "toy", "params": {"use": "toy"}, "encoder": "e", **more},
    )


@st.composite
def masks(draw) -> dict[str, np.ndarray]:
    names = draw(st.lists(st.text(max_size=4), min_size=1, max_size=3, unique=True))
    return {n: np.array([True] * RESERVED + draw(st.lists(st.booleans(), max_size=12))) for n in names}


@st.composite
def feature_sets(draw) -> FeatureSet:
    """Any partition, merges included."""
    remaps = {}
    for name in draw(st.lists(st.text(max_size=4), min_size=1, max_size=3, unique=True)):
        cells = draw(st.lists(st.integers(0, 4), max_size=10))  # 0 = dropped
        dense = {v: i for i, v in enumerate(sorted({v for v in cells if v}))}
        remaps[name] = np.array([0, 1, 2] + [RESERVED + dense[v] if v else OTHER for v in cells], dtype=np.uint32)
    scored = draw(st.booleans())
    scores = {k: np.linspace(0, 1, len(v)) for k, v in remaps.items()} if scored else None
    return made(
        remaps, fields=tuple(remaps), scores=scores, other=draw(st.sampled_from(["zero", "learned"])), evidence=("r",)
    )


@given(masks())
def test_from_keep_keeps_order_and_nothing_else(keep: dict[str, np.ndarray]) -> None:
    fs = FeatureSet.from_keep(keep, fields=tuple(keep), method="m", params={}, encoder="e")
    assert fs.n_values == sum(int(m[RESERVED:].sum()) for m in keep.values())
    assert fs.n_fields == len(keep)
    for name, mask in keep.items():
        assert np.array_equal(fs.kept(name), mask)
        kept = fs.remaps[name][mask]
        assert np.array_equal(kept, np.arange(len(kept)))
        assert (fs.remaps[name][~mask] == OTHER).all()
    nothing = {k: np.zeros_like(m) for k, m in keep.items()}
    assert FeatureSet.from_keep(nothing, fields=(), method="m", params={}, encoder="e").n_values == 0
    assert all(not m.any() for m in nothing.values())  # the caller's mask is left alone


@settings(max_examples=25, deadline=None)
@given(fs=feature_sets())
def test_round_trip(fs: FeatureSet, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("fs") / "x"
    fs.save(path)
    back = FeatureSet.load(path)
    assert back.digest == fs.digest
    assert (back.fields, back.other, back.method, back.params, back.evidence) == (
        fs.fields, fs.other, fs.method, fs.params, fs.evidence,
    )  # fmt: skip
    for name, remap in fs.remaps.items():
        assert np.array_equal(back.remaps[name], remap)
        assert back.remaps[name].dtype == np.uint32
        if fs.scores is not None:
            assert np.array_equal(back.scores[name], fs.scores[name])
    assert (back.scores is None) == (fs.scores is None)
    assert back.diff(fs).fields_added == ()
    assert back.diff(fs).values_added == {} == back.diff(fs).values_removed


@given(feature_sets(), feature_sets())
def test_digest_is_of_the_decision(a: FeatureSet, b: FeatureSet) -> None:
    from dataclasses import replace

    assert replace(a, scores=None).digest == a.digest
    assert replace(a, remaps=dict(reversed(a.remaps.items()))).digest == a.digest
    same = (
        a.fields == b.fields
        and a.other == b.other
        and all(np.array_equal(a.remaps[k], b.remaps[k]) for k in a.remaps if k in b.remaps)
    )
    assert (a.digest == b.digest) == (same and set(a.remaps) == set(b.remaps))


@pytest.mark.parametrize(
    ("remap", "message"),
    [
        ([0, 1], r"uint32 \[V >= 3\]"),
        ([1, 1, 2], "must leave the reserved codes as they are"),
        ([0, 1, 2, 0], "reserved code other than 1"),
        ([0, 1, 2, 2], "reserved code other than 1"),
        ([0, 1, 2, 4], "dense from 3"),
        ([0, 1, 2, 3, 5], "dense from 3"),
    ],
)
def test_partitions_that_are_refused(remap, message: str) -> None:
    with pytest.raises(DataError, match=message):
        made({"a": remap})


def test_other_refusals() -> None:
    with pytest.raises(DataError, match="uint32"):
        FeatureSet(fields=("a",), remaps={"a": np.arange(4)}, method="m", params={}, encoder="e")
    with pytest.raises(DataError, match="kept once"):
        made({"a": [0, 1, 2]}, fields=("a", "a"))
    with pytest.raises(DataError, match="scores of 'a'"):
        made({"a": [0, 1, 2, 3]}, scores={"a": np.zeros(3)})
    with pytest.raises(DataError, match="scores of 'b'"):
        made({"a": [0, 1, 2, 3]}, scores={"b": np.zeros(4)})


def test_merged_values_count_once() -> None:
    fs = made({"a": [0, 1, 2, 3, 3, 1, 4]})
    assert fs.n_values == 2
    assert fs.kept("a").tolist() == [True, True, True, True, True, False, True]


def test_diff() -> None:
    old = made({"a": [0, 1, 2, 3, 4, 1], "b": [0, 1, 2, 3]}, fields=("a", "b"))
    new = made({"a": [0, 1, 2, 1, 3, 4], "c": [0, 1, 2, 3, 1]}, fields=("c", "a"))
    diff = old.diff(new)
    assert (diff.fields_added, diff.fields_removed) == (("c",), ("b",))
    assert dict(diff.values_added) == {"a": 1, "c": 1}
    assert dict(diff.values_removed) == {"a": 1, "b": 1}
    with pytest.raises(DataError, match="about different encoders: e and f"):
        old.diff(made({"a": [0, 1, 2]}, encoder="f"))


def test_a_missing_part_is_one_sentence(tmp_path: Path) -> None:
    fs = made({"a": [0, 1, 2, 3]})
    fs.save(tmp_path / "x")
    (tmp_path / "x" / "remap_0.npy").unlink()
    with pytest.raises(DataError, match=r"remap_0\.npy: this part of the saved folder is missing"):
        FeatureSet.load(tmp_path / "x")


def test_scores_of_fields_travel_and_do_not_count(tmp_path):
    plain = FeatureSet.from_keep({"ad": np.ones(5, bool)}, fields=("ad",), method="toy", params={}, encoder="")
    scored = replace(plain, field_scores={"ad": 2.5, "site": float("nan")})
    assert scored.digest == plain.digest
    scored.save(tmp_path / "set")
    loaded = FeatureSet.load(tmp_path / "set")
    assert loaded.field_scores["ad"] == 2.5
    assert np.isnan(loaded.field_scores["site"])
    plain.save(tmp_path / "plain")
    assert FeatureSet.load(tmp_path / "plain").field_scores is None


@pytest.mark.parametrize("change", [{"vocabularies": None}, {"fields": 3}, {"scored": 1}])
def test_a_manifest_that_is_no_feature_set_s_is_one_sentence(tmp_path: Path, change: dict) -> None:
    made({"a": [0, 1, 2, 3]}).save(tmp_path / "x")
    file = tmp_path / "x" / "manifest.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | change))
    with pytest.raises(DataError, match="x: the manifest is no feature set's: TypeError"):
        FeatureSet.load(tmp_path / "x")
    file.write_text(json.dumps({"format": "ctrsel.feature_set", "version": 1}))
    with pytest.raises(DataError, match="x: the manifest is no feature set's: KeyError: 'vocabularies'"):
        FeatureSet.load(tmp_path / "x")
