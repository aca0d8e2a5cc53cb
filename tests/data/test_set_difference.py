"""Differences of feature sets by text."""

from dataclasses import replace

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.ingest import ingest
from ctrsel.records.feature_set import OTHER, FeatureSet


def table_of(**columns: list):
    frame = pl.concat([pl.DataFrame(columns)] * 20)
    frame = frame.with_columns(y=pl.Series([0, 1] * (frame.height // 2)))
    fields = {"user": FieldConfig(sensitive=True)} if "user" in columns else {}
    return ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields))


def applied(table, **remaps: list[int]) -> AppliedFeatureSet:
    features = FeatureSet(
        fields=tuple(remaps),
        remaps={n: np.array([0, 1, 2, *r], np.uint32) for n, r in remaps.items()},
        method="toy",
        params={},
        encoder=table.encoder.digest,
    )
    return AppliedFeatureSet.of(features, table.encoder)


def test_by_hand() -> None:
    # By falling count: d, c, b, a, and q, p.
    table = table_of(ad=["a", "b", "b", "c", "c", "c", "d", "d", "d", "d"], site=["p"] * 4 + ["q"] * 6)
    old = applied(table, ad=[3, 4, 5, OTHER])
    new = applied(table, ad=[3, 4, 4, 5], site=[3, 4])
    found = old.diff(new)
    ad, site = found.fields
    assert (ad.change, ad.before, ad.after, ad.gained, ad.lost, ad.merged, ad.parted) == ("changed", 3, 3, 1, 0, 2, 0)
    assert ad.top == {"gained": ("a",), "merged": ("b", "c")}
    assert (site.change, site.gained, site.top) == ("added", 2, {"gained": ("q", "p")})
    assert found.of("added") == ("site",)
    back = new.diff(old)
    assert [f.change for f in back.fields] == ["changed", "removed"]
    assert (back.fields[0].lost, back.fields[0].parted) == (1, 2)
    assert old.diff(old).fields == ()
    assert old.diff(old).same == ("ad",)
    assert old.diff(new, top=1).fields[1].top == {"gained": ("q",)}
    codes = old.features.diff(new.features)
    assert (codes.fields_added, codes.values_added, codes.values_merged) == (("site",), {"ad": 1, "site": 2}, {"ad": 2})
    assert new.features.diff(old.features).values_parted == {"ad": 2}
    assert old.features.diff(old.features).nothing
    assert not codes.nothing


def test_values_of_sensitive_fields_are_not_told() -> None:
    table = table_of(user=["a", "b"] * 2)
    found = applied(table, user=[3, 4]).diff(applied(table, user=[3, OTHER])).fields[0]
    assert (found.lost, found.top, found.sensitive) == (1, {}, True)


def test_sets_of_different_tables() -> None:
    monday, tuesday = table_of(ad=["a", "b"]), table_of(ad=["b", "c"])
    found = applied(monday, ad=[3, 4]).diff(applied(tuesday, ad=[3, 4])).fields[0]
    assert (found.top["gained"], found.top["lost"], found.merged) == (("c",), ("a",), 0)


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_texts_and_codes_tell_the_same(data, any_tables, any_features) -> None:
    table, _ = data.draw(any_tables(("text", "int", "log", "list"), crosses=False))
    names = table.schema.names
    one, two = (replace(any_features(table.encoder, data.draw(st.integers(0, 999))), fields=names) for _ in range(2))
    codes, texts = (
        one.diff(two),
        AppliedFeatureSet.of(one, table.encoder).diff(AppliedFeatureSet.of(two, table.encoder)),
    )
    told = {f.name: f for f in texts.fields}
    for name in names:
        f = told.get(name)
        expected = tuple(
            d.get(name, 0) for d in (codes.values_added, codes.values_removed, codes.values_merged, codes.values_parted)
        )
        assert (0, 0, 0, 0) if f is None else (f.gained, f.lost, f.merged, f.parted) == expected
