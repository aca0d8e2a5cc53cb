"""The choice of crosses, and a whole run in which a cross carries all that can be known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
import yaml

from ctrsel.api.crosses import choose_crosses
from ctrsel.api.plan import plan
from ctrsel.core.building import build
from ctrsel.core.config import CrossesConfig, RunConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.models.model import Model
from ctrsel.rank import CountRanker
from ctrsel.records.cross_choice import CrossChoice, CrossChoices
from ctrsel.records.ranking import Ranking
from ctrsel.records.run import Run
from ctrsel.testing.tables import tiny_table

NET = {
    "use": "net",
    "backbone": {"use": "deepfm", "hidden": [8]},
    "width": 4,
    "batch_size": 128,
    "learning_rate": 5e-3,
    "max_epochs": 4,
}


def ranking_of(*rows: tuple[tuple[str, ...], float, float | None], item: str = "cross") -> Ranking:
    frame = pl.DataFrame(
        {
            "field": ["*".join(fields) for fields, _, _ in rows],
            "score": [s for _, s, _ in rows],
            "rank": np.arange(1, len(rows) + 1),
            "fields": [list(fields) for fields, _, _ in rows],
            "synergy": [s for _, s, _ in rows],
            "q": [q for _, _, q in rows],
        },
        schema_overrides={"q": pl.Float64},
    )
    return Ranking(method="toy_pairs", params={}, unit="nats", null=None, frame=frame, item=item)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyPairs(CountRanker):
    """All pairs by what they tell together beyond their parts, with a q-value of 0 or 1."""

    needs = "rows"
    least: float = 0.01

    def score(self, counts):
        from itertools import combinations

        from ctrsel.stats.information import mutual_information

        rows = counts.need_rows("toy_pairs")

        def told(names):
            joint = rows.joint(names)
            return mutual_information(joint.positives, joint.totals)

        usable = [n for n in rows.names if n != "load"]
        found = [(p, told(p) - sum(told((n,)) for n in p)) for p in combinations(usable, 2)]
        found.sort(key=lambda x: -x[1])
        made = ranking_of(*((p, s, 0.0 if s > self.least else 1.0) for p, s in found))
        return dataclasses.replace(made, table=counts.table)


def test_named_crosses_come_first_then_the_best_significant_ones_that_can_be_made():
    table = tiny_table(rows=2000)
    ranking = ranking_of(
        (("site", "load"), 0.4, 0.001),
        (("ad", "site"), 0.3, 0.002),
        (("ad", "noise"), 0.2, 0.01),
        (("site", "hour"), 0.15, 0.2),
        (("ad", "hour"), 0.1, 0.03),
        (("noise", "hour"), 0.05, 0.04),
        (("id", "hour"), 0.04, None),
    )
    found = choose_crosses(table, CrossesConfig(use=(("site", "ad"),), top=2, min_count=10), ranking)
    assert found.taken == (("site", "ad"), ("ad", "noise"), ("ad", "hour"))
    assert [(c.name, c.taken, c.rank, c.synergy, c.q) for c in found.choices] == [
        ("site*ad", True, 2, 0.3, 0.002),
        ("ad*noise", True, 3, 0.2, 0.01),
        ("ad*hour", True, 5, 0.1, 0.03),
        ("site*load", False, 1, 0.4, 0.001),
        ("site*hour", False, 4, 0.15, 0.2),
        ("noise*hour", False, 6, 0.05, 0.04),
        ("id*hour", False, 7, 0.04, None),
    ]
    reasons = [c.reason for c in found.choices]
    assert reasons[:3] == ["named in crosses.use", "number 3 by toy pairs", "number 5 by toy pairs"]
    assert "'load' stays a float" in reasons[3]
    assert reasons[4] == "its q-value is above 0.05: chance may explain it"
    assert reasons[5] == "beyond the best 2"
    assert reasons[6].startswith("it has no q-value")
    vocabulary = table.crossed([("site", "ad")], min_count=10).encoder.vocabulary("site*ad")
    assert found.choices[0].values == vocabulary.size - 3
    assert found.choices[0].covered == pytest.approx(vocabulary.counts[3:].sum() / vocabulary.counts.sum())


def test_a_cross_of_rare_combinations_is_told_and_not_taken():
    ranking = ranking_of((("id", "hour"), 0.4, 0.001), (("site", "ad"), 0.3, 0.001))
    found = choose_crosses(tiny_table(), CrossesConfig(top=1), ranking)
    assert found.taken == (("site", "ad"),)
    assert "no combination of known values is in 5 training rows" in found.choices[1].reason
    with pytest.raises(DataError, match="no combination of known values"):
        choose_crosses(tiny_table(), CrossesConfig(use=(("id", "hour"),)), None)


def test_what_cannot_be_chosen_from_is_refused():
    with pytest.raises(ConfigError, match=r"crosses.use: 'ad\*site' stands there twice"):
        choose_crosses(tiny_table(), CrossesConfig(use=(("site", "ad"), ("ad", "site"))), None)
    with pytest.raises(ConfigError, match=r"crosses.ranker: 'toy_pairs' ranks items of kind 'field'"):
        choose_crosses(tiny_table(), CrossesConfig(top=1), ranking_of((("site", "ad"), 0.3, 0.1), item="field"))


def test_choices_are_saved(tmp_path):
    choices = CrossChoices(
        choices=(
            CrossChoice(name="a*b", fields=("a", "b"), taken=True, reason="because", values=3),
            CrossChoice(name="a*c", fields=("a", "c"), taken=False, reason="no", q=0.5),
        ),
        ranking="toy",
    )
    choices.save(tmp_path / "x")
    assert CrossChoices.load(tmp_path / "x") == choices
    assert choices.taken == (("a", "b"),)


@pytest.mark.parametrize(
    ("crosses", "message"),
    [
        ({}, "crosses: name some in crosses.use"),
        ({"top": -1}, "crosses.top: must be at least 0, got -1"),
        ({"top": 1, "max_q": 0}, "crosses.max_q: must be in"),
        ({"top": 1, "min_count": 0}, "crosses.min_count: must be at least 1"),
        ({"use": [["site", "ad"]]}, r"crosses.use\[0\]: 'site' stands in select.never_use"),
        ({"top": 1, "ranker": {"use": "interaction_"}}, "crosses.ranker"),
        ({"topp": 1}, "unknown key 'topp'; did you mean 'top'"),
    ],
)
def test_a_wrong_section_fails_before_anything_is_read(small_plan, crosses, message):
    with pytest.raises(ConfigError, match=message):
        small_plan(crosses=crosses, select={"never_use": ["site"]})


@pytest.fixture(scope="module")
def xor_config(tmp_path_factory):
    """8,000 rows: the click depends on whether `left` and `right` differ, and a little on `ad`."""
    from ctrsel.core.seeds import generator

    rng = generator(3, "xor")
    n = 8000
    left, right, ad, noise = (rng.integers(0, k, n) for k in (6, 8, 5, 4))
    logit = -0.3 + 1.4 * (2.0 * ((left ^ right) & 1) - 1) + 0.3 * (ad - 2)
    frame = pl.DataFrame(
        {
            "click": (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int8),
            "left": [f"l{i}" for i in left],
            "right": [f"r{i}" for i in right],
            "ad": [f"ad{i}" for i in ad],
            "noise": noise,
        }
    )
    folder = tmp_path_factory.mktemp("xor")
    frame.write_parquet(folder / "xor.parquet")

    def make(**changes) -> RunConfig:
        given = {
            "name": "xor",
            "out": str(folder / "out"),
            "data": {"train": str(folder / "xor.parquet")},
            "schema": {"label": {"name": "click"}},
            "crosses": {"top": 2, "ranker": {"use": f"{__name__}:ToyPairs"}},
            "rank": [{"use": "mutual_information"}],
            "learners": {"boosted": {"use": "boosted", "rounds": 12}, "net": dict(NET)},
            "select": {"selectors": [{"use": "ranking"}], "size": 0.7},
            "explain": {"max_rows": 40, "net_rows": 10, "background": 4},
            "register": {"enabled": False},
        }
        return build(RunConfig, {**given, **changes}, place="xor")

    return make


@pytest.mark.slow
def test_a_run_with_crosses(xor_config, tmp_path):
    from ctrsel.api.run import run

    done = run(xor_config())
    record = done.run
    taken = [c for c in record.crosses if c.taken]
    assert [c.name for c in taken] == ["left*right"]
    assert taken[0].values == 48
    assert taken[0].synergy > 0.1
    assert all("q-value is above" in c.reason for c in record.crosses[1:])
    assert Run.load(done.out / "run").digest == record.digest
    assert Run.load(done.out / "run").crosses == record.crosses
    assert Ranking.load(done.out / "rankings" / "crosses").digest == record.digests["ranking/crosses"]

    names = [c.name for c in record.contenders]
    assert names[:3] == ["boosted, all values", "net, all values", "net, without crosses"]
    plain, full = record.contender("net, without crosses"), record.contender("net, all values")
    assert (plain.role, plain.fields, full.fields) == ("reference", 4, 5)
    gap = full.metrics["auc"].value - plain.metrics["auc"].value
    assert abs(gap) < 0.05  # DeepFM can learn so small a pair itself
    told = f"for information: the full net's test AUC with crosses is {gap:+.4f} (95 %"
    assert any(r.startswith(told) for r in record.verdict.reasons)
    assert record.table.fields == 4
    assert {f.name for f in record.fields} == {"left", "right", "ad", "noise", "left*right"}
    best = record.fields[0]
    assert (best.name, best.kind) == ("left*right", "cross")
    assert any(v["value"] == "l1 \u00d7 r2" for v in best.shown_values)
    page = done.report.read_text()
    assert "left*right" in page
    assert "l1 \u00d7 r2" in page

    # left and right tell nothing alone, so they are dropped, and yet they are read.
    model = Model.load(done.out / "model")
    assert "left*right" in model.encoder.schema.names
    assert not {"left", "right"} & set(model.encoder.schema.names)
    assert {"left", "right"} <= {f.name for f in model.encoder.schema.inputs}
    frame = pl.read_parquet(done.run.config["data"]["train"])
    rows = done.table.row[done.table.span("test")]
    small = done.table.narrow(done.features)
    np.testing.assert_allclose(model.logits(frame[rows]), model.logits(small.part("test")), rtol=0, atol=1e-6)
    second = run(xor_config())
    assert all(s["reused"] for s in second.run.stages)
    assert second.run.digest == record.digest


@pytest.mark.slow
def test_a_run_whose_ranking_has_nothing_significant_goes_on_without_crosses(xor_config):
    from ctrsel.api.run import run

    crosses = {"top": 1, "ranker": {"use": f"{__name__}:ToyPairs", "least": 5.0}}
    done = run(xor_config(crosses=crosses, name="none"))
    assert not any(c.taken for c in done.run.crosses)
    assert "net, without crosses" not in [c.name for c in done.run.contenders]
    assert done.table.schema.crosses == ()


def test_a_config_without_the_section_says_nothing_of_crosses(small_plan):
    made = small_plan()
    assert made.config.crosses is None
    assert made.cross_ranker is None
    text = yaml.safe_dump({"crosses": {"use": [["site", "ad"]]}})
    assert plan(build(RunConfig, {**_least(), **yaml.safe_load(text)}, place="x")).cross_ranker is None


def _least():
    return {"name": "x", "data": {"train": "x.csv"}, "schema": {"label": {"name": "click"}}}


def test_values_of_a_sensitive_cross_are_hashed():
    from ctrsel.api.assemble import summarise_fields
    from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
    from ctrsel.data.ingest import ingest
    from ctrsel.testing.tables import tiny_frame

    schema = SchemaConfig(label=LabelConfig(name="click"), fields={"site": FieldConfig(sensitive=True)})
    table = ingest(tiny_frame(rows=2000), schema=schema).crossed([("site", "ad")])
    found = summarise_fields(table, features=None, rankings=(), attribution=None, salt="s")
    cross = next(f for f in found if f.name == "site*ad")
    assert cross.sensitive
    assert cross.shown_values
    assert "site1" not in str(cross.shown_values)
    assert "ad0" not in str(cross.shown_values)
