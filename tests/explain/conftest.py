"""A model whose logit is any function of the fields, so that the truth of an explanation is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from math import factorial

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Ragged, Table
from ctrsel.models import Model
from ctrsel.models._contract import Predictor

Function = Callable[[Mapping[str, np.ndarray]], np.ndarray]


class Toy(Predictor):
    """Every code has a number per field (a list the sum of its codes' numbers); the logit is a function of them."""

    kind = "toy"

    def __init__(self, function: Function) -> None:
        self.function = function
        self.scored = 0

    def numbers(self, table: Table) -> dict[str, np.ndarray]:
        found = {}
        for j, (name, column) in enumerate(table.columns.items()):
            weights = generator(7, "toy", j).normal(size=4000)
            if isinstance(column, Ragged):
                total = np.concatenate([[0.0], np.cumsum(weights[column.codes])])
                found[name] = total[column.offsets[1:]] - total[column.offsets[:-1]]
            elif column.dtype.kind == "f":
                found[name] = np.nan_to_num(column.astype(np.float64), nan=-0.5)
            else:
                found[name] = weights[column]
        return found

    def logits(self, table: Table) -> np.ndarray:
        self.scored += table.n_rows
        return np.asarray(self.function(self.numbers(table)), dtype=np.float64)[:, None]

    def narrow(self, old, new, features):
        raise NotImplementedError

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder, encoder):
        raise NotImplementedError

    @property
    def n_parameters(self) -> int:
        return 0

    @property
    def digest(self) -> str:
        return "toy"


def shapley(model: Model, table: Table, rows: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Exact interventional Shapley values `[n, F]` by enumerating all sets of fields."""
    names = list(table.columns)
    n, f = len(rows), len(names)
    at, other = np.repeat(rows, len(behind)), np.tile(behind, n)

    def value(inside: frozenset[int]) -> np.ndarray:
        columns = {}
        for j, (name, column) in enumerate(table.columns.items()):
            picked = at if j in inside else other
            columns[name] = column.take(picked) if isinstance(column, Ragged) else column[picked]
        mixed = Table(encoder=table.encoder, columns=columns, labels=None, row=np.arange(len(at)))
        return model.logits(mixed)[:, 0].reshape(n, -1).mean(axis=1)

    values = {frozenset(s): value(frozenset(s)) for k in range(f + 1) for s in itertools.combinations(range(f), k)}
    out = np.zeros((n, f))
    for j in range(f):
        for s, v in values.items():
            if j not in s:
                weight = factorial(len(s)) * factorial(f - len(s) - 1) / factorial(f)
                out[:, j] += weight * (values[s | {j}] - v)
    return out


@pytest.fixture
def table() -> Table:
    """Six fields: four of codes, a float with missing values and a list."""
    rng = generator(3, "explain", "table")
    n = 300
    frame = pl.DataFrame(
        {
            "click": (rng.random(n) < 0.3).astype(np.int8),
            "a": rng.integers(0, 3, n),
            "b": rng.integers(0, 3, n),
            "c": rng.integers(0, 20, n),
            "d": [f"d{i}" for i in rng.integers(0, 5, n)],
            "x": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "tags": pl.Series(
                [[f"t{j}" for j in rng.integers(0, 3, rng.integers(0, 3))] for _ in range(n)], dtype=pl.List(pl.String)
            ),
        }
    )
    fields = {
        **{name: FieldConfig(kind="categorical") for name in "abcd"},
        "x": FieldConfig(kind="numeric", bucket="none"),
        "tags": FieldConfig(kind="multivalued"),
    }
    return ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click"), fields=fields), seed=1)


@pytest.fixture
def toy(table: Table) -> Callable[[Function], Model]:
    """Make a model of a function."""
    return lambda function: Model(encoder=table.encoder, predictor=Toy(function), offset=-0.25)


@pytest.fixture
def exact() -> Callable[[Model, Table, np.ndarray, np.ndarray], np.ndarray]:
    """The enumeration."""
    return shapley
