"""The selector among scikit-learn's own checks, in its pipelines, and on columns of all kinds."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks

from ctrsel import FieldSelector, ingest, rank_fields
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.data.synthetic import peers_table
from ctrsel.rank.g_test import GTest
from ctrsel.testing.tables import tiny_frame

FRAME = tiny_frame(rows=2_000)
X, Y = FRAME.drop("click"), FRAME["click"]
FORMS = {"polars": X, "pandas": X.to_pandas(), "numpy": X.to_pandas().to_numpy(), "polars objects": X.to_numpy()}


@pytest.mark.filterwarnings("default")  # the checks fit noise, of which nothing is selected, with a warning
@parametrize_with_checks(
    [
        FieldSelector(),
        FieldSelector(k=1, max_q=None),
        FieldSelector({"use": "g_test"}, k=0.5),
        FieldSelector("jmi", k=2),
    ]
)
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_columns_gives_the_same_choice(form):
    selector = FieldSelector().fit(FORMS[form], Y)
    assert selector.get_support(indices=True).tolist() == [0, 1, 4]
    out = selector.transform(FORMS[form])
    assert type(out) is type(FORMS[form])
    assert out.shape == (2_000, 3)
    assert selector.ranking_.order[:2] == (("ad", "site") if form in ("polars", "pandas") else ("x1", "x0"))


def test_frames_keep_their_types_and_names():
    out = FieldSelector().fit_transform(X, Y)
    assert out.equals(X.select("site", "ad", "hour"))
    out = FieldSelector().fit_transform(X.to_pandas(), Y)
    pd.testing.assert_frame_equal(out, X.to_pandas()[["site", "ad", "hour"]])


@pytest.mark.parametrize(("wanted", "kind"), [("polars", pl.DataFrame), ("pandas", pd.DataFrame)])
@pytest.mark.parametrize("form", FORMS)
def test_set_output(form, wanted, kind):
    names = ["site", "ad", "hour"] if form in ("polars", "pandas") else ["x0", "x1", "x4"]
    out = FieldSelector().set_output(transform=wanted).fit(FORMS[form], Y).transform(FORMS[form])
    assert isinstance(out, kind)
    assert list(out.columns) == names
    if wanted == "polars":
        assert out.dtypes[0] == pl.String
        assert out[names[0]].null_count() == X["site"].null_count()
    with sklearn.config_context(transform_output=wanted):
        assert isinstance(FieldSelector().fit_transform(FORMS[form], Y), kind)


def test_scores_are_those_of_the_ranker():
    table = ingest({"train": FRAME, "valid": FRAME, "test": FRAME}, label="click")
    ranking = rank_fields(table, by="g_test")
    selector = FieldSelector(GTest()).fit(X, Y)
    for name in ("site", "ad", "noise", "id"):  # columns of texts are counted the same way in both
        assert selector.scores_[X.columns.index(name)] == pytest.approx(ranking.score(name), rel=1e-9)


def test_k_and_max_q():
    assert FieldSelector(k=1).fit(X, Y).get_feature_names_out().tolist() == ["ad"]
    assert FieldSelector(k=5).fit(X, Y).get_support().sum() == 3  # no more than pass max_q
    assert FieldSelector(k=5, max_q=None).fit(X, Y).get_support().sum() == 5
    assert FieldSelector(k=1.0, max_q=None).fit(X, Y).get_support().all()
    assert FieldSelector(k=0.5, max_q=None).fit(X, Y).get_support().sum() == 3
    assert FieldSelector("jmi", k=2).fit(X, Y).get_feature_names_out().tolist() == ["site", "ad"]


def test_nothing_is_selected_with_a_warning():
    selector = FieldSelector().fit(X.select("noise", "id"), Y)
    with pytest.warns(UserWarning, match="No features were selected"):
        assert selector.transform(X.select("noise", "id")).shape[1] == 0
    with pytest.warns(UserWarning, match="No features were selected"):
        assert FieldSelector().fit(FORMS["numpy"][:, 2:4], Y).transform(FORMS["numpy"][:, 2:4]).shape == (2_000, 0)


def test_in_a_pipeline_and_a_search():
    pipeline = make_pipeline(
        FieldSelector(max_q=None, k=3), OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=500)
    )
    search = GridSearchCV(pipeline, {"fieldselector__k": [1, 2]}, cv=3, scoring="roc_auc")
    for form in ("polars", "pandas", "numpy"):
        found = search.fit(FORMS[form], Y)
        assert found.best_params_ == {"fieldselector__k": 2}
        assert found.best_score_ > 0.7
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(FORMS["numpy"]), found.predict(FORMS["numpy"]))


def test_clones_have_the_parameters_and_nothing_else():
    selector = FieldSelector(GTest(), k=2, categorical=["noise"], bins=8, random_state=3).fit(X, Y)
    made = clone(selector)
    assert made.get_params() == selector.get_params()
    assert not hasattr(made, "ranking_")


def test_labels_may_be_texts():
    words = np.where(Y.to_numpy() == 1, "yes", "no")
    selector = FieldSelector().fit(X, words)
    assert selector.classes_.tolist() == ["no", "yes"]
    assert selector.ranking_.digest == FieldSelector().fit(X, Y).ranking_.digest


def test_whole_weights_repeat_rows_and_others_need_a_ranker_that_takes_them():
    rng = generator(1, "weights")
    whole = rng.integers(0, 3, 2_000)
    rows = np.repeat(np.arange(2_000), whole)
    one = FieldSelector("jmi", k=2).fit(X, Y, sample_weight=whole)
    two = FieldSelector("jmi", k=2).fit(X[rows], Y.gather(rows))
    np.testing.assert_allclose(one.scores_, two.scores_)
    weighted = FieldSelector().fit(X, Y, sample_weight=rng.random(2_000))
    assert {"site", "ad"} <= set(weighted.get_feature_names_out())
    with pytest.raises(DataError, match="sample_weight: 'jmi' has no null for weighted rows"):
        FieldSelector("jmi", k=2).fit(X, Y, sample_weight=rng.random(2_000))


def test_numbers_that_are_names():
    rng = generator(2, "names")
    ids = rng.integers(0, 300, 4_000)
    label = (rng.random(4_000) < np.where(ids % 2, 0.6, 0.3)).astype(int)
    columns = pd.DataFrame({"id": ids, "other": rng.integers(0, 300, 4_000)})
    assert FieldSelector().fit(columns, label).get_support().sum() == 0  # neighbours have nothing in common
    for said in (["id"], [0], [True, False], np.array([True, False]), [-2]):
        found = FieldSelector(categorical=said).fit(columns, label)
        assert found.get_feature_names_out().tolist() == ["id"]


def test_the_planted_fields_are_selected():
    planted = peers_table(rows=20_000, seed=3)
    frame = planted.frame()
    selector = FieldSelector().fit(frame.drop("label"), frame["label"])
    found = set(selector.get_feature_names_out())
    assert len(found - set(planted.truth.named())) <= 1
    assert {"s_2", "s_10", "s_100", "r_100", "w_10"} <= found


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"ranker": "mutual_info"}, "unknown ranker 'mutual_info'; did you mean 'mutual_information'"),
        ({"ranker": "boosted_gain"}, "ranker: 'boosted_gain' trains a model"),
        ({"ranker": "value_log_odds"}, "ranks items of kind 'value'; take a ranker of fields"),
        ({"k": 0.0}, r"k: must be a whole number of columns, a share in \(0, 1\] or None, got 0.0"),
        ({"k": -1}, "k: must be a whole number"),
        ({"k": True}, "k: must be a whole number"),
        ({"max_q": 2}, r"max_q: must be in \(0, 1\] or None, got 2"),
        ({"bins": 1}, "bins: must be a whole number of at least 2"),
        ({"ranker": "jmi"}, "k: say how many columns are kept; 'jmi' is asked for no q-values"),
        ({"max_q": None}, "k: say how many columns are kept"),
        ({"categorical": ["sites"]}, "categorical: unknown column 'sites'; did you mean 'site'"),
        ({"categorical": [17]}, "categorical: unknown column '17'"),
        ({"categorical": [True]}, "categorical: a mask has one entry a column, got 1 for 6"),
    ],
)
def test_parameters_are_checked_when_it_is_fitted(how, message):
    with pytest.raises(ConfigError, match=message):
        FieldSelector(**how).fit(X, Y)


def test_labels_and_columns_are_checked():
    with pytest.raises(
        ValueError, match=r"Only binary classification is supported. The type of the target is multiclass"
    ):
        FieldSelector().fit(X, np.arange(2_000) % 3)
    with pytest.raises(ValueError, match="The type of the target is continuous"):
        FieldSelector().fit(X, np.linspace(0, 1, 2_000))
    with pytest.raises(ValueError, match="y must have two classes to rank columns by, got 1 class"):
        FieldSelector().fit(X, np.zeros(2_000))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        FieldSelector().fit(X, Y[:10])
    with pytest.raises(ValueError, match="0 sample"):
        FieldSelector().fit(X[:0], Y[:0])
    with pytest.raises(DataError, match="column 'tags': a cell must be a text"):
        FieldSelector().fit(pl.DataFrame({"tags": [["a"], ["b"]]}), [0, 1])
    with pytest.raises(ValueError, match="feature names"):
        FieldSelector().fit(X, Y).transform(X.rename({"ad": "advert"}))
    with pytest.raises(ValueError, match="column names"):
        FieldSelector().fit(pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), [0, 1])
