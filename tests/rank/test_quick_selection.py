"""QuickSelection: the paper's number of links, rewiring that keeps it, and a score that does not see the label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank import CodedRows, TableCounts, rank
from ctrsel.rank._sparse_autoencoder import SparseLayer, SparseTraining, link_count, train_sparse_autoencoder
from ctrsel.rank.quick_selection import QuickSelection
from ctrsel.records.feature_set import RESERVED
from ctrsel.testing.tables import sequence_table, tiny_table


def test_the_papers_density():
    assert link_count(784, 1000, density=13) == 23_192  # 2.958 % of the links of MNIST's layer
    assert link_count(4, 5, density=13) == 20
    layer = SparseLayer(40, 30, links=link_count(40, 30, density=5), generator=torch.Generator().manual_seed(0))
    assert int(layer.mask.sum()) == 350
    assert bool((layer.weight[~layer.mask] == 0).all())


def test_rewiring_drops_the_smallest_of_each_sign_and_keeps_the_number():
    layer = SparseLayer(20, 20, links=100, generator=torch.Generator().manual_seed(1))
    before, mask = layer.weight.detach().clone(), layer.mask.clone()
    layer.speed[0] += mask
    layer.rewire(0.2)
    assert int(layer.mask.sum()) == 100
    gone, new = mask & ~layer.mask, layer.mask & ~mask
    for sign in (1.0, -1.0):
        dropped = (sign * before)[gone & (sign * before > 0)]
        held = (sign * before)[mask & ~gone & (sign * before > 0)]
        assert len(dropped) == int(0.2 * (len(dropped) + len(held)))
        assert dropped.max() < held.min()
    assert bool((layer.speed[0][new] == 0).all())
    assert bool((layer.speed[0][gone] == 0).all())
    assert bool((layer.weight[~layer.mask] == 0).all())
    assert torch.equal(layer.weight.detach()[mask & layer.mask], before[mask & layer.mask])
    full = SparseLayer(3, 3, links=9, generator=torch.Generator().manual_seed(1))
    full.rewire(0.5)
    assert bool(full.mask.all())


def factors(rows: int = 1500) -> np.ndarray:
    """Six columns of one factor, six of another, and one that is constant."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(rows, 2)), 6, axis=1) + 0.3 * rng.normal(size=(rows, 12))
    x = (x - x.mean(0)) / x.std(0)
    return np.concatenate([x, np.zeros((rows, 1))], axis=1).astype(np.float32)


def trained(**more):
    x = factors()
    seen: list[tuple[int, torch.Tensor, torch.Tensor]] = []
    layer, error = train_sparse_autoencoder(
        lambda rows: x[rows],
        n_rows=len(x),
        columns=13,
        training=SparseTraining(**{"hidden": 40, "density": 3.0, "epochs": 8, **more}),
        seed=3,
        watch=lambda epoch, one, two: seen.append((epoch, one.mask.clone(), two.mask.clone())),
    )
    return layer, error, seen


def test_links_stay_as_many_and_a_constant_column_is_weakest():
    layer, error, seen = trained()
    assert {(int(a.sum()), int(b.sum())) for _, a, b in seen} == {(159, 159)}
    assert not torch.equal(seen[0][1], seen[3][1])
    assert torch.equal(seen[-2][1], seen[-1][1])  # nothing is rewired after the last epoch
    assert int(np.argmin(layer.strength())) == 12
    assert error < 1.0


def test_without_rewiring_the_links_stay():
    _, _, seen = trained(rewired=0.0)
    assert all(torch.equal(seen[0][1], a) and torch.equal(seen[0][2], b) for _, a, b in seen)


def coded(columns: dict[str, np.ndarray], labels: np.ndarray) -> TableCounts:
    held = {n: (c + RESERVED).astype(np.uint16) for n, c in columns.items()}
    sizes = {n: int(c.max()) + 1 for n, c in held.items()}
    rows = CodedRows(columns=held, sizes=sizes, labels=labels, row=np.arange(len(labels)))
    return TableCounts(fields={}, rows=rows, seed=1)


def test_the_label_is_not_looked_at():
    rng = np.random.default_rng(4)
    columns = {n: rng.integers(0, 6, 1500) for n in "abcd"}
    columns["copy"] = columns["a"]
    columns["same"] = np.zeros(1500, dtype=np.int64)
    one = QuickSelection(epochs=3).score(coded(columns, np.zeros(1500, dtype=np.uint8)))
    two = QuickSelection(epochs=3).score(coded(columns, (columns["b"] > 2).astype(np.uint8)))
    assert one.frame.equals(two.frame)
    assert "labels were not looked at" in one.notes
    assert "same" in one.refused
    assert sorted(one.order) == ["a", "b", "c", "copy", "d"]
    assert (
        one.digest != QuickSelection(epochs=3).score(replace(coded(columns, np.zeros(1500, np.uint8)), seed=2)).digest
    )


def test_floats_and_lists():
    ranking = rank(tiny_table(rows=600), [QuickSelection(epochs=1, rows=300)], seed=1)[0]
    assert set(ranking.order) == {"site", "ad", "noise", "id", "hour", "load"}
    assert any("from 300 of" in n for n in ranking.notes)
    assert "list of values" in rank(sequence_table(), [QuickSelection(epochs=1)], seed=1)[0].refused["history"]


def test_weights_that_run_away_are_refused():
    rng = np.random.default_rng(5)
    counts = coded({n: rng.integers(0, 3, 300) for n in "abc"}, np.zeros(300, dtype=np.uint8))
    with pytest.raises(DataError, match=r"learning_rate: the weights did not stay finite with 1000\.0; lower it"):
        QuickSelection(learning_rate=1000.0, epochs=5).score(counts)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"epochs": 0}, "epochs: must be at least 1"),
        ({"density": 0.0}, "density: must be above 0"),
        ({"rewired": 1.0}, r"rewired: must be in \[0, 1\)"),
        ({"noise": -1.0}, "noise: must not be negative"),
    ],
)
def test_parameters(given, why):
    with pytest.raises(ConfigError, match=f"quick_selection.{why}"):
        QuickSelection(**given)


def test_a_field_with_one_value_is_refused_and_changes_nothing():
    table = tiny_table(rows=300)
    size = table.encoder.size("noise")
    constant = replace(table, columns={**table.columns, "noise": np.full_like(table.columns["noise"], size - 1)})
    (found,) = rank(constant, [QuickSelection(epochs=1, hidden=8)], seed=1, threads=1)
    assert "noise" not in found.order
    assert found.refused["noise"].startswith("has one value in the training rows")
    (sampled,) = rank(constant, [QuickSelection(epochs=1, hidden=8, rows=50)], seed=1, threads=1)
    assert sampled.refused["noise"] == "has one value in the 50 training rows that were drawn"
