"""Champion and challengers in a real registry: the check, the comparison on newest rows, promotion and rollback."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest

from ctrsel.api import reviewing
from ctrsel.api.named_rows import Rows
from ctrsel.api.reviewing import compare_versions, promote, review_version, rollback
from ctrsel.api.window import newest_window, test_window
from ctrsel.core.config import DataConfig
from ctrsel.core.errors import ConfigError, PromotionRefusedError, RefusedError
from ctrsel.records.review import Review
from ctrsel.register import versions
from ctrsel.report.redact import MINIMUM_ROWS
from ctrsel.report.review import LONGEST, review_text
from ctrsel.stats.auc import auc
from ctrsel.testing.registry import SmallRegistry


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Versions 1 (good, promoted), 2 (poor, refused) and 3 (good, promoted)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registry = SmallRegistry.make(tmp_path_factory.mktemp("registry") / "store")
        good = registry.good()
        for seed, model in enumerate((good, registry.poor(), registry.good(rounds=31)), start=1):
            registry.register(model, seed=seed)
    return registry


@pytest.fixture
def fresh(made, tmp_path):
    """The same registry, to be changed."""
    shutil.copyfile(made.folder / "mlflow.db", tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def proven(monkeypatch):
    monkeypatch.setattr(versions, "prove_version", lambda *_args, **_more: 0.0)


def test_the_check_and_what_it_rests_on_are_in_the_version(made):
    facts, review, log = review_version("clicks/2", store=made.folder)
    assert (facts.champion, facts.aliases) == (3, ())
    assert facts.tags["check_verdict"] == "failed"
    told = json.loads(facts.tags["check"])
    assert not told["passed"]
    [line] = [x for x in told["lines"] if x["rule"] == "auc"]
    assert line["status"] == "failed"
    assert line["figures"]["low"] < -0.005
    assert (review.champion, review.check.champion, told["champion"]) == (1, 1, 1)
    assert Review.from_dict(json.loads(json.dumps(review.to_dict()))) == review
    assert [(e["decision"], e["candidate"], e["from"], e["to"]) for e in log] == [
        ("promoted", 1, None, 1),
        ("refused", 2, 1, 1),
        ("promoted", 3, 1, 3),
    ]
    assert log[1]["deltas"]["auc"]["value"] == pytest.approx(line["figures"]["value"])
    assert "FAILED: " in "".join(log[1]["why"])


def test_nothing_is_decided_without_a_champion_that_must_not_be_read(made, monkeypatch):
    def denied(*_args, **_more):
        raise RefusedError("register.tracking_uri: http://x refuses access: 403 Client Error")

    monkeypatch.setattr(reviewing, "load_version", denied)
    with pytest.raises(RefusedError, match="refuses access"):
        made.register(made.poor(), seed=9)


def test_both_were_scored_on_the_runs_test_rows(made):
    _, review, _ = review_version("clicks/3", store=made.folder)
    part = made.table.part("test")
    found = review.comparison
    assert (found.rows, found.positives) == (part.n_rows, int(part.label().sum()))
    good = made.good()
    assert found.metrics["auc"].champion == pytest.approx(auc(part.label(), good.logits(part)[:, 0]), abs=1e-9)
    window = test_window(made.config, made.table)
    np.testing.assert_allclose(good.logits(window.rows), good.logits(part), atol=1e-6)
    assert (found.first, found.last) == (str(int(part.time.min())), str(int(part.time.max())))
    assert [s.model for s in found.scores] == ["champion"]
    assert found.scores[0].distance < 0.02  # the very rows that its edges were made of


def test_the_description_says_all_in_4500_characters_and_no_text_does_anything(made):
    for version in (1, 2, 3):
        facts, review, _ = review_version(f"clicks/{version}", store=made.folder)
        card = facts.description
        assert len(card) <= LONGEST
        for wanted in ("Check ", "Roll back", "digest", made.table.digest, "report/index.html", "Trained by"):
            assert wanted in card
        assert "<script>" not in card
    assert "version 1" in facts.description
    assert "95 %, paired" in facts.description
    text = review_text(review, title="t")
    assert "check    PASSED, against version 1" in text


def test_newest_rows_by_segment_with_drift(made):
    _, _, found = compare_versions(
        "clicks@champion",
        "clicks/2",
        rows=Rows(data=made.config.data.train, newest="5", delay="1", segments=("site", "ad", "id")),
        store=made.folder,
    )
    rows = pl.read_parquet(made.config.data.train).filter(pl.col("day").is_between(14, 18))
    assert (found.rows, found.first, found.last, found.young) == (rows.height, "14", "18", 100)
    assert found.metrics["auc"].difference.high < 0
    sites = {s.value: s for s in found.segments if s.field == "site"}
    assert {"<script>alert(1)</script>", "=cmd()"} <= set(sites)
    one = rows.filter(pl.col("site") == "=cmd()")
    assert sites["=cmd()"].rows == one.height
    assert sites["=cmd()"].observed == pytest.approx(one["click"].mean())
    ads = [s.value for s in found.segments if s.field == "ad"]
    assert ads
    assert all(a.startswith("#") and len(a) == 9 for a in ads)
    assert not [s for s in found.segments if s.field == "id"]  # every value has one row
    assert min(s.rows for s in found.segments) >= MINIMUM_ROWS
    assert {d.field for d in found.drift} == {"site", "ad", "noise", "hour", "load"}
    assert not [d for d in found.drift if d.field == "site" and d.distance > 3 * d.limit]
    assert {s.model for s in found.scores} == {"champion", "challenger"}


def test_drift_is_found_where_it_is(made, tmp_path):
    frame = pl.read_parquet(made.config.data.train).with_columns(pl.lit("new").alias("site"))
    frame.write_parquet(tmp_path / "new.parquet")
    _, _, found = compare_versions(
        "clicks/1", "clicks/3", rows=Rows(data=str(tmp_path / "new.parquet")), store=made.folder
    )
    first = found.drift[0]
    assert (first.field, first.moved, first.other) == ("site", True, 1.0)
    assert first.other_trained == 0
    assert all(s.distance > s.limit for s in found.scores)


def test_a_config_says_how_old_rows_must_be(made):
    found = newest_window(made.config.data, schema=made.config.schema, as_of="10")
    assert found.young == 100
    assert found.last == "9"
    with pytest.raises(ConfigError, match="segment 'siet'; did you mean 'site'"):
        compare_versions(
            "clicks/1", "clicks/3", rows=Rows(data=made.config.data.train, segments=("siet",)), store=made.folder
        )


def test_rows_of_a_store_are_told_back_from_its_codes(made):
    from dataclasses import replace

    stored = replace(made.config, data=DataConfig(store="anywhere"))
    window, part = test_window(stored, made.table), made.table.part("test")
    model = made.good()
    np.testing.assert_allclose(model.logits(window.rows), model.logits(part), atol=1e-6)
    assert "codes of a store" in window.notes[0]


def test_a_promotion_is_refused_forced_and_rolled_back(made, fresh, proven):
    with pytest.raises(PromotionRefusedError, match=r"version 2 is not promoted; auc: .* must be above"):
        promote("clicks/2", reason="I like it", store=fresh)
    entry = promote("clicks/2", reason="I like it", force=True, store=fresh)
    assert (entry["from"], entry["to"], entry["forced"]) == (3, 2, True)
    assert entry["why"][0] == "I like it"
    assert any(w.startswith("FAILED: auc") for w in entry["why"])
    facts, _, _ = review_version("clicks@champion", store=fresh)
    assert facts.version == 2
    assert "I like it" in facts.tags["moved"]
    assert rollback("clicks", reason="clicks fell", store=fresh)["to"] == 3
    assert rollback("clicks", reason="still", store=fresh)["to"] == 1
    with pytest.raises(ConfigError, match="knows no champion before version 1"):
        rollback("clicks", reason="more", store=fresh)
    _, _, log = review_version("clicks", store=fresh)
    assert [(e["number"], e["decision"]) for e in log[3:]] == [(4, "promote"), (5, "rollback"), (6, "rollback")]


def test_a_check_against_another_champion_counts_for_nothing(made, fresh, proven):
    rollback("clicks", reason="to have version 1 again", store=fresh)
    promote("clicks/3", reason="it was checked against version 1", store=fresh)
    with pytest.raises(PromotionRefusedError, match="compared it with version None, but the champion is 3"):
        promote("clicks/1", reason="old is good", store=fresh)
    rows = Rows(data=made.config.data.train, newest="6")
    assert promote("clicks/1", reason="checked anew", rows=rows, store=fresh)["from"] == 3
    with pytest.raises(PromotionRefusedError, match="auc"):
        promote("clicks/2", reason="checked anew", rows=rows, store=fresh)


def test_an_alias_moved_by_hand_is_noted(fresh, proven):
    from ctrsel.register.store import quiet_mlflow

    uri = f"sqlite:///{fresh / 'mlflow.db'}"
    with quiet_mlflow(uri):
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=uri, registry_uri=uri).set_registered_model_alias("clicks", "champion", "2")
    rollback("clicks", reason="who did that?", store=fresh)
    _, _, log = review_version("clicks", store=fresh)
    assert [(e["decision"], e["from"], e["to"]) for e in log[3:]] == [("moved elsewhere", 3, 2), ("rollback", 2, 3)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "unknown model 'nobody'. Known: clicks"),
        ("clicks@champoin", "unknown alias 'champoin'; did you mean 'champion'"),
        ("clicks/9", "clicks: has no version 9; known: 1, 2, 3"),
        ("clicks/x", "MODEL@alias or MODEL/number, got 'clicks/x'"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(made, name, words):
    with pytest.raises(ConfigError) as caught:
        review_version(name, store=made.folder)
    assert words in str(caught.value)


def test_no_sensitive_text_is_in_what_a_reviewer_reads(made):
    for version in (1, 2, 3):
        facts, review, log = review_version(f"clicks/{version}", store=made.folder)
        told = json.dumps([facts.description, dict(facts.tags), review.to_dict(), log])
        assert not [f"ad{i:02d}" for i in range(12) if f"ad{i:02d}" in told]
