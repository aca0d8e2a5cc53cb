from __future__ import annotations

import pytest

from ctrsel.stats.size_curve import area_under_size_curve

# Published test AUC of DeepFM on Avazu by fields kept (Jia et al. 2024, their file "chi2&MI results"), and the areas that
# follow from them by hand.
SIZES = [5, 10, 15, 17, 19, 21]
CHI2 = [0.75727, 0.77858, 0.78546, 0.78609, 0.78611, 0.78598]
INFORMATION = [0.70763, 0.75739, 0.76537, 0.76976, 0.78418, 0.78552]


def test_chance_is_0_and_perfection_is_1():
    assert area_under_size_curve(SIZES, [0.5] * 6) == 0
    assert area_under_size_curve(SIZES, [1.0] * 6) == 1


def test_published_curves():
    assert area_under_size_curve(SIZES, CHI2) == pytest.approx(0.5582, abs=5e-5)
    assert area_under_size_curve(SIZES, INFORMATION) == pytest.approx(0.5160, abs=5e-5)


@pytest.mark.parametrize(("sizes", "aucs"), [([1], [0.5]), ([2, 2], [0.5, 0.6]), ([1, 2], [0.5])])
def test_refuses(sizes, aucs):
    with pytest.raises(ValueError, match="two or more that rise"):
        area_under_size_curve(sizes, aucs)
