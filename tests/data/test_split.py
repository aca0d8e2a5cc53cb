import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.config import SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import uniform_hash
from ctrsel.data import split as split_module
from ctrsel.data.split import assign

RULES = ["hash", "stratified", "time", "group"]


def facts(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return {"positive": rng.random(n) < 0.3, "time": rng.integers(0, n // 4, n), "group": rng.integers(0, n // 5, n)}


@settings(max_examples=60, deadline=None)
@given(
    rule=st.sampled_from(RULES), n=st.integers(600, 1500), seed=st.integers(0, 99),
    shares=st.sampled_from([(0.1, 0.1), (0.2, 0.25), (0.3, 0.1)]), given_=st.sampled_from(["", "valid", "test"]),
)  # fmt: skip
def test_disjoint_complete_and_files_stay(rule, n, seed, shares, given_) -> None:
    valid, test = shares
    cut = n - 300 if given_ else n
    origin = {"train": slice(0, cut), **({given_: slice(cut, n)} if given_ else {})}
    parts = assign(origin, SplitConfig(use=rule, valid=valid, test=test), seed=seed, **facts(n, seed))
    assert list(parts) == ["train", "valid", "test"]
    every = np.concatenate(list(parts.values()))
    assert np.array_equal(np.sort(every), np.arange(n))
    assert all((np.diff(rows) > 0).all() for rows in parts.values())
    if given_:
        assert parts[given_].tolist() == list(range(cut, n))
    for name, share in (("valid", valid), ("test", test)):
        if name != given_:
            assert len(parts[name]) / cut == pytest.approx(share, abs=0.16 if rule == "group" else 0.09)


def test_nothing_to_carve_when_all_files_are_given() -> None:
    origin = {"train": slice(0, 50), "valid": slice(50, 80), "test": slice(80, 120)}
    parts = assign(origin, SplitConfig(use="files"), seed=0, **facts(120))
    assert [len(p) for p in parts.values()] == [50, 30, 40]


def test_hash_is_stable_when_rows_are_appended() -> None:
    small = assign({"train": slice(0, 1000)}, SplitConfig(use="hash"), seed=1, **facts(1000))
    large = assign({"train": slice(0, 3000)}, SplitConfig(use="hash"), seed=1, **facts(3000))
    for name in small:
        assert np.array_equal(large[name][large[name] < 1000], small[name])


def test_a_group_never_stands_on_two_sides() -> None:
    of = facts(2000)
    parts = assign({"train": slice(0, 2000)}, SplitConfig(use="group"), seed=3, **of)
    groups = [set(of["group"][rows]) for rows in parts.values()]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]


def test_time_is_ordered_and_a_moment_is_never_divided() -> None:
    of = facts(2000)
    parts = assign({"train": slice(0, 2000)}, SplitConfig(use="time"), seed=3, **of)
    time = of["time"]
    assert time[parts["train"]].max() < time[parts["valid"]].min()
    assert time[parts["valid"]].max() < time[parts["test"]].min()


def test_stratified_keeps_the_base_rate() -> None:
    of = facts(5000)
    parts = assign({"train": slice(0, 5000)}, SplitConfig(use="stratified"), seed=3, **of)
    for rows in parts.values():
        assert of["positive"][rows].mean() == pytest.approx(of["positive"].mean(), abs=0.002)
    assert [len(p) for p in parts.values()] == pytest.approx([4000, 500, 500], abs=2)


@pytest.mark.parametrize("piece", [1 << 20, 37])
@pytest.mark.parametrize("digits", [16, 1])  # with one digit there are ties at every bound
@pytest.mark.parametrize("rule", ["hash", "stratified", "time", "group"])
def test_ranks_are_those_of_a_stable_sort(rule: str, digits: int, piece: int, monkeypatch) -> None:
    monkeypatch.setattr(split_module, "_PIECE", piece)
    monkeypatch.setattr(split_module, "uniform_hash", lambda k, *, seed: uniform_hash(k, seed=seed).round(digits) % 1)
    for seed, n in enumerate([1, 2, 3, 60, 100, 333]):
        of = facts(max(n, 5), seed)
        of = {k: v[:n] for k, v in of.items()}
        found = assign(
            {"train": slice(0, n)}, SplitConfig(use=rule, valid=0.13, test=0.29), seed=seed, checked=False, **of
        )
        place = np.empty(n)
        noise = uniform_hash(np.arange(n), seed=seed).round(digits) % 1
        for value in (False, True):
            rows = np.flatnonzero(of["positive"] == value)
            place[rows[np.argsort(noise[rows], kind="stable")]] = np.arange(len(rows)) / max(len(rows), 1)
        if rule == "hash":
            place = noise
        if rule == "group":
            place = uniform_hash(of["group"], seed=seed).round(digits) % 1
        if rule == "time":
            place = np.searchsorted(np.sort(of["time"]), of["time"]) / n
        assert found["test"].tolist() == np.flatnonzero(place >= 1 - 0.29).tolist()
        assert found["valid"].tolist() == np.flatnonzero((place < 1 - 0.29) & (place >= 1 - 0.29 - 0.13)).tolist()


@pytest.mark.parametrize("rule", ["hash", "stratified", "group"])
def test_the_seed_decides(rule: str) -> None:
    def split(seed: int) -> np.ndarray:
        return assign({"train": slice(0, 1000)}, SplitConfig(use=rule), seed=seed, **facts(1000))["test"]

    assert np.array_equal(split(1), split(1))
    assert not np.array_equal(split(1), split(2))


@pytest.mark.parametrize(
    ("config", "less", "message"),
    [
        (SplitConfig(use="files"), {}, r"split\.use: 'files' needs a valid file in data\.valid"),
        (SplitConfig(use="tme"), {}, r"split\.use: unknown rule 'tme'; did you mean 'time'"),
        (SplitConfig(use="time"), {"time": None}, r"'time' needs schema\.time"),
        (SplitConfig(use="group"), {"group": None}, r"'group' needs schema\.group"),
        (SplitConfig(valid=0.0), {}, r"split\.valid: must be a share between 0 and 1 .* got 0\.0"),
        (SplitConfig(test=1.0), {}, r"split\.test: must be a share"),
        (SplitConfig(valid=0.5, test=0.5), {}, r"must leave rows for training, got 0\.5 and 0\.5"),
    ],
)
def test_rules_that_cannot_be(config: SplitConfig, less, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        assign({"train": slice(0, 100)}, config, seed=0, **{**facts(100), **less})


def test_splits_without_both_labels_are_refused() -> None:
    of = {**facts(100), "positive": np.arange(100) < 50, "time": np.arange(100)}
    with pytest.raises(
        DataError, match=r"split 'valid' \(time\) must hold rows of both labels, got 10 rows of one label only"
    ):
        assign({"train": slice(0, 100)}, SplitConfig(use="time"), seed=0, **of)
    of["time"] = np.zeros(100, dtype=int)
    with pytest.raises(DataError, match="got no rows"):
        assign({"train": slice(0, 100)}, SplitConfig(use="time"), seed=0, **of)
