from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.models.backbones._pairs import InnerProducts, bi_interaction, pair_sum, pairs


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), fields=st.integers(1, 6), width=st.integers(1, 5))
def test_gated_fm_weighs_each_pair_by_both_gates(seed, fields, width):
    torch.manual_seed(seed)
    e = torch.randn(3, fields, width, dtype=torch.float64)
    g = torch.rand(3, fields, dtype=torch.float64)
    pairs = sum(
        (g[:, i] * g[:, j] * (e[:, i] * e[:, j]).sum(1) for i, j in itertools.combinations(range(fields), 2)),
        torch.zeros(3, dtype=torch.float64),
    )
    torch.testing.assert_close(pair_sum(e * g[..., None]), pairs)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), fields=st.integers(1, 6), width=st.integers(1, 5))
def test_products_stand_in_the_order_of_pairs_and_add_up(seed, fields, width):
    torch.manual_seed(seed)
    e = torch.randn(3, fields, width, dtype=torch.float64)
    products = InnerProducts(fields)(e)
    assert products.shape == (3, pairs(fields))
    for k, (i, j) in enumerate(itertools.combinations(range(fields), 2)):
        torch.testing.assert_close(products[:, k], (e[:, i] * e[:, j]).sum(1))
    torch.testing.assert_close(pair_sum(e), products.sum(1))
    torch.testing.assert_close(bi_interaction(e).sum(1), products.sum(1))


def test_the_order_of_pairs_is_no_weight():
    assert not InnerProducts(4).state_dict()


def test_the_sum_over_pairs_is_differentiated_by_hand():
    torch.manual_seed(0)
    e = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pair_sum, (e,))
    assert pair_sum(e[:0]).shape == (0,)
