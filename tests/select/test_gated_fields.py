"""Fields by gates, on a table with a planted truth: some fields say something, some copy them badly, some say nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates import CATALOG
from ctrsel.models.gates._contract import Gate
from ctrsel.models.gates.lpfs_fields import LPFSFields
from ctrsel.models.gates.optfs import OptFS
from ctrsel.models.gates.sequential_attention import SequentialAttention
from ctrsel.select import Problem, Size
from ctrsel.select.gated_fields import GatedFields
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_table
from ctrsel.train import Fit, Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

NET = NetLearner(
    backbone=DeepFM(hidden=(16,)), width=4, batch_size=256, learning_rate=3e-3, embedding_l2=0.01, max_epochs=6
)
USEFUL = {"few", "some", "many", "number", "tags"}
# Of the five useful fields so many are at least among the first five; decoys copy "some" and "many" in six rows of ten.
FOUND = {"sequential_attention": 5, "autofield": 5, "lpfs_fields": 4, "adafs": 4, "mvfs": 3}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    n = 8000
    few, some, many = (rng.integers(0, k, n) for k in (6, 20, 50))
    number = rng.normal(size=n)
    tags = [rng.integers(0, 8, rng.integers(1, 4)) for _ in range(n)]
    logit = -0.5 + np.linspace(-1.2, 1.2, 6)[few] + rng.normal(0, 0.9, 20)[some] + rng.normal(0, 0.8, 50)[many]
    logit += 0.8 * number + np.array([np.linspace(-1.5, 1.5, 8)[t].mean() for t in tags])

    def texts(codes):
        return [f"v{i}" for i in codes]

    def decoy(codes, k):
        return texts(np.where(rng.random(n) < 0.6, codes, rng.integers(0, k, n)))

    frame = pl.DataFrame(
        {
            "click": (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int8),
            "noise_few": texts(rng.integers(0, 4, n)),
            "decoy_some": decoy(some, 20),
            "few": texts(few),
            "noise_many": texts(rng.integers(0, 400, n)),
            "some": texts(some),
            "noise_id": texts(rng.integers(0, 2000, n)),
            "number": number,
            "noise_number": rng.normal(size=n),
            "tags": [texts(t) for t in tags],
            "noise_tags": [texts(rng.integers(0, 8, rng.integers(1, 4))) for _ in range(n)],
            "decoy_many": decoy(many, 50),
            "many": texts(many),
        }
    )
    kinds = {
        **{name: FieldConfig(kind="numeric", bucket="none") for name in ("number", "noise_number")},
        **{name: FieldConfig(kind="multivalued") for name in ("tags", "noise_tags")},
    }
    schema = SchemaConfig(label=LabelConfig(name="click"), fields=kinds)
    return ingest(frame, schema=schema, seed=1).without("test")


def test_every_gate_on_fields_is_tried():
    assert set(FOUND) == {name for name in CATALOG.names() if CATALOG.load(name).site == "field"}


@pytest.mark.parametrize("name", list(FOUND))
def test_useful_fields_come_first(table, name):
    """Plain, list and float fields take part, and a field of 2,000 values that says nothing is not learned by heart."""
    found = GatedFields(gate=CATALOG.load(name)()).search(Problem(table=table, learner=NET), sizes=(), seed=1)
    assert set(found.scores) == set(table.schema.names)
    first = found.order[:5]
    assert len(USEFUL & set(first)) >= FOUND[name], found.order
    assert "noise_id" not in found.order[:2], found.order
    assert [h["epoch"] for h in found.history] == list(range(1, 9))


@dataclass(frozen=True, kw_only=True)
class Told(Learner):
    """Hands back scores and notes the gates that it was asked to search with."""

    fit_: Fit
    gates: list[Gate] = field(default_factory=list)
    more: tuple[Fit, ...] = ()
    seen: list[tuple[Table, int, Path | None]] = field(default_factory=list)

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        self.gates.append(gate)
        self.seen.append((table, seed, work))
        return (self.fit_, *self.more)[(len(self.seen) - 1) % (1 + len(self.more))]


def told(table, **given):
    scores = {name: float(i) for i, name in enumerate(reversed(table.schema.names))}
    given = {"kept_fields": frozenset(("few", "some", "noise_few")), "field_scores": scores, **given}
    return Told(fit_=Fit(model=None, epochs=1, seconds=2.0, history=(), valid={}, **given))


def test_one_search_serves_all_sizes(table):
    learner = told(table)
    sizes = [Size(number=k, of="fields") for k in (2, 4)]
    found = GatedFields().search(Problem(table=table, learner=learner), sizes=sizes, seed=1)
    assert found.at(sizes[0]).fields == ("noise_few", "decoy_some")
    assert found.at(sizes[1]).fields == ("noise_few", "decoy_some", "few", "noise_many")
    values = found.at(Size(number=30))
    assert values.n_values == 30
    assert {"noise_few", "decoy_some", "few"} <= set(values.fields)
    assert len(learner.gates) == 1
    assert found.seconds == 2.0
    assert dict(values.params)["gate"]["use"] == "autofield"
    assert values.field_scores["noise_few"] == 11.0


def test_a_gate_that_decides_keeps_no_field_that_it_shut(table):
    found = GatedFields(gate=LPFSFields()).search(Problem(table=table, learner=told(table)), sizes=(), seed=1)
    assert set(found.at(Size(number=9, of="fields")).fields) == {"few", "some", "noise_few"}


def test_searches_together_go_by_mean_places_and_majorities(table):
    """By hand: a, b, c score (9, 5, 1), (1, 5, 2) and (3, 2, 1), so of three fields 2, 0, 2; 1, 2, 1; 0, 1, 0 score less."""
    names = table.schema.names
    a, b, c = names[:3]
    rest = dict.fromkeys(names[3:], -1.0)

    def of(scores, kept):
        return told(
            table, field_scores={**dict(zip((a, b, c), scores, strict=True)), **rest}, kept_fields=frozenset(kept)
        ).fit_

    fits = (of((9, 5, 1), (a, b)), of((1, 5, 2), (b, c)), of((3, 2, 1), (a,)))
    learner = Told(fit_=fits[0], more=fits[1:])
    problem = Problem(table=table, learner=learner)
    found = GatedFields(gate=LPFSFields(), searches=3).search(problem, sizes=(), seed=1)
    low, n = len(rest), len(names)
    expected = {a: (2 + 0 + 2) / 3, b: (1 + 2 + 1) / 3, c: (0 + 1 + 0) / 3}
    assert {k: found.scores[k] for k in expected} == pytest.approx({k: (v + low) / n for k, v in expected.items()})
    assert all(found.scores[k] == 0 for k in rest)
    assert found.wanted == {a, b}
    assert found.seconds == 6.0
    assert len({seed for _, seed, _ in learner.seen}) == 3
    assert all(t is table for t, _, _ in learner.seen)
    assert GatedFields(searches=3).fits(fields=4, rows=100) == 2


@pytest.mark.parametrize("grouped", [False, True])
def test_later_searches_learn_from_other_validation_rows(table, grouped, tmp_path):
    group = np.arange(table.n_rows) // 7 if grouped else None
    table = replace(table, group=group)
    learner = told(table)
    GatedFields(searches=3, resplit=True).search(Problem(table=table, learner=learner, work=tmp_path), sizes=(), seed=1)
    (first, _, none), *others = learner.seen
    assert first is table
    assert [none, *(work for _, _, work in others)] == [tmp_path, tmp_path / "search_1", tmp_path / "search_2"]
    valid = {s: frozenset(t.part("valid").row.tolist()) for s, (t, _, _) in enumerate(learner.seen)}
    assert len(set(valid.values())) == 3
    for t, _, _ in others:
        both = np.concatenate([t.part("train").row, t.part("valid").row])
        np.testing.assert_array_equal(np.sort(both), np.sort(table.row))
        assert 0 <= t.part("valid").n_rows - table.part("valid").n_rows < 7
        if grouped:
            assert not set(t.part("train").group.tolist()) & set(t.part("valid").group.tolist())


@pytest.mark.parametrize(
    ("sizes", "groups", "picks"),
    [
        ((Size(number=3, of="fields"), Size(number=5, of="fields")), (), 5),
        ((Size(number=99, of="fields"),), (), None),
        ((Size(number=3, of="fields"), Size(number=30)), (), None),
        ((Size(number=3, of="fields"),), (("few", "some"),), None),
        ((), (), None),
    ],
)
def test_no_more_fields_are_picked_than_asked_for(table, sizes, groups, picks):
    learner = told(table)
    problem = Problem(table=table, learner=learner, groups=groups)
    GatedFields(gate=SequentialAttention()).search(problem, sizes=sizes, seed=1)
    assert learner.gates[0].picks == picks


def test_no_search_at_all_is_refused():
    with pytest.raises(ConfigError, match=r"gated_fields.searches: must be at least 1, got 0"):
        GatedFields(searches=0)


def test_gates_on_values_and_learners_without_gates_are_refused(table):
    with pytest.raises(ConfigError, match=r"must be a gate on fields, one of adafs, autofield.*got 'optfs'"):
        GatedFields(gate=OptFS())
    with pytest.raises(ConfigError, match="gate"):
        GatedFields().search(Problem(table=table, learner=BoostedLearner(rounds=2)), sizes=(), seed=1)
    lists = Problem(table=sequence_table(rows=300).without("test"), learner=NetLearner(backbone=TargetAttention()))
    with pytest.raises(ConfigError, match="needs every field in a slot, but the backbone is given 'history' as it is"):
        GatedFields().search(lists, sizes=(), seed=1)
