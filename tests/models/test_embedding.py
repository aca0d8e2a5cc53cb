from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.data.batches import Batch, batches
from ctrsel.models.embedding import Embedding, Inputs, to_inputs
from ctrsel.models.layout import Layout
from ctrsel.testing.tables import sequence_table, tiny_table


def embedding(table, *, width=3, history=False):
    torch.manual_seed(0)
    layout = Layout.of(table.encoder, history=history)
    out = Embedding(layout, width=width, first_order=True)
    with torch.no_grad():
        for p in out.parameters():
            p.normal_()
        out.zero_rows(torch.from_numpy(layout.rows(2)))
    return out


def one(table):
    return next(iter(batches(table, None, size=table.n_rows)))


def test_codes_and_floats_by_hand():
    table = tiny_table(rows=50)
    e, batch = embedding(table), one(table)
    x = e(to_inputs(batch))
    assert x.main.shape == (50, 6, 3)
    assert x.first_order.shape == (50, 6, 1)
    for row in (0, 7, 49):
        for slot in range(5):
            torch.testing.assert_close(x.main[row, slot], e.main[batch.codes[row, slot]])
            torch.testing.assert_close(x.first_order[row, slot, 0], e.first[batch.codes[row, slot]])
        torch.testing.assert_close(x.main[row, 5], float(batch.floats[row, 0]) * e.float_main[0])


@pytest.mark.parametrize("std", [1e-4, 0.05])
def test_tables_begin_as_wide_as_asked_and_hidden_rows_at_zero(std):
    table = tiny_table(rows=3000)
    e = Embedding(Layout.of(table.encoder, history=False), width=8, first_order=True, init_std=std)
    shown = torch.ones(len(e.main), dtype=torch.bool)
    shown[e.hidden] = False
    assert e.main[shown].std().item() == pytest.approx(std, rel=0.05)
    assert e.first[shown].std().item() == pytest.approx(std, rel=0.1)
    assert not e.main[e.hidden].any()


def test_lists_are_averaged_and_empty_ones_are_missing():
    table = sequence_table(rows=60)
    e, batch = embedding(table), one(table)
    x = e(to_inputs(batch))
    slot = e.layout.slots.index("tags")
    offsets, codes = batch.lists["tags"]
    lengths = np.diff(offsets)
    assert 0 in lengths
    assert 2 in lengths
    for row in range(60):
        here = codes[offsets[row] : offsets[row + 1]]
        want = e.main[here].mean(0) if len(here) else e.main[table.encoder.offset("tags")]
        torch.testing.assert_close(x.main[row, slot], want)


def test_gate_scales_every_lookup_by_its_value():
    table = sequence_table(rows=40)
    e = embedding(table, history=True)
    inputs = to_inputs(one(table))
    factor = torch.rand(e.layout.total_codes)
    gated = e(inputs, lambda rows, codes: rows * factor[codes][..., None])
    with torch.no_grad():
        e.main.mul_(factor[:, None])
        e.first.mul_(factor)
    scaled = e(inputs)
    torch.testing.assert_close(gated.main, scaled.main)
    torch.testing.assert_close(gated.first_order, scaled.first_order)
    torch.testing.assert_close(gated.history["history"], scaled.history["history"])


def test_hidden_rows_start_at_zero_and_get_no_gradient():
    table = tiny_table(rows=50)
    layout = Layout.of(table.encoder, history=False)
    e = Embedding(layout, width=3, first_order=True)
    hidden = torch.from_numpy(layout.rows(2))
    codes = torch.stack([hidden, hidden + 1])
    x = e(Inputs(codes, torch.zeros(2, 1), {}))
    (x.main.sum() + x.first_order.sum()).backward()
    assert not e.main[hidden].any()
    assert not e.first[hidden].any()
    assert not e.main.grad[hidden].any()
    assert not e.first.grad[hidden].any()
    assert e.main.grad[hidden + 1].all()


@pytest.mark.parametrize("rows", [0, 1])
def test_small_batches(rows):
    table = sequence_table(rows=40)
    e = embedding(table, history=True)
    x = e(to_inputs(next(iter(batches(table.take(np.arange(1)), None, size=1)))))
    assert x.main.shape == (1, 3, 3)
    empty = Batch(
        rows=np.zeros(0, np.int64),
        codes=np.zeros((0, 2), np.int32),
        floats=np.zeros((0, 0), np.float32),
        lists={k: (np.zeros(1, np.int64), np.zeros(0, np.int32)) for k in ("history", "tags")},
        labels=None,
        weight=None,
    )
    if not rows:
        x = e(to_inputs(empty))
        assert x.main.shape == (0, 3, 3)
        assert x.history["history"].shape == (0, 1, 3)


def test_gradient_agrees_with_torch_embedding():
    table = tiny_table(rows=50)
    e, batch = embedding(table), one(table)
    weight = torch.randn(50, 5, 3)
    (e(to_inputs(batch)).main[:, :5] * weight).sum().backward()
    other = torch.nn.Embedding.from_pretrained(e.main.detach().clone(), freeze=False)
    (other(torch.from_numpy(batch.codes)) * weight).sum().backward()
    hidden = torch.from_numpy(e.layout.rows(2))
    other.weight.grad[hidden] = 0
    torch.testing.assert_close(e.main.grad, other.weight.grad)


def test_sparse_gradients_are_those_of_dense_ones():
    table = sequence_table(rows=40)
    dense, layout = embedding(table, history=True), Layout.of(table.encoder, history=True)
    sparse = Embedding(layout, width=3, first_order=True, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    inputs = to_inputs(one(table))
    for e in (dense, sparse):
        x = e(inputs)
        factor = torch.linspace(0, 1, x.main.numel()).view_as(x.main)
        loss = (x.main**2 * factor).sum() + (x.first_order**2).sum() + sum((h**2).sum() for h in x.history.values())
        loss.backward()
    for a, b in zip(sparse.tables(), dense.tables(), strict=True):
        assert a.grad.is_sparse
        assert (
            a.grad._nnz() <= sum(map(len, (inputs.codes.flatten(), *(c for _, c in inputs.lists.values())))) + 40 * 20
        )
        got = a.grad.to_dense()
        got[sparse.hidden] = 0.0
        torch.testing.assert_close(got, b.grad)
