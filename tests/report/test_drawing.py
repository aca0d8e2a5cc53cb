"""Scales put numbers where they belong; tags are well-formed XML whatever they are given."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.report.drawing import Scale, fit_label, tag


def test_a_scale_is_right_at_its_ends_and_in_the_middle() -> None:
    assert Scale(low=0, high=10, start=100, end=300)(5) == 200
    assert Scale(low=1, high=100, start=0, end=100, kind="log")(10) == pytest.approx(50)
    assert Scale(low=0, high=100, start=0, end=100, kind="root")(25) == pytest.approx(50)
    upwards = Scale(low=0, high=10, start=300, end=100)
    assert upwards(0) == 300
    assert upwards(10) == 100
    assert upwards(99) == 100


@given(
    st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=20),
    st.sampled_from(["linear", "log", "root"]),
    st.integers(2, 8),
)
def test_numbers_and_ticks_lie_inside_and_in_order(values: list[float], kind: Any, wanted: int) -> None:
    scale = Scale.around(values, start=10, end=500, kind=kind)
    places = [scale(v) for v in sorted(values)]
    assert places == sorted(places)
    assert all(10 <= p <= 500 for p in places)
    ticks = scale.ticks(wanted, gap=30)
    assert list(ticks) == sorted(ticks)
    assert len(ticks) >= 1
    assert all(10 <= scale(t) <= 500 for t in ticks)
    assert all(scale(b) - scale(a) >= 29.9 for a, b in itertools.pairwise(ticks))


@pytest.mark.parametrize("kind", ["linear", "log", "root"])
def test_one_number_alone_can_be_drawn(kind: Literal["linear", "log", "root"]) -> None:
    scale = Scale.around([5.0], start=0, end=100, kind=kind)
    assert 0 < scale(5.0) < 100
    assert scale.ticks()


@given(st.text(max_size=100))
def test_any_text_is_well_formed_and_read_back(words: str) -> None:
    element = ET.fromstring(tag("text", words, data_x=words))
    if words.isprintable():
        assert (element.text or "") == words
        assert element.get("data-x") == words


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        tag("circle", cx=float("nan"))


def test_labels_are_cut_to_their_room() -> None:
    assert len(fit_label("x" * 100, 72)) == 10
    assert fit_label("short", 66) == "short"
