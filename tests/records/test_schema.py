"""Schema: crosses among the fields, and the columns that only they read."""

from __future__ import annotations

import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.records.schema import Field, Label, Schema

A, B, C = (Field(name=n, kind="categorical", vocabulary=n) for n in "abc")
AB = Field(name="a*b", kind="cross", vocabulary="a*b", parts=("a", "b"))


def schema(*fields: Field, **more) -> Schema:
    return Schema(labels=(Label(name="click"),), fields=fields, **more)


def test_dropped_parts_are_still_inputs():
    whole = schema(A, B, C, AB)
    assert [f.name for f in whole.inputs] == ["a", "b", "c"]
    small = whole.only(("a", "a*b"))
    assert (small.names, [f.name for f in small.inputs]) == (("a", "a*b"), ["a", "b"])
    assert small.cross_inputs == (B,)
    assert small.input("b") == B
    assert small.only(("a",)).cross_inputs == ()
    with pytest.raises(ConfigError, match="unknown column 'c'"):
        small.input("c")


def test_saved_form_names_crosses_only_where_there_are_some():
    plain = schema(A, B)
    assert "parts" not in str(plain.to_dict())
    assert "cross_inputs" not in plain.to_dict()
    crossed = schema(A, AB, cross_inputs=(B,))
    assert Schema.from_dict(crossed.to_dict()) == crossed
    assert Schema.from_dict(plain.to_dict()) == plain
    assert plain.digest == "b484d88b607327e3"  # as it was before there were crosses


def test_refusals():
    with pytest.raises(DataError, match=r"the cross 'a\*b' needs the column 'b', which is not read"):
        schema(A, AB)
    with pytest.raises(DataError, match="'b' has two"):
        schema(A, B, AB, cross_inputs=(B,))
    with pytest.raises(ConfigError, match="'parts' belong to crosses"):
        Field(name="x", kind="categorical", vocabulary="x", parts=("a", "b"))
    with pytest.raises(ConfigError, match="'parts' belong to crosses"):
        Field(name="x", kind="cross", vocabulary="x")
    with pytest.raises(ConfigError, match="2 to 3 different parts"):
        Field(name="x", kind="cross", vocabulary="x", parts=("a", "a"))
    with pytest.raises(ConfigError, match="hash_buckets"):
        Field(name="x", kind="cross", vocabulary="x", parts=("a", "b"), hash_buckets=4)
