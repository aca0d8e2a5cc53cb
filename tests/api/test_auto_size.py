from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

import ctrsel
from ctrsel.api.auto_size import AutoSelection, auto_select, grid
from ctrsel.core.errors import ConfigError
from ctrsel.models.model import Model
from ctrsel.records.feature_set import RESERVED
from ctrsel.select import Found, Problem, Selector, Size
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.gated import Gated
from ctrsel.select.scored import ScoredFields, ScoredValues
from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner

TREES = BoostedLearner(rounds=60, leaves=8, min_rows=5, threads=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowing(Selector):
    """Puts the values of the fields that were planted first, those of noise last."""

    units = ("values", "fields")

    def search(self, problem, *, sizes, seed) -> Found:
        order = ("site", "ad", "hour", "noise", "id", "load")
        if sizes[0].of == "fields":
            scores = {name: -float(order.index(name)) for name in problem.table.schema.names}
            return ScoredFields(problem=problem, method="knowing", params={}, scores=scores)
        scores = {
            name: -order.index(name) - np.arange(v.size) / v.size
            for name, v in problem.table.encoder.vocabularies.items()
        }
        return ScoredValues(problem=problem, method="knowing", params={}, scores=scores)


@pytest.fixture(scope="module")
def problem():
    return Problem(table=tiny_table(rows=6000, seed=5).without("test"), learner=TREES)


def test_the_planted_values_are_found_to_be_enough(problem):
    sizes = tuple(Size(number=n) for n in (2, 4, 10, 16, 24, 60))
    found = auto_select(problem, Knowing(), sizes=sizes, seed=1)
    planted = sum(problem.table.encoder.vocabularies[n].size - RESERVED for n in ("site", "ad"))
    assert planted == 16
    assert 10 <= found.choice.chosen <= 24  # all of site and most of ad, and nothing of noise and ids
    assert {"site", "ad"} <= set(found.selection.features.fields)
    by_size = {t.number: t for t in found.choice.tried}
    assert by_size[2].above > by_size[2].error
    assert by_size[found.choice.chosen].above <= by_size[found.choice.chosen].error
    assert by_size[found.choice.best].above == 0


def test_fields_are_counted_where_asked(problem):
    found = auto_select(problem, Knowing(), unit="fields", seed=1)
    assert [t.number for t in found.choice.tried] == [1, 2, 3, 4, 6]
    assert 2 <= found.choice.chosen <= 3
    assert found.selection.features.n_fields == found.choice.chosen


def test_saved_and_loaded(problem, tmp_path):
    found = auto_select(problem, MostFrequent(), sizes=grid(problem, "values", (0.01, 1.0)), seeds=(1, 2), seed=1)
    assert found.choice.seeds == (1, 2)
    found.save(tmp_path / "a")
    again = AutoSelection.load(tmp_path / "a")
    assert again.choice == found.choice
    assert again.selection.features.digest == found.selection.features.digest


def test_one_search_and_equal_sets_are_trained_once(problem, monkeypatch):
    fits = []
    fit = BoostedLearner.fit
    monkeypatch.setattr(BoostedLearner, "fit", lambda self, *a, **k: fits.append(1) or fit(self, *a, **k))
    everything = problem.n_values
    sizes = tuple(Size(number=n) for n in (everything, everything + 1, everything + 2))
    found = auto_select(replace(problem, learner=BoostedLearner(rounds=2)), MostFrequent(), sizes=sizes, seed=1)
    assert len(fits) == 1
    assert len(found.choice.tried) == 1


def test_a_kind_of_size_that_does_not_go(problem):
    with pytest.raises(ConfigError, match="chooses values"):
        auto_select(problem, Gated(), unit="fields", seed=1)


def test_from_python():
    found = ctrsel.select_features(
        tiny_table(rows=1500), by="frequent", size="auto", learner={"use": "boosted", "rounds": 5}
    )
    assert isinstance(found.fit.model, Model)
    fields = ctrsel.select_features(
        tiny_table(rows=1500), by="frequent", size={"fields": 3}, learner={"use": "boosted", "rounds": 5}
    )
    assert fields.selection.features.n_fields == 3
