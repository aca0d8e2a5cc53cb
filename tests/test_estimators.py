"""The selector among scikit-learn's own checks."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from ctrsel import FieldSelector


@pytest.mark.filterwarnings("default")  # the checks fit noise, of which nothing is selected, with a warning
@parametrize_with_checks([FieldSelector(), FieldSelector(k=1, max_q=None), FieldSelector({"use": "g_test"}, k=0.5)])
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)
