"""Fields by gates, on a table with a planted truth: some fields say something, some copy them badly, some say nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
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

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        self.gates.append(gate)
        return self.fit_


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


def test_gates_on_values_and_learners_without_gates_are_refused(table):
    with pytest.raises(ConfigError, match=r"must be a gate on fields, one of adafs, autofield.*got 'optfs'"):
        GatedFields(gate=OptFS())
    with pytest.raises(ConfigError, match="gate"):
        GatedFields().search(Problem(table=table, learner=BoostedLearner(rounds=2)), sizes=(), seed=1)
    lists = Problem(table=sequence_table(rows=300).without("test"), learner=NetLearner(backbone=TargetAttention()))
    with pytest.raises(ConfigError, match="needs every field in a slot, but the backbone is given 'history' as it is"):
        GatedFields().search(lists, sizes=(), seed=1)
