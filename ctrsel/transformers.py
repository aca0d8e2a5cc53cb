"""A saved feature set as a step of a scikit-learn pipeline: raw rows in, kept columns out.

Reference: Buitinck et al., "API design for machine learning software: experiences from the scikit-learn project", 2013.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import polars as pl
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin

from ctrsel.api.feature_sets import load_feature_set
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.frames import read_frame

__all__ = ["FeatureSetTransformer"]


class FeatureSetTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Turn raw rows into the columns that a saved feature set keeps.

    Nothing is learned in `fit`: the decision is the folder's. A kept value has its text (of merged ones that of the most
    frequent), every other value "(other)", and a missing one is missing. A frame of pandas or polars comes out as one.

    Parameters:
        path: The folder of a feature set, or one that holds it: a run's, or one of ``ctrsel select --out``.
        output: "text", or "codes" for the numbers of the values in a net's tables (0 missing, 1 other), which a learner
            that takes categories as integers wants; lists have no codes.

    Attributes:
        feature_set_: The feature set (``ctrsel.load_feature_set``).

    Examples:
        >>> import tempfile
        >>> from ctrsel.records.feature_set import FeatureSet
        >>> from ctrsel.testing.tables import tiny_frame, tiny_table
        >>> encoder = tiny_table().encoder
        >>> keep = {"ad": encoder.vocabulary("ad").counts > 30}
        >>> features = FeatureSet.from_keep(keep, fields=("ad",), method="toy", params={}, encoder=encoder.digest)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     AppliedFeatureSet.of(features, encoder).save(Path(folder) / "feature_set")
        ...     made = FeatureSetTransformer(folder).fit_transform(tiny_frame(rows=3))
        >>> made.columns
        ['ad']
    """

    def __init__(self, path: str | Path, *, output: str = "text") -> None:
        self.path = path
        self.output = output

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Load the feature set.

        Raises:
            ConfigError: If `output` is neither of the two, or asks for codes of lists.
            DataError: If the folder holds no feature set that can be applied.
        """
        if self.output not in ("text", "codes"):
            raise ConfigError(f"output: must be 'text' or 'codes', got {self.output!r}")
        self.feature_set_ = load_feature_set(self.path)
        lists = [f.name for f in self.feature_set_.encoder.fields if f.is_list]
        if self.output == "codes" and lists:
            raise ConfigError(f"output: {lists[0]!r} holds a list in a row, which has no one code; use 'text'")
        return self

    def transform(self, X: Any) -> Any:
        """Return the kept columns.

        Args:
            X: A frame of pandas or polars whose columns have the names of the raw table; others are not read.

        Raises:
            DataError: If it is no frame, or a value cannot be read.
        """
        if not hasattr(self, "feature_set_"):
            self.fit()
        if not isinstance(X, pd.DataFrame | pl.DataFrame):
            raise DataError(f"X: must be a frame of pandas or polars, whose columns have names; got {type(X).__name__}")
        made = self.feature_set_.transform(X) if self.output == "text" else _codes(self.feature_set_, X)
        wanted = (
            getattr(self, "_sklearn_output_config", {}).get("transform") or sklearn.get_config()["transform_output"]
        )
        if wanted == "pandas" and isinstance(made, pl.DataFrame):
            return made.to_pandas()
        if wanted == "polars" and not isinstance(made, pl.DataFrame):
            return read_frame(made)
        return made

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the kept columns."""
        if not hasattr(self, "feature_set_"):
            self.fit()
        return np.array(self.feature_set_.encoder.schema.names, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True  # the folder says everything


def _codes(applied: AppliedFeatureSet, X: Any) -> Any:
    columns = applied.encoder.encode(read_frame(X)).columns
    made = {
        name: np.asarray(column).astype(np.float64 if np.asarray(column).dtype.kind == "f" else np.int64)
        for name, column in columns.items()
    }
    return pd.DataFrame(made, index=X.index) if isinstance(X, pd.DataFrame) else pl.DataFrame(made)
