"""Feature gradients: planted fields first, whatever their number of values, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank import CodedRows, TableCounts, count, rank
from ctrsel.rank._one_hot import one_hot
from ctrsel.rank.feature_gradients import FeatureGradients
from ctrsel.records.feature_set import RESERVED
from ctrsel.testing.tables import sequence_table, tiny_table


def coded(columns: dict[str, np.ndarray], labels: np.ndarray) -> TableCounts:
    held = {n: (c + RESERVED).astype(np.uint32) for n, c in columns.items()}
    sizes = {n: int(c.max()) + 1 for n, c in held.items()}
    rows = CodedRows(columns=held, sizes=sizes, labels=labels, row=np.arange(len(labels)))
    return TableCounts(fields={}, rows=rows, seed=1)


def planted(*, rows: int = 6000, seed: int = 0) -> TableCounts:
    """Three fields with signal (2, 5 and 14 values), five without (2 to 2,000 values)."""
    rng = np.random.default_rng(seed)
    sizes = {
        "true2": 2,
        "true5": 5,
        "true14": 14,
        "noise2": 2,
        "noise5": 5,
        "noise14": 14,
        "noise90": 90,
        "noise2k": 2000,
    }
    columns = {n: rng.integers(0, k, rows) for n, k in sizes.items()}
    logit = -1.0 + sum(rng.normal(0, 0.7, sizes[n])[columns[n]] for n in ("true5", "true14")) + 0.8 * columns["true2"]
    return coded(columns, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.uint8))


def test_columns_are_standardised_and_rare_values_have_none():
    rng = np.random.default_rng(0)
    counts = coded({"a": rng.integers(0, 3, 500), "b": np.minimum(rng.geometric(0.2, 500), 40), "c": np.zeros(500, int)},
                   np.zeros(500, np.uint8))  # fmt: skip
    table = one_hot(counts.rows, np.arange(500), values=4)
    x = table.rows(np.arange(500))
    assert table.columns.tolist() == [3, 4, 1]
    assert x.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert x.std(axis=0)[:7] == pytest.approx(1, abs=1e-4)
    assert (x[:, 7] == 0).all()
    frequent = (counts.rows.columns["b"][:, None] == RESERVED + np.arange(1, 5)).any(axis=1).mean()
    assert table.covered == pytest.approx([1, frequent, 1])


def test_true_fields_come_first_whatever_their_number_of_values():
    ranking = FeatureGradients(steps=40, batch=600).score(planted())
    assert set(ranking.order[:3]) == {"true2", "true5", "true14"}
    frame = ranking.frame
    assert frame["inclusion"].to_numpy() == pytest.approx(1 / (1 + np.exp(-2 * frame["score"].to_numpy())))
    assert dict(zip(frame["field"], frame["columns"], strict=True))["noise2k"] == 16
    again = FeatureGradients(steps=40, batch=600).score(planted())
    assert again.digest == ranking.digest
    assert FeatureGradients(steps=40, batch=600).score(replace(planted(), seed=2)).digest != ranking.digest


def test_a_larger_penalty_includes_less():
    few, many = (
        FeatureGradients(steps=40, batch=600, penalty=p).score(planted()).frame["inclusion"].sum() for p in (4.0, 0.1)
    )
    assert few < many


def test_floats_and_lists():
    ranking = rank(tiny_table(rows=1500), [FeatureGradients(steps=30, batch=500)], seed=1)[0]
    assert set(ranking.order[:2]) == {"ad", "site"}
    assert any("explain" in n for n in ranking.notes)
    assert (
        "list of values" in rank(sequence_table(), [FeatureGradients(steps=5, batch=100)], seed=1)[0].refused["history"]
    )


def test_refusals():
    counts = count(tiny_table().without("test"))
    with pytest.raises(DataError, match="feature_gradients: counts fields together and needs the rows"):
        FeatureGradients().score(replace(counts, rows=None))
    with pytest.raises(DataError, match="needs training rows of both labels"):
        FeatureGradients().score(coded({"a": np.arange(50) % 2}, np.zeros(50, dtype=np.uint8)))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"order": 0}, "order: must be at least 1"),
        ({"values": 0}, "values: must be at least 1"),
        ({"steps": 0}, "steps: must be at least 1"),
        ({"batch": 2}, "batch: must be more rows than the order 2"),
        ({"penalty": 0.0}, "penalty: must be above 0"),
        ({"floor": 1.0}, "floor: must be between 0 and 1"),
    ],
)
def test_parameters(given, why):
    with pytest.raises(ConfigError, match=f"feature_gradients.{why}"):
        FeatureGradients(**given)
