from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.models.slots import PerPair, PerSlot, Rest, picked


@st.composite
def cases(draw):
    fields = draw(st.integers(1, 6))
    slots = draw(st.permutations(range(fields)))[: draw(st.integers(0, fields))]
    kinds = st.one_of(*(st.builds(kind, st.integers(1, 3)) for kind in (PerSlot, PerPair, Rest)))
    return fields, slots, tuple(draw(st.lists(kinds, max_size=4)))


def named(parts, slots):
    """Name each entry of an axis by its part, its slots and its place."""
    out = []
    for k, part in enumerate(parts):
        owners = {
            PerSlot: [(s,) for s in slots],
            PerPair: [tuple(sorted(p)) for p in itertools.combinations(slots, 2)],
            Rest: [()],
        }[type(part)]
        out += [(k, owner, place) for owner in owners for place in range(part.width)]
    return out


@given(case=cases())
def test_what_is_picked_is_what_a_net_of_these_slots_has(case):
    fields, slots, parts = case
    every = named(parts, range(fields))
    assert [every[i] for i in picked(parts, slots, fields=fields)] == named(parts, slots)


def test_a_number_is_short_for_blocks():
    np.testing.assert_array_equal(picked(2, [2, 0], fields=3), picked((PerSlot(2),), [2, 0], fields=3))
