"""Benchmarks are run by hand: what they import from the package is there, and what they count is counted right."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ctrsel.records.feature_set import FeatureSet
from ctrsel.select import Selector
from ctrsel.select.scored import ScoredFields
from ctrsel.select.whole_fields import whole_fields

FILES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_a_benchmark_imports_is_there(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("ctrsel", "pipelines"):
            module = importlib.import_module(node.module)
            for name in (alias.name for alias in node.names):
                submodule = hasattr(module, "__path__") and importlib.util.find_spec(f"{node.module}.{name}")
                assert hasattr(module, name) or submodule, f"{file.name}: from {node.module} import {name}"


@pytest.fixture
def selection_planted(monkeypatch):
    monkeypatch.syspath_prepend(str(FILES[0].parent))
    return importlib.import_module("selection_planted")


def test_a_selector_that_keeps_nothing_finds_nothing_and_is_not_wrong(selection_planted):
    truth = selection_planted.planted(rows=2000, effect=0.8, seed=1)
    for by_field in (True, False):
        facts = selection_planted.counted(truth, None, None, by_field=by_field)
        assert set(facts.values()) == {0}, by_field


def test_fields_are_counted_against_the_truth(selection_planted):
    truth = selection_planted.planted(rows=2000, effect=0.8, seed=1)

    def kept(*names):
        return whole_fields(truth.table.encoder, names)

    facts = selection_planted.counted(
        truth, kept("useful0", "useful3", "decoy1", "noise0", "noise5"), kept("useful2", "noise1", "noise2", "decoy0"),
        by_field=True,
    )  # fmt: skip
    assert facts == {
        "hit": 2 / 6, "decoys": 1, "noise": 2, "own": 4, "own recall": 1 / 6, "own false": 3 / 4,
    }  # fmt: skip
    # Of the 200 values of `useful0` 40 are useful, as of each useful field; those of a field of noise are all false.
    facts = selection_planted.counted(truth, kept("noise0"), kept("useful0", "noise0"), by_field=False)
    seen = len({v for f, v in truth.useful if f == "useful0"} & values_of(truth.table, "useful0"))
    assert (facts["hit"], facts["rare"]) == (0, 0)
    assert facts["own"] == len(values_of(truth.table, "useful0")) + len(values_of(truth.table, "noise0"))
    assert facts["own recall"] == seen / 240
    assert facts["own false"] == 1 - seen / facts["own"]


def test_effects_are_told_apart_by_groups_of_one_effect(selection_planted):
    truth = selection_planted.planted(rows=2000, effect=0.8, seed=1)
    encoder = truth.table.encoder
    every = {name: np.ones(v.size, dtype=bool) for name, v in encoder.vocabularies.items()}
    all_values = FeatureSet.from_keep(
        every, fields=encoder.schema.names, method="toy", params={}, encoder=encoder.digest
    )
    assert selection_planted.told_apart(truth, all_values) == pytest.approx(
        1, abs=0.01
    )  # a value seen once has no code
    left = truth.table.part("train")
    remaps, expected, total = {}, 0.0, 0.0
    for name, effect in truth.effects.items():
        codes = np.asarray(left.columns[name])
        of_code = dict(zip(codes.tolist(), effect.tolist(), strict=True))  # codes of values are of one effect
        group = {c: 3 if of_code.get(c, 0) > 0 else 1 for c in range(3, encoder.vocabularies[name].size)}
        remap = np.array([0, 1, 2, *group.values()], dtype=np.uint32)
        remaps[name] = remap
        sides = remap[codes] == 3
        expected += sum(side.mean() * (effect[side].mean() - effect.mean()) ** 2 for side in (sides, ~sides))
        total += effect.var()
    risers = replace(all_values, remaps={**all_values.remaps, **remaps})
    assert 0.3 < selection_planted.told_apart(truth, risers) == pytest.approx(expected / total)
    assert selection_planted.told_apart(truth, replace(risers, fields=("noise0", "decoy0"))) == 0


def values_of(table, name):
    return set(table.encoder.vocabularies[name].values.to_list())


class Nothing(Selector):
    """A selector that wants nothing in the table of the second seed, and the useful fields in the others."""

    units = ("values", "fields")

    def search(self, problem, *, sizes, seed):
        names = problem.table.schema.names if seed != 2 else ()
        scores = {n: float(n.startswith("useful")) for n in names}
        return ScoredFields(problem=problem, method="toy", params={"use": "toy"}, scores=scores)


def test_one_empty_choice_does_not_hide_the_others(selection_planted, monkeypatch, capsys):
    monkeypatch.setattr(selection_planted, "specs", lambda: iter([("toy", {"use": "toy"})]))
    monkeypatch.setattr(selection_planted, "CATALOG", SimpleNamespace(create=lambda spec: Nothing()))
    monkeypatch.setattr("sys.argv", ["selection_planted.py", "--seeds", "3", "--rows", "500", "--effects", "0.8"])
    selection_planted.main()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| toy")]
    cells = [c.strip() for c in line.strip("|").split("|")]
    # Recall 1, 0 and 1; 14 of 14 fields are kept where the size allows them, of which 8 are false, but for the second seed.
    assert cells[1:9] == [
        "0.67 +- 0.58",
        "",
        "",
        "0.00 +- 0.00",
        "0.00 +- 0.00",
        "9.33 +- 8.08",
        "0.67 +- 0.58",
        "0.38 +- 0.33",
    ]


def test_there_are_benchmarks():
    assert len(FILES) > 20
