"""Numbers of parameters in the published training logs (BARS, Zhu et al., 2022), to the unit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from ctrsel.models.backbones.dcn import DCN
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.backbones.dnn import DNN
from ctrsel.models.backbones.fm import FM
from ctrsel.models.backbones.fwfm import FwFM
from ctrsel.models.backbones.ipnn import IPNN
from ctrsel.models.backbones.lr import LR
from ctrsel.models.backbones.wide_deep import WideDeep
from ctrsel.models.embedded import InputShape


@dataclass(frozen=True)
class Data:
    """Embedding rows, fields, width; a field that stays a float has a vector and a weight, as a row has."""

    rows: int
    fields: int
    width: int


FRAPPE = Data(5_389, 10, 10)
MOVIELENS = Data(90_239, 3, 10)
CRITEO_X1 = Data(2_086_303 + 13, 39, 10)
CRITEO_X4 = Data(910_708, 39, 16)
AVAZU_X1 = Data(1_298_599, 22, 10)
AVAZU_X4 = Data(3_750_975, 24, 16)
KKBOX = Data(92_247, 13, 128)

THREE = {"hidden": (400, 400, 400)}
NORMED = {**THREE, "batch_norm": True}
PLAIN = {**THREE, "batch_norm": False}

PUBLISHED = [
    (LR(), FRAPPE, 5_390),
    (LR(), MOVIELENS, 90_240),
    (LR(), CRITEO_X1, 2_086_317),
    (LR(), CRITEO_X4, 910_709),
    (LR(), AVAZU_X1, 1_298_600),
    (FM(), FRAPPE, 59_280),
    (FM(), MOVIELENS, 992_630),
    (FM(), CRITEO_X1, 22_949_477),
    (FM(), CRITEO_X4, 15_482_037),
    (FM(), AVAZU_X1, 14_284_590),
    (FM(), AVAZU_X4, 63_766_576),
    (FM(), KKBOX, 11_899_864),
    (FwFM(first_order="value_vectors"), FRAPPE, 107_826),
    (FwFM(first_order="value_vectors"), MOVIELENS, 1_804_784),
    (FwFM(first_order="value_vectors"), CRITEO_X1, 41_727_062),
    (FwFM(first_order="value_vectors"), AVAZU_X1, 25_972_212),
    (FwFM(first_order="weights"), CRITEO_X4, 15_482_778),
    (FwFM(first_order="field_vectors"), KKBOX, 11_809_359),
    (DNN(**PLAIN), AVAZU_X1, 13_395_591),
    (DNN(hidden=(1000,) * 4, batch_norm=False), KKBOX, 16_476_617),
    (WideDeep(**NORMED), FRAPPE, 423_280),
    (WideDeep(**NORMED), MOVIELENS, 1_328_630),
    (WideDeep(**NORMED), CRITEO_X1, 23_429_477),
    (WideDeep(**NORMED), AVAZU_X1, 14_696_590),
    (WideDeep(hidden=(2000,) * 4, batch_norm=False), AVAZU_X4, 76_544_576),
    (WideDeep(hidden=(1000,) * 3, batch_norm=False), KKBOX, 15_567_864),
    (DeepFM(**NORMED), FRAPPE, 423_280),
    (DeepFM(**NORMED), MOVIELENS, 1_328_630),
    (DeepFM(**NORMED), CRITEO_X1, 23_429_477),
    (DeepFM(**NORMED), AVAZU_X1, 14_696_590),
    (DeepFM(hidden=(2000,) * 4, batch_norm=False), AVAZU_X4, 76_544_576),
    (IPNN(**PLAIN), FRAPPE, 433_491),
    (IPNN(**PLAIN), MOVIELENS, 1_237_191),
    (IPNN(**NORMED), CRITEO_X1, 21_639_561),
    (IPNN(**PLAIN), AVAZU_X1, 13_487_991),
    (IPNN(hidden=(1000,) * 3, batch_norm=False), AVAZU_X4, 62_679_601),
    (IPNN(hidden=(2000,) * 2, batch_norm=False), KKBOX, 19_297_617),
    (DCN(cross_layers=3, **NORMED), FRAPPE, 418_591),
    (DCN(cross_layers=4, **NORMED), MOVIELENS, 1_238_661),
    (DCN(cross_layers=3, **PLAIN), CRITEO_X1, 21_343_491),
    (DCN(cross_layers=3, **PLAIN), AVAZU_X1, 13_397_131),
    (DCN(cross_layers=4, hidden=(5000,) * 2, batch_norm=False), KKBOX, 45_157_593),
    (DCN(cross_layers=6, hidden=()), FRAPPE, 55_191),
    (DCN(cross_layers=7, hidden=()), MOVIELENS, 902_841),
    (DCN(cross_layers=12, hidden=()), CRITEO_X1, 20_872_911),
    (DCN(cross_layers=8, hidden=()), CRITEO_X4, 14_581_937),
    (DCN(cross_layers=5, hidden=()), AVAZU_X1, 12_988_411),
    (DCN(cross_layers=6, hidden=()), KKBOX, 11_829_249),
]

# The count of these logs, less the table, is exactly two perceptrons.
COUNTED_TWICE = [
    (DNN(**NORMED), FRAPPE, 781_892),
    (DNN(**NORMED), MOVIELENS, 1_574_392),
    (DNN(**PLAIN), CRITEO_X1, 21_818_362),
]


def counts(backbone, data):
    """Return the parameters of the table and of the backbone."""
    width = backbone.row_width(data.width, labels=1)
    shape = InputShape(fields=tuple(f"f{i}" for i in range(data.fields)), width=width)
    with torch.device("meta"):  # shapes without numbers
        module = backbone.build(shape)
    table = data.rows * (width + ("first_order" in backbone.lookups))
    return table, sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("backbone", "data", "published"), PUBLISHED, ids=lambda v: f"{type(v).__name__}{v}"[:40])
def test_parameters_are_those_of_the_published_log(backbone, data, published):
    assert sum(counts(backbone, data)) == published


@pytest.mark.parametrize(("backbone", "data", "published"), COUNTED_TWICE)
def test_logs_that_count_the_perceptron_twice(backbone, data, published):
    table, network = counts(backbone, data)
    assert table + 2 * network == published
