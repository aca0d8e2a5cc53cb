from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.data.table import Ragged
from ctrsel.models._contract import Predictor
from ctrsel.models.model import Model
from ctrsel.rank._importance import constant_fields, importance, loss_increase, split_gain
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner

LEARNER = BoostedLearner(rounds=15, leaves=7)


class Formula(Predictor):
    """Logits of a function of the table, for tests."""

    kind: ClassVar[str] = "formula"

    def __init__(self, of):
        self.of = of

    def logits(self, table):
        return np.asarray(self.of(table), dtype=np.float32).reshape(table.n_rows, 1)

    def narrow(self, old, new, features):
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder, encoder):
        raise NotImplementedError

    @property
    def n_parameters(self) -> int:
        return 0

    @property
    def digest(self) -> str:
        return "formula"


def of(table, function):
    return Model(encoder=table.encoder, predictor=Formula(function))


def steps(name, scale=0.3):
    """Return logits that depend on the code of one field only."""
    return lambda table: scale * (table.columns[name].astype(np.float64) % 5 - 2)


def nats(labels, logits):
    return np.logaddexp(0, np.where(labels > 0, -logits, logits))


def test_is_the_mean_rise_of_the_log_loss():
    part = tiny_table(rows=300).part("train")
    found = loss_increase(of(part, steps("ad")), part, items=[("ad",), ("site",)], repeats=2, seed=4)
    code, y = part.columns["ad"].astype(float), part.label()
    loss = nats(y, 0.3 * (code % 5 - 2))
    rises = []
    for r in range(2):
        moved = code[generator(4, "rank", "permutation", "ad", r).permutation(part.n_rows)]
        rises.append((nats(y, 0.3 * (moved % 5 - 2)) - loss).mean())
    assert found.value[0] == pytest.approx(np.mean(rises), abs=1e-7)
    assert found.repeat_sd[0] == pytest.approx(np.std(rises, ddof=1), abs=1e-7)
    assert (found.value[1], found.error[1], found.z[1]) == (0, 0, 0)  # the formula does not read it


def test_approaches_the_mean_over_all_pairs_of_rows():
    part = tiny_table(rows=200).part("train")
    code, y = part.columns["ad"].astype(float), part.label()
    pairs = nats(y[:, None], 0.3 * (code[None, :] % 5 - 2)).mean() - nats(y, 0.3 * (code % 5 - 2)).mean()
    found = loss_increase(of(part, steps("ad")), part, items=[("ad",)], repeats=200, seed=1)
    assert found.value[0] == pytest.approx(pairs, abs=4 * found.repeat_sd[0] / np.sqrt(200))


@pytest.mark.parametrize("repeats", [1, 4])
def test_the_standard_error_is_that_of_other_rows(repeats):
    table = tiny_table(rows=60_000)
    rng = np.random.default_rng(0)
    values, errors = [], []
    for i in range(150):
        part = table.take(rng.choice(table.n_rows, 300, replace=False))
        model = of(part, lambda t: steps("ad")(t) + steps("noise")(t))
        found = loss_increase(model, part, items=[("ad",), ("noise",)], repeats=repeats, seed=i)
        values.append(found.value)
        errors.append(found.error)
    spread = np.std(values, axis=0, ddof=1)
    assert np.mean(errors, axis=0) == pytest.approx(spread, rel=0.2)
    mean = np.mean(values, axis=0)
    assert mean[0] > 5 * spread[0] / np.sqrt(150)
    assert abs(mean[1]) < 3 * spread[1] / np.sqrt(150)  # noise: 0, although the model uses it


@pytest.mark.parametrize("table", [tiny_table(rows=600), sequence_table()], ids=["floats", "lists"])
def test_trees_are_scored_by_their_matrix_as_by_the_table(table):
    table = table.without("test")
    model = LEARNER.fit(table, seed=1).model
    part = table.part("valid")
    items = [(name,) for name in table.schema.names] + [table.schema.names[:2]]
    quick = loss_increase(model, part, items=items, repeats=2, seed=1)
    plain = loss_increase(of(table, model.predictor.logits), part, items=items, repeats=2, seed=1)
    assert quick.value == pytest.approx(plain.value, abs=1e-6)
    assert quick.error == pytest.approx(plain.error, abs=1e-6)
    assert (quick.value != 0).sum() >= 2


