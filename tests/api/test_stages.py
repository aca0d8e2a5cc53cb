"""Stages: what is reused, what learners and selectors are shown, and who reads the test split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from ctrsel.api.cache import StageCache
from ctrsel.api.stages import Stages
from ctrsel.core.errors import LeakError
from ctrsel.models.model import Model
from ctrsel.rank import ModelRanker
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.select import Selector, exclude
from ctrsel.select.frequent import MostFrequent
from ctrsel.testing.tables import tiny_frame
from ctrsel.train import Learner

SEEN: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []


def note(who, table):
    SEEN.append((who, tuple(table.splits), table.schema.names))


@dataclass(frozen=True, kw_only=True)
class SpyLearner(Learner):
    """Writes down which splits and fields it is shown."""

    inner: Learner

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        note("learner", table)
        return self.inner.fit(table, features, gate=gate, start=start, seed=seed)


@dataclass(frozen=True, kw_only=True)
class SpySelector(Selector):
    """Writes down what it is shown, and keeps the most frequent values."""

    def search(self, problem, *, sizes, seed):
        note("selector", problem.table)
        return MostFrequent().search(problem, sizes=sizes, seed=seed)


@dataclass(frozen=True, kw_only=True)
class SpyRanker(ModelRanker):
    """Writes down what it is shown."""

    def score(self, table, *, seed, model=None):
        from ctrsel.rank import rank

        note("ranker", table)
        assert model is None or model.encoder.digest == table.encoder.digest
        return dataclasses.replace(rank(table, (MutualInformation(),), seed=seed)[0], method="spy")


def stages_of(plan) -> Stages:
    return Stages(plan=plan, cache=StageCache(folder=plan.out / "stages", version="1"))


def work(stages: Stages):
    table = stages.ingest()
    stages.audit(table)
    usable = exclude(table, stages.plan.config.select.never_use)
    known = usable.without("test")
    fits = stages.train(known)
    rankings = stages.rank(table.without("test"), fits)
    outcomes = stages.select(known, rankings)
    for name, fit in fits.items():
        stages.evaluate(name, fit.model, usable, features=None, segments=("site",))
    for name, (_, outcome) in outcomes.items():
        features = outcome.selection.features
        stages.evaluate(name, outcome.fit.model, usable, features=features, segments=("site",))
        stages.explain(name, outcome.fit.model, usable.narrow(features))
    return table, rankings, fits, outcomes


@pytest.fixture
def spied(small_plan):
    def make(**changes) -> Stages:
        plan = small_plan(**changes)
        return stages_of(
            dataclasses.replace(
                plan,
                learners={"net": SpyLearner(inner=plan.learners["net"])},
                selectors=(SpySelector(),),
                rankers=(MutualInformation(), SpyRanker()),
            )
        )

    return make


def test_nobody_but_evaluate_sees_the_test_split_or_what_must_not_be_used(spied, monkeypatch):
    SEEN.clear()
    read: list[str] = []
    logits = Model.logits

    def counted(self, data):
        splits: Mapping[str, object] = getattr(data, "splits", {})
        if "test" in splits:
            read.append(self.digest)
        return logits(self, data)

    monkeypatch.setattr(Model, "logits", counted)
    stages = spied(select={"selectors": [{"use": "gated"}], "never_use": ["ad", "noise"], "size": 0.5})
    _, rankings, fits, outcomes = work(stages)
    assert {who for who, _, _ in SEEN} == {"learner", "selector", "ranker"}
    for who, splits, fields in SEEN:
        assert splits == ("train", "valid"), who
        assert not {"ad", "noise"} & set(fields), who
    # Counting still shows what was left out.
    assert {"ad", "noise"} <= set(rankings[0].order)
    assert not {"ad", "noise"} & set(rankings[1].order)
    # Once per contender.
    models = [f.model.digest for f in fits.values()] + [o.fit.model.digest for _, o in outcomes.values()]
    assert sorted(read) == sorted(models)


def test_a_second_run_computes_nothing(small_plan, monkeypatch):
    first = stages_of(small_plan())
    table, rankings, fits, outcomes = work(first)
    assert [s["name"] for s in first.cache.stages if s["reused"]] == []
    names = [s["name"] for s in first.cache.stages]
    assert len(names) == len(set(names))
    assert {"ingest", "audit", "train/net", "train/boosted", "select/gated", "retrain/random"} <= set(names)

    # Whatever would do work is broken now.
    import ctrsel.api.stages as module

    def broken(*_args, **_kwargs):
        raise AssertionError("a second run is to compute nothing")

    for name in ("ingest", "audit", "rank", "evaluate", "explain"):
        monkeypatch.setattr(module, name, broken)
    monkeypatch.setattr("ctrsel.api.selecting.retrain", broken)
    second = stages_of(small_plan())
    again = work(second)
    assert [s["name"] for s in second.cache.stages] == names
    assert all(s["reused"] for s in second.cache.stages)
    assert again[0].digest == table.digest
    assert [r.digest for r in again[1]] == [r.digest for r in rankings]
    assert {k: f.model.digest for k, f in again[2].items()} == {k: f.model.digest for k, f in fits.items()}
    assert {k: o.fit.model.digest for k, (_, o) in again[3].items()} == {
        k: o.fit.model.digest for k, (_, o) in outcomes.items()
    }

    # All contenders have the size of the first selection, or less, and start from its snapshot.
    sizes = [o.selection.features.n_values for _, o in outcomes.values()]
    assert max(sizes) == sizes[0]
    assert list(outcomes) == [
        "net, optfs gates",
        "net, best fields by mutual information",
        "net, random values",
        "net, most frequent values",
    ]
    # The trees of the run are what its ranker explains.
    assert rankings[1].method == "boosted_shap"


def test_only_what_depends_on_a_change_is_made_again(small_plan, monkeypatch):
    import ctrsel.api.selecting as module

    monkeypatch.setattr(module, "CONTROLS", ())
    net = {"use": "net", "backbone": {"use": "deepfm", "hidden": [4]}, "width": 2, "max_epochs": 1}
    base = {"learners": {"net": net}, "rank": [{"use": "mutual_information"}]}
    ranking = {"selectors": [{"use": "ranking", "max_q": 1.0}], "size": 0.5}
    work(stages_of(small_plan(**base, select=ranking)))

    def made(**changes) -> set[str]:
        stages = stages_of(small_plan(**{**base, "select": ranking, **changes}))
        work(stages)
        return {s["name"].split("/")[0] for s in stages.cache.stages if not s["reused"]}

    assert made() == set()
    assert made(select={**ranking, "size": 0.3}) == {"select", "retrain", "evaluate", "explain"}
    assert made(explain={"max_rows": 20, "net_rows": 5, "background": 4}) == {"explain"}
    assert made(audit={"accept": ["ad"]}) == {"audit"}
    assert made(learners={"net": {**net, "width": 3}}) >= {"train", "retrain", "evaluate"}
    assert "ingest" in made(seed=2)


def test_changed_bytes_are_ingested_again(small_plan, tmp_path):
    file = tmp_path / "rows.csv"
    tiny_frame(rows=300, seed=1).write_csv(file)
    one = stages_of(small_plan(data={"train": str(file)})).ingest()
    tiny_frame(rows=300, seed=2).write_csv(file)
    two = stages_of(small_plan(data={"train": str(file)})).ingest()
    assert one.digest != two.digest


def test_a_leak_that_is_never_used_does_not_stop(small_plan, tmp_path):
    file = tmp_path / "leak.parquet"
    frame = tiny_frame(rows=600)
    frame.with_columns(paid=frame["click"]).write_parquet(file)
    stages = stages_of(small_plan(data={"train": str(file)}, select={"never_use": ["paid"]}))
    found = stages.audit(stages.ingest())
    assert found.stops == ()
    assert any(f.field == "paid" and f.accepted for f in found.findings)


def test_a_leak_stops_every_time_until_it_is_accepted(small_plan, tmp_path):
    import polars as pl

    file = tmp_path / "leak.parquet"
    frame = tiny_frame(rows=600, seed=1)
    frame.with_columns(paid=pl.when(pl.col("click") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))).write_parquet(
        file
    )
    for _ in range(2):
        stages = stages_of(small_plan(data={"train": str(file)}))
        with pytest.raises(LeakError, match="'paid'"):
            stages.audit(stages.ingest())
    accepted = stages_of(small_plan(data={"train": str(file)}, audit={"accept": ["paid"]}))
    assert accepted.audit(accepted.ingest()).stops == ()


def test_the_size_is_a_share_and_no_rounding_takes_a_value(small_plan, monkeypatch):
    import ctrsel.api.selecting as module
    from ctrsel.select import Problem

    monkeypatch.setattr(module, "CONTROLS", ())
    monkeypatch.setattr(Problem, "n_values", property(lambda _: 100))
    asked = []

    @dataclass(frozen=True, kw_only=True)
    class Asked(Selector):
        def search(self, problem, *, sizes, seed):
            asked.append(sizes[0].number)
            raise KeyboardInterrupt

    for share, expected in ((0.29, 29), (0.5, 50), (0.999, 99), (1.0, 100)):
        plan = dataclasses.replace(small_plan(select={"size": share}), selectors=(Asked(),))
        stages = stages_of(plan)
        known = stages.ingest().without("test")
        with pytest.raises(KeyboardInterrupt):
            stages.select(known, stages.rank(known, {})[:2])
        assert asked.pop() == expected
