"""What a model loses without a field."""

import numpy as np
import pytest

import ctrsel
from ctrsel.api.field_losses import field_losses
from ctrsel.testing.tables import tiny_table


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=3000)


@pytest.fixture(scope="module")
def model(table):
    return ctrsel.train_model(table, learner={"use": "boosted", "rounds": 30}).model


def test_planted_fields_lose_and_others_do_not(model, table) -> None:
    found = field_losses(model, table)
    assert set(found) == set(table.schema.names)
    assert found["ad"].low > 0
    assert found["ad"].value > found["hour"].value
    for name in ("noise", "load"):
        assert found[name].low < 0.01
    again = field_losses(model, table)
    assert {n: m.value for n, m in again.items()} == {n: m.value for n, m in found.items()}


def test_by_hand(model, table) -> None:
    from sklearn.metrics import roc_auc_score

    part = table.part("valid")
    whole = roc_auc_score(part.label(), model.logits(part)[:, 0])
    gone = []
    for seed in range(20):
        found = field_losses(model, table, seed=seed)["site"].value
        gone.append(whole - found)
    shuffled = table.take(np.arange(*table.splits["valid"]))
    rng = np.random.default_rng(0)
    expected = []
    for _ in range(20):
        columns = {**shuffled.columns, "site": shuffled.columns["site"][rng.permutation(shuffled.n_rows)]}
        from dataclasses import replace

        expected.append(roc_auc_score(part.label(), model.logits(replace(shuffled, columns=columns))[:, 0]))
    assert np.mean(gone) == pytest.approx(np.mean(expected), abs=0.02)


def test_fewer_rows(model, table) -> None:
    found = field_losses(model, table, rows=100)["ad"]
    assert found.high - found.low > field_losses(model, table)["ad"].high - field_losses(model, table)["ad"].low
