from __future__ import annotations

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.dcn import DCN
from ctrsel.models.backbones.dnn import DNN
from ctrsel.models.backbones.ipnn import IPNN
from ctrsel.models.backbones.wide_deep import WideDeep
from ctrsel.models.embedded import Embedded, InputShape


def shape(fields=4, width=3, labels=1):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width, labels=labels)


def run(module, main, first=None):
    return module(Embedded(main=main, first_order=first, floats=torch.zeros(len(main), 0))).logits


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_the_cross_network_is_its_formula_forward_and_backward(layers):
    torch.manual_seed(0)
    module = DCN(cross_layers=layers, hidden=()).build(shape(labels=2)).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    main = torch.randn(7, 4, 3, dtype=torch.float64, requires_grad=True)
    x0 = main.flatten(1)
    x = x0
    for weight, bias in zip(module.cross_weight, module.cross_bias, strict=True):
        x = x0 * (x @ weight)[:, None] + bias + x
    formula = x @ module.readout.t() + module.bias
    ours = run(module, main)
    torch.testing.assert_close(ours, formula)
    wanted = [main, *module.parameters()]
    for a, b in zip(
        torch.autograd.grad((ours**2).sum(), wanted), torch.autograd.grad((formula**2).sum(), wanted), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_dcn_reads_cross_network_and_perceptron_out_together():
    torch.manual_seed(0)
    module = DCN(cross_layers=2, hidden=(5,), batch_norm=False, dropout=0.0).build(shape())
    main = torch.randn(6, 4, 3)
    hidden = torch.relu(module.mlp[0](main.flatten(1)))
    both = torch.cat([module.readout, module.mlp[-1].weight], 1)
    x0 = x = main.flatten(1)
    for weight, bias in zip(module.cross_weight, module.cross_bias, strict=True):
        x = x0 * (x @ weight)[:, None] + bias + x
    torch.testing.assert_close(run(module, main), torch.cat([x, hidden], 1) @ both.t() + module.mlp[-1].bias)


def test_dcns_readout_is_drawn_as_one_layer():
    torch.manual_seed(0)
    module = DCN(hidden=(300,)).build(shape(fields=20, width=10))
    wanted = (2 / (200 + 300 + 1)) ** 0.5
    for part in (module.readout, module.mlp[-1].weight):
        assert float(part.detach().std()) == pytest.approx(wanted, rel=0.2)


def test_ipnn_gives_the_perceptron_rows_and_products():
    torch.manual_seed(0)
    module = IPNN(hidden=()).build(shape(fields=3, width=2))
    main = torch.randn(5, 3, 2)
    products = torch.stack([(main[:, i] * main[:, j]).sum(1) for i, j in ((0, 1), (0, 2), (1, 2))], 1)
    wanted = torch.cat([main.flatten(1), products], 1) @ module.mlp[0].weight.t() + module.mlp[0].bias
    torch.testing.assert_close(run(module, main), wanted)


def test_wide_and_deep_is_the_perceptron_and_first_order():
    torch.manual_seed(0)
    wide = WideDeep(hidden=(4,), batch_norm=False, dropout=0.0).build(shape(labels=2))
    deep = DNN(hidden=(4,), batch_norm=False, dropout=0.0).build(shape(labels=2))
    deep.load_state_dict(wide.state_dict())
    main, first = torch.randn(5, 4, 3), torch.randn(5, 4, 1)
    torch.testing.assert_close(run(wide, main, first), run(deep, main) + first.sum(1))


def test_a_dcn_without_cross_layers_is_refused():
    with pytest.raises(ConfigError, match=r"dcn\.cross_layers"):
        DCN(cross_layers=0)
