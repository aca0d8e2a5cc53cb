"""What several tests of selection share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates.optfs import OptFS
from ctrsel.records.ranking import Ranking
from ctrsel.testing.tables import tiny_table
from ctrsel.train import Learner
from ctrsel.train.net import NetLearner


@dataclass(frozen=True, kw_only=True)
class Untouched(Learner):
    """A learner that must not be asked."""

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        raise AssertionError("this selector was not to train anything")


@pytest.fixture(scope="session")
def untouched() -> Learner:
    return Untouched()


@pytest.fixture(scope="session")
def small_net() -> NetLearner:
    return NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=64, learning_rate=5e-3, max_epochs=3)


@pytest.fixture(scope="session")
def quick_gate() -> OptFS:
    return OptFS(epochs=3)


@pytest.fixture(scope="session")
def tiny():
    return tiny_table(rows=600, seed=3)


@pytest.fixture(scope="session")
def random_table() -> Callable[[int], Table]:
    """Random small tables: plain, list, float, shared and constant fields, with missing rows."""
    return _random_table


@pytest.fixture(scope="session")
def ranking_of() -> Callable[..., Ranking]:
    """Rankings made of field names, best first."""
    return _ranking_of


def _random_table(seed: int) -> Table:
    """60 rows; the number of values and the share of missing rows vary by field."""
    rng = np.random.default_rng(seed)
    n = 60
    label = (np.arange(n) % 3 == 0).astype(np.int8)

    def texts(prefix: str, values: int, missing: float) -> list[str | None]:
        drawn = rng.integers(0, values, n) ** 2 // values
        return [None if rng.random() < missing else f"{prefix}{v}" for v in drawn]

    frame = pl.DataFrame(
        {
            "click": label,
            "a": texts("a", int(rng.integers(1, 9)), 0.0),
            "b": texts("b", int(rng.integers(2, 20)), 0.2),
            "c": texts("c", int(rng.integers(1, 5)), float(rng.choice([0.0, 0.5]))),
            "item": texts("i", 6, 0.0),
            "past": [[f"i{v}" for v in rng.integers(0, 8, rng.integers(0, 4))] for _ in range(n)],
            "tags": [[f"t{v}" for v in rng.integers(0, 4, rng.integers(0, 3))] for _ in range(n)],
            "same": ["x"] * n,
            "x": rng.normal(size=n),
        }
    )
    schema = SchemaConfig(
        label=LabelConfig(name="click"),
        fields={
            "past": FieldConfig(kind="sequence", vocabulary="item", max_length=4),
            "tags": FieldConfig(kind="multivalued"),
            "x": FieldConfig(kind="numeric", bucket="none"),
        },
    )
    return ingest(frame, schema=schema, seed=seed)


def _ranking_of(*fields: str, q: list[float | None] | None = None, method: str = "toy") -> Ranking:
    """Return a ranking with these fields, best first."""
    columns = {
        "field": list(fields),
        "score": [float(len(fields) - i) for i in range(len(fields))],
        "rank": list(range(1, len(fields) + 1)),
    }
    if q is not None:
        columns["q"] = q
    return Ranking(method=method, params={"use": method}, unit="points", null=None, frame=pl.DataFrame(columns))


@pytest.fixture(scope="session")
def planted_fields() -> Callable[..., Table]:
    """Tables of `good` fields that move the log-odds, each less than the one before, and `noise` fields that do not."""
    return _planted_fields


def _planted_fields(
    *, good: int = 3, noise: int = 5, rows: int = 3000, seed: int = 0, strength: float = 1.2, timed: bool = False
) -> Table:
    """Good fields have 4, 6, 8, ... values, noise fields 3, 8, 21, ...; fields stand in mixed order."""
    rng = np.random.default_rng(seed)
    logit, columns = np.full(rows, -0.5), {}
    for j in range(good):
        effect = np.linspace(-1, 1, 4 + 2 * j) * strength / (1 + 0.3 * j)
        codes = rng.integers(0, len(effect), rows)
        logit += rng.permutation(effect)[codes]
        columns[f"good{j}"] = [f"g{c}" for c in codes]
    for j in range(noise):
        columns[f"noise{j}"] = [f"n{c}" for c in rng.integers(0, (3, 8, 21, 5, 60)[j % 5], rows)]
    click = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    names = rng.permutation(list(columns))
    frame = pl.DataFrame({"click": click, **{str(n): columns[n] for n in names}})
    label = LabelConfig(name="click")
    if timed:
        frame = frame.with_columns(at=pl.int_range(rows))
        return ingest(frame, schema=SchemaConfig(label=label, time="at"), seed=1).without("test")
    return ingest(frame, schema=SchemaConfig(label=label), seed=1).without("test")
