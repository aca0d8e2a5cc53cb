from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.records.ranking import Ranking


def made(frame: pl.DataFrame, **more) -> Ranking:
    return Ranking(
        **{"method": "mi", "params": {"use": "mi", "bins": 3}, "unit": "sd", "null": None, "frame": frame, **more}
    )


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def rankings(draw) -> Ranking:
    names = draw(st.lists(st.text(max_size=5), max_size=6, unique=True))
    scores = sorted(draw(st.lists(NUMBERS, min_size=len(names), max_size=len(names))), reverse=True)
    extra = draw(st.lists(st.floats() | st.none(), min_size=len(names), max_size=len(names)))
    frame = pl.DataFrame(
        {"field": names, "score": scores, "rank": list(range(1, len(names) + 1)), "z": extra},
        schema={"field": pl.String, "score": pl.Float64, "rank": pl.Int64, "z": pl.Float64},
    )
    return made(frame, refused={"x": "a float"}, notes=("n",), table="t")


@settings(max_examples=25, deadline=None)
@given(ranking=rankings())
def test_round_trip(ranking: Ranking, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("r") / "x"
    ranking.save(path)
    back = Ranking.load(path)
    assert back.digest == ranking.digest
    assert back.frame.equals(ranking.frame, null_equal=True)
    assert (back.params, back.refused, back.notes, back.table) == (ranking.params, ranking.refused, ranking.notes, "t")
    assert list(back.order) == ranking.frame["field"].to_list()
    for name, score in zip(ranking.frame["field"], ranking.frame["score"], strict=True):
        assert back.score(name) == score
    assert back.score("no such field") is None


def test_digest_sees_every_part() -> None:
    frame = pl.DataFrame({"field": ["a", "b"], "score": [2.0, 1.0], "rank": [1, 2]})
    variants = [
        made(frame),
        made(frame.with_columns(score=pl.Series([2.0, 1.5]))),
        made(frame.with_columns(field=pl.Series(["a", "c"]))),
        made(frame.with_columns(z=pl.lit(None, dtype=pl.Float64))),
        made(frame, unit="nats"),
        made(frame, notes=("n",)),
    ]
    assert len({r.digest for r in variants}) == len(variants)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"field": ["a"], "score": [1.0]}, "'rank' is missing"),
        ({"field": ["a"], "score": [None], "rank": [1]}, "finite number"),
        ({"field": ["a"], "score": [float("nan")], "rank": [1]}, "finite number"),
        ({"field": ["a"], "score": [float("inf")], "rank": [1]}, "finite number"),
        ({"field": ["a"], "score": ["1"], "rank": [1]}, "finite number"),
        ({"field": ["a"], "score": [1.0], "rank": [2]}, "rise from 1"),
        ({"field": ["a", "b"], "score": [1.0, 2.0], "rank": [2, 1]}, "rise from 1"),
        ({"field": ["a", "a"], "score": [1.0, 2.0], "rank": [1, 2]}, "each item once"),
    ],
)
def test_frames_that_are_refused(frame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        made(pl.DataFrame(frame))


def test_whole_numbers_ties_and_values_are_fine(tmp_path: Path) -> None:
    ranking = made(pl.DataFrame({"field": ["a", "a"], "value": ["x", "y"], "score": [1, 1], "rank": [1, 1]}))
    ranking.save(tmp_path / "x")
    assert Ranking.load(tmp_path / "x").digest == ranking.digest