def test_an_items_permutations_do_not_depend_on_the_others():
    part = tiny_table(rows=200).part("train")
    model = of(part, steps("ad"))
    alone = loss_increase(model, part, items=[("ad",)], repeats=2, seed=1)
    last = loss_increase(model, part, items=[("site",), ("ad",)], repeats=2, seed=1)
    assert alone.value[0] == last.value[1]


def test_rows_without_weight_do_not_count():
    part = tiny_table(rows=400).part("train")
    weight = np.where(np.arange(part.n_rows) % 3 == 0, 0.0, 2.0)
    flipped = np.where(weight[:, None] > 0, part.labels, 1 - part.labels)
    model = of(part, steps("ad"))
    found = [
        loss_increase(model, replace(part, weight=weight, labels=labels), items=[("ad",)], repeats=3, seed=1)
        for labels in (part.labels, flipped)
    ]
    assert found[0].value == found[1].value
    assert found[0].error == found[1].error
    heavy = loss_increase(model, replace(part, weight=2 * np.ones(part.n_rows)), items=[("ad",)], repeats=50, seed=1)
    plain = loss_increase(model, part, items=[("ad",)], repeats=50, seed=1)
    assert heavy.value[0] == pytest.approx(plain.value[0], abs=0.3 * plain.error[0])
    assert heavy.error[0] == pytest.approx(plain.error[0], rel=0.1)


def test_copies_of_a_row_are_no_further_evidence_where_they_are_a_group():
    part = tiny_table(rows=400).part("train")
    thrice = part.take(np.repeat(np.arange(part.n_rows), 3))
    model = of(part, steps("ad"))
    once = loss_increase(model, part, items=[("ad",)], repeats=5, seed=1)
    apart = loss_increase(model, thrice, items=[("ad",)], repeats=5, seed=1)
    together = loss_increase(model, replace(thrice, group=thrice.row), items=[("ad",)], repeats=5, seed=1)
    assert apart.error[0] == pytest.approx(once.error[0] / np.sqrt(3), rel=0.15)
    assert together.error[0] == pytest.approx(once.error[0], rel=0.15)


def test_gain_is_summed_over_the_columns_of_a_field():
    table = sequence_table().without("test")
    model = LEARNER.fit(table, seed=1).model
    gain, splits = split_gain(model)
    dump = [t["tree_structure"] for t in model.predictor.boosters[0].dump_model()["tree_info"]]
    expected = dict.fromkeys(table.schema.names, 0.0)
    number = 0
    while dump:
        node = dump.pop()
        if "split_feature" in node:
            expected[model.predictor.columns.owners[node["split_feature"]]] += node["split_gain"]
            number += 1
            dump += [node["left_child"], node["right_child"]]
    assert gain == pytest.approx(list(expected.values()), rel=1e-4)
    assert splits.sum() == number


def test_constant_fields_of_all_kinds():
    table = tiny_table(rows=100)
    n = table.n_rows
    columns = dict(table.columns)
    columns["site"] = np.full(n, 3, dtype=np.uint8)
    columns["load"] = np.full(n, np.nan, dtype=np.float32)
    assert set(constant_fields(replace(table, columns=columns))) == {"site", "load"}
    columns["load"][5] = 0.5
    assert set(constant_fields(replace(table, columns=columns))) == {"site"}
    lists = sequence_table(rows=50)
    same = Ragged(offsets=2 * np.arange(lists.n_rows + 1), codes=np.tile([3, 4], lists.n_rows).astype(np.uint8))
    empty = Ragged(offsets=np.zeros(lists.n_rows + 1, dtype=np.int64), codes=np.zeros(0, dtype=np.uint8))
    assert set(constant_fields(replace(lists, columns={**lists.columns, "history": same, "tags": empty}))) == {
        "history",
        "tags",
    }
    assert not constant_fields(lists)


def test_refuses():
    table = tiny_table(rows=200)
    part = table.part("train")
    with pytest.raises(ConfigError, match="needs a model of kind 'boosted', got 'formula'"):
        importance(of(part, steps("ad")), part, kind="gain", seed=1)
    with pytest.raises(DataError, match="at least 2"):
        loss_increase(of(part, steps("ad")), part.take(np.arange(1)), items=[("ad",)], repeats=1, seed=1)
    with pytest.raises(DataError, match="its own encoder"):
        loss_increase(of(part, steps("ad")), tiny_table(rows=90).part("train"), items=[("ad",)], repeats=1, seed=1)
