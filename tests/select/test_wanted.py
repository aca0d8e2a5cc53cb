from __future__ import annotations

import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.select import Problem, Size
from ctrsel.select.wanted import Wanted


@pytest.mark.parametrize(
    ("given", "share", "fields"),
    [
        (0.2, 0.2, None),
        (1, 1.0, None),
        ("20%", 0.2, None),
        ("1e-3", 0.001, None),
        ({"fields": 12}, None, 12),
        ("12 fields", None, 12),
        ("1 field", None, 1),
        ("auto", None, None),
    ],
)
def test_the_forms(given, share, fields):
    found = Wanted.read(given, place="select.size")
    assert (found.share, found.fields) == (share, fields)
    assert found.auto == (given == "auto")
    assert Wanted.read(found, place="x") is found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, r"select.size: must be a share in \(0, 1\], got 0"),
        ("120%", r"select.size: must be a share in \(0, 1\], got 1.2"),
        ({"fields": 0}, "select.size: must be at least 1 field, got 0"),
        ({"values": 3}, "select.size: expected a share such as 0.2 or 20%"),
        (True, "select.size: expected a share"),
        ("half", "or auto, got 'half'"),
    ],
)
def test_what_is_no_size(given, message):
    with pytest.raises(ConfigError, match=message):
        Wanted.read(given, place="select.size")


def test_a_size_of_a_table(tiny, untouched):
    problem = Problem(table=tiny, learner=untouched) if "test" not in tiny.splits else None
    problem = problem or Problem(table=tiny.without("test"), learner=untouched)
    assert Wanted(share=0.5).of(problem) == Size(number=problem.n_values // 2)
    assert Wanted(fields=2).of(problem) == Size(number=2, of="fields")
    with pytest.raises(ConfigError, match="size: the table has 6 fields to choose from, got 7"):
        Wanted(fields=7).of(problem)
    with pytest.raises(ConfigError, match="found by training"):
        Wanted().of(problem)
