"""What may be shown: Wilson's interval by scipy, hashes that hide, rare values that stay away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ctrsel.core.errors import DataError
from ctrsel.report.redact import may_show, salted_hash, shown_values


def show(values: list[str | None], rows: list[int], positives: list[int], **options: Any) -> tuple[dict[str, Any], ...]:
    given_options = {"sensitive": False, "salt": "s", **options}
    return shown_values(values, np.array(rows), np.array(positives), np.ones(len(rows), bool), **given_options)


def test_rates_and_intervals_are_wilsons() -> None:
    (row,) = show(["a"], [50], [7])
    expected = binomtest(7, 50).proportion_ci(method="wilson")
    assert row == {
        "value": "a",
        "rows": 50,
        "rate": 0.14,
        "low": pytest.approx(expected.low),
        "high": pytest.approx(expected.high),
        "kept": True,
    }


def test_rates_are_those_before_negatives_were_sampled() -> None:
    whole, sampled = show(["a"], [1040], [40])[0], show(["a"], [140], [40], sampling_rate=0.1)[0]
    assert sampled["rate"] == pytest.approx(whole["rate"])
    assert sampled["rows"] == 140
    expected = binomtest(40, 140).proportion_ci(method="wilson")
    for bound, p in (("low", expected.low), ("high", expected.high)):
        assert sampled[bound] / (1 - sampled[bound]) == pytest.approx(0.1 * p / (1 - p))


def test_most_frequent_first_without_the_rare_and_no_more_than_asked() -> None:
    found = show(["a", "b", "c", "d"], [20, 19, 300, 40], [0, 19, 300, 1], limit=2)
    assert [r["value"] for r in found] == ["c", "d"]
    assert [r["value"] for r in show(["a", "b"], [20, 19], [0, 0])] == ["a"]
    assert show([], [], []) == ()


def test_sensitive_values_are_hashes_that_depend_on_the_salt() -> None:
    one, two = (show(["ann"], [50], [5], sensitive=True, salt=s)[0]["value"] for s in ("x", "y"))
    assert one != two
    assert one == salted_hash("ann", salt="x")
    assert may_show({"value": one, "rows": 50}, field="user", sensitive=True)
    assert show(["(missing)", None], [50, 40], [5, 5], sensitive=True)[1]["value"] == "(missing)"


def test_sensitive_values_need_a_salt() -> None:
    with pytest.raises(DataError, match="salt"):
        show(["ann"], [50], [5], sensitive=True, salt="")


def test_a_long_value_is_cut_in_the_middle() -> None:
    (row,) = show(["a" * 5000 + "z" * 5000], [50], [5])
    assert len(row["value"]) == 200
    assert row["value"][0] == "a"
    assert row["value"][-1] == "z"


@given(
    st.lists(st.tuples(st.none() | st.text(), st.integers(0, 60)), max_size=40), st.integers(1, 30), st.integers(1, 30)
)
def test_no_sensitive_or_rare_value_ever_comes_through(
    items: list[tuple[str | None, int]], limit: int, minimum: int
) -> None:
    values, rows = [v for v, _ in items], [n for _, n in items]
    found = show(values, rows, [n // 2 for n in rows], sensitive=True, limit=limit, minimum_rows=minimum)
    assert len(found) <= limit
    assert len(found) == min(limit, sum(n >= minimum for n in rows))
    for row in found:
        assert row["rows"] >= minimum
        assert row["value"] in ("(missing)", "(other)", "(hidden)") or (
            len(row["value"]) == 9 and row["value"][0] == "#"
        )
        assert 0 <= row["low"] <= row["rate"] <= row["high"] <= 1


def test_the_second_gate_hides_rare_values_and_refuses_plain_ones() -> None:
    assert not may_show({"value": "a", "rows": 19}, field="f", sensitive=False)
    assert may_show({"value": "a", "rows": 20}, field="f", sensitive=False)
    with pytest.raises(DataError, match="'user' is sensitive") as caught:
        may_show({"value": "ann", "rows": 20}, field="user", sensitive=True)
    assert "ann" not in str(caught.value)
