"""Finding saved feature sets."""

import pytest

import ctrsel
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.tables import tiny_frame, tiny_table


@pytest.fixture(scope="module")
def table():
    return tiny_table()


@pytest.fixture(scope="module")
def features(table) -> FeatureSet:
    keep = {"ad": table.encoder.vocabulary("ad").counts > 30}
    return FeatureSet.from_keep(keep, fields=("ad",), method="toy", params={}, encoder=table.encoder.digest)


def test_wherever_it_lies(tmp_path, table, features) -> None:
    applied = AppliedFeatureSet.of(features, table.encoder)
    applied.save(tmp_path / "one" / "gated" / "feature_set")
    expected = applied.transform(tiny_frame(rows=9))
    for path in ("one", "one/gated", "one/gated/feature_set"):
        assert ctrsel.load_feature_set(tmp_path / path).transform(tiny_frame(rows=9)).equals(expected)
    applied.save(tmp_path / "one" / "random" / "feature_set")
    with pytest.raises(ConfigError, match=r"several feature sets; name one of .*gated, .*random"):
        ctrsel.load_feature_set(tmp_path / "one")
    with pytest.raises(DataError, match="no such folder"):
        ctrsel.load_feature_set(tmp_path / "two")


def test_one_that_was_saved_alone(tmp_path, table, features) -> None:
    features.save(tmp_path / "set")
    with pytest.raises(DataError, match="without the texts"):
        ctrsel.load_feature_set(tmp_path / "set")
    table.save(tmp_path / "table")
    expected = AppliedFeatureSet.of(features, table.encoder).transform(tiny_frame(rows=9))
    for given in (table, table.encoder, tmp_path / "table", str(tmp_path / "table" / "encoder")):
        assert ctrsel.load_feature_set(tmp_path / "set", table=given).transform(tiny_frame(rows=9)).equals(expected)


def test_an_outcome_has_its_own() -> None:
    frame = tiny_frame(rows=400)
    outcome = ctrsel.select_features(
        frame, label="click", by="frequent", size=0.2, learner={"use": "boosted", "rounds": 3}
    )
    made = outcome.feature_set.transform(frame)
    assert tuple(made.columns) == outcome.selection.features.fields
    codes = outcome.fit.model.encoder.encode(frame).columns
    assert (outcome.fit.model.encoder.vocabulary("site").encode(made["site"]) == codes["site"]).all()
