"""Small nets for tests of optimisers."""

from __future__ import annotations

import pytest
import torch

from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.embedding import Inputs
from ctrsel.models.layout import Layout
from ctrsel.models.network import Net


class Small:
    """Two fields of one vocabulary each, one list field's vocabulary shared by a second table size; codes by hand."""

    V = 24
    B = 16

    @classmethod
    def layout(cls, *, floats=()):
        return Layout(
            total_codes=cls.V,
            code_fields=("a", "b", "c"),
            pooled=(("tags", 16),),
            floats=floats,
            histories=(),
            targets=(),
            starts=(0, 8, 16),
        )

    @classmethod
    def net(cls, *, sparse, width=5, seed=0, floats=("x",), scale=0.3, dtype=torch.float32):
        torch.manual_seed(seed)
        backbone = DeepFM(hidden=(8,), batch_norm=False, dropout=0.0)
        net = Net(backbone, cls.layout(floats=floats), width=width, labels=1, sparse=sparse)
        with torch.no_grad():
            for p in net.embedding.parameters():
                p.normal_(std=scale)
            net.embedding.zero_rows(net.embedding.hidden)
        return net.to(dtype)

    @classmethod
    def batch(cls, seed, *, every_row=False, floats=1, dtype=torch.float32):
        g = torch.Generator().manual_seed(seed)
        rows = cls.B
        codes = torch.randint(0, 8, (rows, 3), generator=g) + torch.tensor([0, 8, 16])
        lengths = torch.randint(0, 4, (rows,), generator=g)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        tags = torch.randint(16, 24, (int(offsets[-1]),), generator=g)
        if every_row:
            codes[:8] = torch.arange(8)[:, None] + torch.tensor([0, 8, 16])
        x = torch.randn(rows, floats, generator=g).to(dtype)
        labels = torch.randint(0, 2, (rows, 1), generator=g).to(dtype)
        return Inputs(codes, x, {"tags": (offsets, tags)}), labels

    @staticmethod
    def loss(net, batch):
        inputs, labels = batch
        return torch.nn.functional.binary_cross_entropy_with_logits(net(inputs).logits, labels)


@pytest.fixture
def small():
    return Small
