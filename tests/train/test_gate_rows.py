from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.models.gates._rows import added_up as by_torch
from ctrsel.train.gate_rows import added_up


@settings(max_examples=30, deadline=None)
@given(codes=st.lists(st.integers(0, 40), max_size=200), seed=st.integers(0, 1000))
def test_the_compiled_form_is_torchs(codes, seed):
    where = torch.tensor(codes, dtype=torch.int64)
    gradients = torch.randn(len(codes), generator=torch.Generator().manual_seed(seed))
    place = torch.full((41,), -1, dtype=torch.int32)
    distinct, sums, squares = added_up(where, gradients, place)
    assert (place == -1).all()
    order = distinct.argsort()
    want = by_torch(where, gradients, place)
    assert torch.equal(distinct[order], want[0])
    torch.testing.assert_close(sums[order], want[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(squares[order], want[2], atol=1e-5, rtol=1e-5)


def test_other_numbers_go_by_torch():
    place = torch.full((9,), -1, dtype=torch.int32)
    codes, sums, _ = added_up(torch.tensor([7, 3, 7]), torch.ones(3, dtype=torch.float64), place)
    assert codes.tolist() == [3, 7]
    assert sums.dtype == torch.float64
