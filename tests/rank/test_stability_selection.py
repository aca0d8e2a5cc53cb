from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank import CATALOG, CountRanker, ModelRanker, count, rank
from ctrsel.rank.boosted_gain import BoostedGain
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.rank.stability_selection import StabilitySelection
from ctrsel.records.ranking import Ranking
from ctrsel.stats.selection_bounds import unimodal_factor
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner

SEEN: list[tuple[int, ...]] = []


def ranking_of(names, **kwargs):
    frame = pl.DataFrame({"field": names, "score": [0.0] * len(names), "rank": list(range(1, len(names) + 1))})
    return Ranking(method="test", params={}, unit="", null=None, frame=frame, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCounts(CountRanker):
    """Remembers what it was shown."""

    def score(self, counts):
        SEEN.append(tuple(c.train.totals.sum() for c in counts.fields.values()))
        SEEN.append(tuple(c.train.totals.tobytes() + c.train.positives.tobytes() for c in counts.fields.values()))
        return ranking_of(list(counts.fields), refused=counts.refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRows(CountRanker):
    """Counts anew from the rows it was shown, and says whether the counts agree."""

    needs: ClassVar[str] = "rows"

    def score(self, counts):
        rows = counts.need_rows("by_rows")
        for name, known in counts.fields.items():
            assert np.array_equal(np.bincount(rows.columns[name], minlength=rows.sizes[name]), known.train.totals)
        SEEN.append(tuple(rows.row.tolist()))
        return ranking_of(list(counts.fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTables(ModelRanker):
    """Ranks the fields in turn, so that shares are known."""

    def score(self, table, *, seed, model=None):
        assert model is None
        SEEN.append(tuple(table.row[table.span("train")].tolist()))
        names = ["site", "ad", "noise"] if len(SEEN) % 2 else ["site", "noise", "ad"]
        return ranking_of(names, refused={"id": "too many values"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing(CountRanker):
    """Ranks no fields."""

    def score(self, counts):
        return replace(
            ranking_of(["a*b"]), frame=ranking_of(["a*b"]).frame.with_columns(fields=pl.lit("a")), item="cross"
        )


@pytest.fixture(autouse=True)
def forget():
    SEEN.clear()


def test_the_second_half_is_the_rest_whether_counted_or_subtracted():
    table = tiny_table(rows=501).without("test")
    whole = count(table)
    rank(table, [StabilitySelection(ranker=ByCounts(), pairs=3)], seed=1)
    n = table.span("train").stop
    assert n % 2 == 0, "the test is about an even number of rows"
    assert set(SEEN[0::2]) == {(n // 2,) * 6}
    for one, other in zip(SEEN[1::4], SEEN[3::4], strict=True):
        for a, b, field in zip(one, other, whole.fields.values(), strict=True):
            both = np.frombuffer(a, dtype=np.int64) + np.frombuffer(b, dtype=np.int64)
            assert both.tobytes() == field.train.totals.tobytes() + field.train.positives.tobytes()


@pytest.mark.parametrize("ranker", [ByRows(), OfTables()], ids=["rows", "tables"])
def test_halves_share_no_row(ranker):
    table = tiny_table(rows=500).without("test")
    rank(table, [StabilitySelection(ranker=ranker, pairs=2)], seed=1)
    train = table.row[table.span("train")]
    assert len(SEEN) == 4
    for one, other in zip(SEEN[0::2], SEEN[1::2], strict=True):
        assert len(one) == len(other) == len(train) // 2
        assert not set(one) & set(other)
        assert set(one) | set(other) <= set(train.tolist())
    assert SEEN[0] != SEEN[2]


def test_halves_share_no_group_but_for_the_one_in_the_middle():
    table = tiny_table(rows=500).without("test")
    grouped = replace(table, group=np.asarray(table.row) % 40)
    (ranking,) = rank(grouped, [StabilitySelection(ranker=OfTables(), pairs=2)], seed=1)
    for one, other in zip(SEEN[0::2], SEEN[1::2], strict=True):
        assert len({r % 40 for r in one} & {r % 40 for r in other}) <= 1
    assert "group" in ranking.notes[-1]


def test_shares_are_counted():
    table = tiny_table(rows=400).without("test")
    (ranking,) = rank(table, [StabilitySelection(ranker=OfTables(), pairs=5, top=2, threshold=0.75)], seed=1)
    frame = {row["field"]: row for row in ranking.frame.to_dicts()}
    assert ranking.order == ("site", "ad", "noise")
    assert [frame[n]["score"] for n in ranking.order] == [1.0, 0.5, 0.5]
    assert [frame[n]["stable"] for n in ranking.order] == [True, False, False]
    assert [frame[n]["both"] for n in ranking.order] == [1.0, 0.0, 0.0]
    assert [frame[n]["mean_rank"] for n in ranking.order] == [1.0, 2.5, 2.5]
    assert ranking.refused["id"] == "too many values"
    assert ranking.refused["load"].endswith("did not rank it")
    # q^2 / ((2 pi - 1) F) = 4 / (0.5 * 3), and 4 / 3 times 1 / (2 (0.5 - 0.1)) with 5 pairs
    assert "the first 2 of 3 fields" in ranking.notes[0]
    assert f"at most {4 / 1.5:.2g} (worst case" in ranking.notes[1]
    assert "at most inf" in ranking.notes[1]  # 2 of 3 fields are chosen: too many for the theorem


def test_the_bounds():
    # Meinshausen and Buehlmann's 1 / (2 pi - 1) is halved at 3/4, and both forms of the theorem meet there.
    assert unimodal_factor(0.75, 10**6, 0.1) == pytest.approx(1.0, rel=1e-5)
    assert unimodal_factor(0.75 + 1e-9, 10**6, 0.1) == pytest.approx(1.0, rel=1e-5)
    assert unimodal_factor(0.9, 50, 0.1) == pytest.approx(4 * 0.11 / 1.02)
    assert unimodal_factor(0.6, 50, 0.1) == pytest.approx(1 / (2 * 0.19))
    assert unimodal_factor(0.51, 50, 0.5) == math.inf


def test_top_follows_from_the_errors():
    table = tiny_table(rows=400).without("test")
    (few,) = rank(table, [StabilitySelection(pairs=2, errors=0.01)], seed=1)
    assert "the first 1 of 6 fields" in few.notes[0]
    (more,) = rank(table, [StabilitySelection(pairs=2, errors=2.0)], seed=1)
    assert "the first 3 of 6 fields" in more.notes[0]  # floor of sqrt(2 * 0.8 * 6)


def test_finds_what_is_planted():
    (ranking,) = rank(tiny_table(rows=3000), [StabilitySelection(top=2, pairs=10)], seed=1)
    frame = ranking.frame
    assert set(frame.filter(frame["stable"])["field"]) == {"site", "ad"}
    assert "id" not in ranking.order[:3]
    (again,) = rank(tiny_table(rows=3000), [StabilitySelection(top=2, pairs=10)], seed=1)
    assert again.digest == ranking.digest


def test_any_ranker_and_lists():
    trees = BoostedLearner(rounds=3, leaves=7)
    ranker = StabilitySelection(ranker=BoostedGain(learner=trees), pairs=2)
    (ranking,) = rank(sequence_table(), [ranker], seed=1)
    assert set(ranking.order) == {"user", "item", "history", "tags"}
    (counted,) = rank(sequence_table(), [StabilitySelection(pairs=2)], seed=1)
    assert "list" in counted.refused["history"]
    made = CATALOG.create({"use": "stability_selection", "ranker": {"use": "mutual_information", "by": "z"}})
    assert made == StabilitySelection(ranker=MutualInformation(by="z"))


def test_refuses():
    table = tiny_table().without("test")
    with pytest.raises(ConfigError, match=r"must rank fields, .* ranks items of kind 'cross'"):
        rank(table, [StabilitySelection(ranker=Crossing(), pairs=1)], seed=1)
    weighted = replace(table, weight=np.ones(table.n_rows))
    with pytest.raises(DataError, match="has no null for weighted rows"):
        rank(weighted, [StabilitySelection(ranker=ByCounts(), pairs=1)], seed=1)
    rank(weighted, [StabilitySelection(ranker=BoostedGain(learner=BoostedLearner(rounds=2)), pairs=1)], seed=1)
    for wrong, match in (
        ({"pairs": 0}, "pairs: must be at least 1"),
        ({"top": 0}, "top: must be at least 1"),
        ({"threshold": 0.5}, "threshold: must be above 0.5"),
        ({"errors": 0.0}, "errors: must be above 0"),
        ({"ranker": StabilitySelection()}, "must not be stability_selection again"),
    ):
        with pytest.raises(ConfigError, match=match):
            StabilitySelection(**wrong)
