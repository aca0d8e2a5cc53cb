"""scikit-learn's way to select: fit on columns and labels, transform to the columns that are worth keeping.

Reference: Buitinck et al., "API design for machine learning software: experiences from the scikit-learn project", 2013.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import polars as pl
import sklearn
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.data.column_codes import column_codes
from ctrsel.rank import CATALOG, CodedRows, CountRanker, FieldCounts, Ranker, TableCounts
from ctrsel.stats.counts import label_counts, weighted_label_counts

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from ctrsel.records.ranking import Ranking

__all__ = ["FieldSelector"]


class FieldSelector(SelectorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Keep the columns that tell something about a binary label, by one of the package's rankers.

    Columns may be numbers, texts, categories, booleans and times, and may have missing cells, which are a value of their
    own. Columns of numbers are ranked in quantile buckets; what is kept is kept as it came. Nothing has to be encoded
    first, and a column of many values is not preferred to one of few.

    A frame of pandas or polars comes out as one, with its dtypes; an array as an array. ``set_output`` turns the one into
    the other.

    Parameters:
        ranker: A count ranker of fields: its name, ``{"use": name, ...parameters}``, or the object.
        k: How many columns are kept at most, or their share if it is a float; None for all that pass `max_q`.
        max_q: Columns with a larger q-value (false-discovery rate) are dropped; None to ask no such thing. A ranker
            without q-values needs `k`.
        categorical: Columns of numbers whose numbers are names (ids, codes): names or places of columns, or a mask;
            None for those of at most 20 different numbers.
        bins: Buckets of the other columns of numbers.
        random_state: Of a ranker that draws.

    Attributes:
        ranking_: The ranking, with its evidence (``ranking_.frame``).
        scores_: The ranker's score by column, NaN where it was refused, float64 `[F]`.
        classes_: The two labels; the second one is the positive one.
        n_features_in_: F.
        feature_names_in_: Names of the columns, if they are texts.

    Examples:
        >>> from ctrsel.testing.tables import tiny_frame
        >>> frame = tiny_frame(rows=2000)
        >>> selector = FieldSelector().fit(frame.drop("click"), frame["click"])
        >>> selector.get_feature_names_out().tolist()
        ['site', 'ad', 'hour']
    """

    def __init__(
        self,
        ranker: str | Ranker | Mapping[str, Any] = "mutual_information",
        *,
        k: int | float | None = None,
        max_q: float | None = 0.05,
        categorical: Sequence[Any] | None = None,
        bins: int = 32,
        random_state: Any = 0,
    ) -> None:
        self.ranker = ranker
        self.k = k
        self.max_q = max_q
        self.categorical = categorical
        self.bins = bins
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Rank the columns and decide which are kept.

        Args:
            X: A numpy array, or a frame of pandas or polars `[N, F]`.
            y: Labels of two classes `[N]`.
            sample_weight: Weights of the rows `[N]`. Whole numbers say how often a row stands there. Others need a ranker
                that takes weights.

        Raises:
            ValueError: If labels or shapes are wrong.
            ConfigError: If a parameter is.
            DataError: If the ranker has no use for weights, or a cell cannot be compared.
        """
        ranker = self._ranker()
        if _is_frame(X):
            validate_data(self, X, y, skip_check_array=True)
            check_consistent_length(X, y)
            if len(X) == 0:
                raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required.")
        else:
            X, y = validate_data(self, X, y, dtype=None, ensure_all_finite=False)
        labels = self._labels(y)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        counts = self._counts(X, labels, weight=weight, ranker=ranker)
        self.ranking_: Ranking = ranker.score(counts)
        names = list(counts.fields)
        score = dict(zip(self.ranking_.frame["field"], self.ranking_.frame["score"], strict=True))
        self.scores_ = np.array([score.get(n, np.nan) for n in names], dtype=np.float64)
        kept = set(self._chosen(self.ranking_, len(names)))
        self._kept = np.array([n in kept for n in names], dtype=bool)
        return self

    def transform(self, X: Any) -> Any:
        """Return the kept columns, in their order.

        Args:
            X: Rows with the same columns as in `fit`.
        """
        check_is_fitted(self)
        if _is_frame(X):
            validate_data(self, X, reset=False, skip_check_array=True)
        else:
            X = validate_data(self, X, dtype=None, ensure_all_finite=False, reset=False)
        if not self._kept.any():
            warnings.warn("No features were selected: no column passes max_q, or k is 0.", UserWarning, stacklevel=2)
        kept = X.loc[:, self._kept] if isinstance(X, pd.DataFrame) else X[:, self._kept]
        wanted = (
            getattr(self, "_sklearn_output_config", {}).get("transform") or sklearn.get_config()["transform_output"]
        )
        if wanted == "pandas" and isinstance(kept, pl.DataFrame):
            return kept.to_pandas()
        if wanted == "polars" and not isinstance(kept, pl.DataFrame):
            # scikit-learn would make a column of objects of texts with missing ones among them.
            made = pd.DataFrame(kept, columns=self.get_feature_names_out()) if isinstance(kept, np.ndarray) else kept
            return pl.from_pandas(made.infer_objects())
        return kept

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self._kept

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False)
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "int64", "int32"]
        return tags

    def _ranker(self) -> CountRanker:
        """Return the ranker, and check the parameters that go with it."""
        ranker = self.ranker if isinstance(self.ranker, Ranker) else CATALOG.create(self.ranker, place="ranker")
        if not isinstance(ranker, CountRanker):
            raise ConfigError(
                f"ranker: {describe(ranker)['use']!r} trains a model on a table; take one that counts, or use "
                "ctrsel.rank_fields"
            )
        k, max_q, bins = (_number(v) for v in (self.k, self.max_q, self.bins))
        fits = k is None or (isinstance(k, int) and k >= 0) or (isinstance(k, float) and 0 < k <= 1)
        if not fits:
            raise ConfigError(f"k: must be a whole number of columns, a share in (0, 1] or None, got {self.k!r}")
        if not (max_q is None or (isinstance(max_q, int | float) and 0 < max_q <= 1)):
            raise ConfigError(f"max_q: must be in (0, 1] or None, got {self.max_q!r}")
        if not (isinstance(bins, int) and bins >= 2):
            raise ConfigError(f"bins: must be a whole number of at least 2, got {self.bins!r}")
        return ranker

    def _labels(self, y: Any) -> np.ndarray:
        """Return 1 for the second class in sorted order, 0 for the first."""
        y = column_or_1d(y, warn=True)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have two classes to rank columns by, got 1 class: {self.classes_.tolist()}")
        return labels.astype(np.uint8)

    def _counts(
        self,
        X: Any,
        labels: np.ndarray,
        *,
        weight: np.ndarray | None,
        ranker: CountRanker,
    ) -> TableCounts:
        names = self._names()
        seed = _number(self.random_state)
        if not isinstance(seed, int):
            seed = int(check_random_state(seed).randint(2**31))
        rows: np.ndarray | None = None
        if weight is not None:
            if np.array_equal(weight, np.rint(weight)):
                rows, weight = np.repeat(np.arange(len(labels)), weight.astype(np.int64)), None
                labels = labels[rows]
            elif not ranker.weighted:
                raise DataError(
                    f"sample_weight: {describe(ranker)['use']!r} has no null for weighted rows; pass whole numbers, which "
                    "count rows several times, or take a ranker that takes weights"
                )
        mask = self._categorical(names)
        fields, columns = {}, {}
        for i, name in enumerate(names):
            column = _column(X, i)
            if rows is not None:
                column = column.iloc[rows] if isinstance(column, pd.Series) else column[rows]
            codes = column_codes(column, categorical=mask[i], bins=int(self.bins), place=f"column {name!r}")
            size = int(codes.max(initial=0)) + 1
            train = label_counts(codes, labels, size=size)
            weighted = None if weight is None else weighted_label_counts(codes, labels, size=size, weight=weight)
            fields[name] = FieldCounts(train=train, weighted_train=weighted)
            if ranker.needs == "rows" or weight is not None:
                columns[name] = codes
        coded = None
        if columns:
            sizes = {name: len(c.train.totals) for name, c in fields.items()}
            place = np.arange(len(labels), dtype=np.int64)
            coded = CodedRows(columns=columns, sizes=sizes, labels=labels, row=place, weight=weight)
        return TableCounts(fields=fields, rows=coded, seed=seed)

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return [f"x{i}" for i in range(self.n_features_in_)]
        found = [str(n) for n in names]
        twice = sorted({n for n in found if found.count(n) > 1})
        if twice:
            raise ValueError(f"X: column names must differ, got {twice[0]!r} more than once")
        return found

    def _categorical(self, names: list[str]) -> list[bool | None]:
        """Return per column whether its numbers are names; None where that goes by how many there are."""
        given = [] if self.categorical is None else list(self.categorical)
        if given and all(isinstance(g, bool | np.bool_) for g in given):
            if len(given) != len(names):
                raise ConfigError(
                    f"categorical: a mask has one entry a column, got {len(given)} for {len(names)} columns"
                )
            return [bool(g) for g in given]
        mask: list[bool | None] = [None] * len(names)
        for g in map(_number, given):
            if isinstance(g, int) and -len(names) <= g < len(names):
                mask[g] = True
            elif str(g) in names:
                mask[names.index(str(g))] = True
            else:
                raise unknown_name("column", str(g), names, place="categorical")
        return mask

    def _chosen(self, ranking: Ranking, columns: int) -> list[str]:
        if ranking.item != "field":
            raise ConfigError(
                f"ranker: {ranking.method!r} ranks items of kind {ranking.item!r}; take a ranker of fields"
            )
        order = list(ranking.order)
        tested = "q" in ranking.frame.columns
        if self.max_q is not None and tested:
            # A q-value that is absent or no number says nothing against a column.
            q = dict(zip(ranking.frame["field"], ranking.frame["q"], strict=True))
            order = [n for n in order if q[n] is None or not q[n] > self.max_q]
        if self.k is None:
            if not tested or self.max_q is None:
                raise ConfigError(
                    f"k: say how many columns are kept; {ranking.method!r} is asked for no q-values to go by"
                )
            return order
        k = _number(self.k)
        return order[: k if isinstance(k, int) else max(round(k * columns), 1)]


def _number(value: Any) -> Any:
    """Return a number of numpy as Python's; True and False are none."""
    if isinstance(value, np.integer | np.floating):
        return value.item()
    return repr(value) if isinstance(value, bool) else value


def _is_frame(X: Any) -> bool:
    return isinstance(X, pd.DataFrame | pl.DataFrame)


def _column(X: Any, place: int) -> Any:
    if isinstance(X, pl.DataFrame):
        return X.to_series(place)
    return X.iloc[:, place] if isinstance(X, pd.DataFrame) else X[:, place]
