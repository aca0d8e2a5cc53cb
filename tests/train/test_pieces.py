from __future__ import annotations

import subprocess
import sys

import torch

from ctrsel.models.backbones.autoint_plus import AutoIntPlus
from ctrsel.models.embedded import InputShape
from ctrsel.train.attention_layers import interacted
from ctrsel.train.hidden_layers import hidden
from ctrsel.train.pieces import in_pieces


def test_all_layers_that_can_be_taken_in_one_piece_are_found():
    net = AutoIntPlus(layers=2, attention_width=8, heads=2, hidden=(5,)).build(InputShape(fields=("a", "b"), width=3))
    assert net.attention.piece is None
    assert net.mlp.piece is None
    assert in_pieces(net) is net
    assert net.attention.piece is interacted
    assert net.mlp.piece is hidden


def test_weights_have_the_same_names_and_evaluation_is_the_same():
    plain = AutoIntPlus(layers=2, attention_width=8, heads=2, hidden=(5,)).build(InputShape(fields=("a", "b"), width=3))
    names, x = list(plain.state_dict()), torch.randn(7, 2, 3)
    before = plain.eval().attention.read(plain.out, x)
    assert list(in_pieces(plain).state_dict()) == names
    assert torch.equal(plain.attention.read(plain.out, x), before)


def test_a_net_is_built_and_scored_without_a_compiler():
    code = (
        "import sys, torch; from ctrsel.models.backbones import CATALOG;"
        "from ctrsel.models.embedded import InputShape;"
        "[CATALOG.create(n) for n in CATALOG.names()]; print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
