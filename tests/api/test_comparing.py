from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ctrsel.api import helping
from ctrsel.api.comparing import compare_selectors
from ctrsel.api.judging import Cell
from ctrsel.api.protocol import Protocol
from ctrsel.core.claims import claimed
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.records.selection_comparison import SelectionComparison
from ctrsel.report.selection_comparison import comparison_page
from ctrsel.select import Problem, Selector, Size
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.scored import ScoredValues
from ctrsel.stats.paired import paired_mean
from ctrsel.stats.size_curve import area_under_size_curve
from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

TREES = BoostedLearner(rounds=10, leaves=6, min_rows=10, category_smoothing=5.0, row_share=0.8, threads=1)
OTHER = dataclasses.replace(TREES, leaves=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowing(Selector):
    """Knows the fields that were planted; `worst` turns its order around."""

    worst: bool = False

    def search(self, problem, *, sizes, seed):
        order = ("site", "ad", "hour", "noise", "id", "load")
        sign = -1 if self.worst else 1
        scores = {
            name: -sign * order.index(name) - np.arange(v.size) / v.size
            for name, v in problem.table.encoder.vocabularies.items()
        }
        return ScoredValues(problem=problem, method="knowing", params={}, scores=scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusing(Selector):
    def search(self, problem, *, sizes, seed):
        raise DataError("refusing: this table has nothing that it can choose from")


@pytest.fixture(scope="module")
def table() -> Table:
    return tiny_table(rows=2400, seed=3)


def protocol(**given) -> Protocol:
    usual = {
        "judges": {"trees": TREES, "stumps": OTHER},
        "shares": (0.004, 0.008, 0.4),
        "seeds": (1, 2, 3),
        "min_counts": (),
        "apart": False,
        "best": 1,
    }
    return Protocol(**{**usual, **given})


BOTH = (Knowing(worst=True), Knowing(), Refusing())


@pytest.fixture(scope="module")
def compared(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return compare_selectors(table, selectors=BOTH, protocol=protocol(), folder=folder), folder


def test_the_better_goes_on_and_is_named(compared):
    found, _ = compared
    assert found.complete
    by_name = {c.name: c for c in found.contestants}
    assert found.naming.selector == "Knowing (worst=false)"  # the one that knows; the other is its reverse
    assert by_name["Knowing (worst=false)"].final
    assert not by_name["Knowing"].final
    assert by_name["Refusing"].refused == "refusing: this table has nothing that it can choose from"
    assert by_name["Knowing (worst=false)"].screened > by_name["Knowing"].screened
    assert [c.role for c in found.contestants[:4]] == ["full", "control", "control", "control"]
    assert set(found.naming.by_share.values()) == {"Knowing (worst=false)"}
    # 3 seeds, 2 judges: the full model, and 4 at 3 sizes; and the other's first stage.
    assert len(found.cells) == 3 * 2 * (1 + 4 * 3) + 3


def test_paired_by_hand(compared):
    found, _ = compared

    def aucs(name: str, share: float) -> list[float]:
        cells = {c.seed: c for c in found.cells if (c.contestant, c.share, c.judge) == (name, share, "trees")}
        return [cells[s].test_auc for s in found.seeds]

    line = found.pair("Knowing (worst=false)", "random", 0.008, "trees", "test")
    apart = np.array(aucs("Knowing (worst=false)", 0.008)) - np.array(aucs("random", 0.008))
    half = 4.302652729911275 * apart.std(ddof=1) / np.sqrt(3)
    assert (line.value, line.low, line.high) == pytest.approx(
        (apart.mean(), apart.mean() - half, apart.mean() + half), abs=1e-9
    )
    assert line.low > 0
    full = found.pair("Knowing (worst=false)", "none", 0.008, "trees", "test")
    expected = paired_mean(aucs("Knowing (worst=false)", 0.008), aucs("none", 1.0))
    assert (full.value, full.low) == (expected.value, expected.low)
    assert full.low_rows < full.low
    curve = found.curve("random", "trees", "test")
    areas = [area_under_size_curve(found.numbers, [aucs("random", s)[i] for s in found.shares]) for i in range(3)]
    assert curve.area == pytest.approx(fmean(areas))


def test_sets_say_what_is_kept(compared):
    found, _ = compared
    sets = [s for s in found.sets if s.contestant == "frequent" and s.seed == 1]
    assert [s.values for s in sets] == list(found.numbers)
    assert [s.covered for s in sets] == sorted(s.covered for s in sets)
    assert all(s.digest for s in sets)
    by_name = {c.name: c.stability for c in found.contestants}
    assert by_name["frequent"] == pytest.approx(dict.fromkeys(map(str, found.shares), 1.0))
    assert abs(by_name["random"]["0.4"]) < 0.2
    assert by_name["none"] == by_name["Knowing"] == {}  # the one has nothing to choose, the other one seed
    chance = [s for s in found.sets if s.contestant == "random" and s.share == 0.4]
    assert len({s.digest for s in chance}) == 3  # a draw a seed


def test_nothing_is_done_twice_and_the_record_is_kept(compared, table, monkeypatch):
    found, folder = compared
    monkeypatch.setattr(BoostedLearner, "fit", lambda *_a, **_k: pytest.fail("nothing is to be trained again"))
    again = compare_selectors(table, selectors=BOTH, protocol=protocol(), folder=folder)
    assert again.digest == found.digest
    assert SelectionComparison.load(folder / "comparison").digest == found.digest
    assert not (folder / "models").exists()


def test_what_retraining_adds_to_the_full_net_that_is_narrowed(table, tmp_path, monkeypatch):
    net = NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=256, max_epochs=2)
    wanted = protocol(judges={"net": net, "trees": TREES}, shares=(0.004, 0.4), seeds=(1,))
    found = compare_selectors(table, selectors=BOTH, protocol=wanted, folder=tmp_path)
    known, naming = table.without("test"), found.naming
    full = net.fit(known, seed=1).model
    last = known.label()[known.span("valid")]
    for cell in found.cells:
        second = cell.contestant not in ("none", "Knowing")
        assert (cell.pruned_auc is not None) == (second and cell.judge == "net"), cell
        if cell.contestant == "frequent" and cell.judge == "net":
            size = Size(number=found.numbers[found.shares.index(cell.share)])
            features = MostFrequent().search(Problem(table=known, learner=net), sizes=(size,), seed=1).at(size)
            small = full.narrow(features)
            z = small.logits(known.narrow(features).part("valid"))[:, 0]
            assert cell.pruned_auc == pytest.approx(roc_auc_score(last, z), abs=1e-6)
            assert cell.pruned_auc != cell.valid_auc
    page = comparison_page(found)
    assert "| retraining adds |" in page
    # What is known is not measured again, and of another selector's sets only those are that are new.
    lines = (tmp_path / "cells.jsonl").read_text()
    fits, fit = [], NetLearner.fit
    monkeypatch.setattr(NetLearner, "fit", lambda *given, **named: fits.append(given[2:]) or fit(*given, **named))
    again = compare_selectors(table, selectors=BOTH, protocol=wanted, folder=tmp_path)
    assert (again.digest, fits) == (found.digest, [])
    assert (tmp_path / "cells.jsonl").read_text() == lines
    wider = dataclasses.replace(wanted, shares=(0.004, 0.2, 0.4))
    more = compare_selectors(table, selectors=BOTH, protocol=wider, folder=tmp_path)
    assert naming.selector == more.naming.selector
    assert all(c.pruned_auc is not None for c in more.cells if c.judge == "net" and c.contestant == "frequent")
    # Beside the new sets the full net, whose test had been read, was trained once more to be narrowed to them.
    cells = [Cell(**json.loads(line)) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    new = {c.key for c in cells if c.judge["use"] == "net"} - {
        Cell(**json.loads(line)).key for line in lines.splitlines()
    }
    assert len(fits) == len(new) + 1 > 2


class Sealed(Table):
    """A table whose test rows break whoever reads them."""

    def part(self, split: str) -> Table:
        assert split != "test", "test was read"
        return super().part(split)

    def _rows(self, rows, *, splits):
        if isinstance(rows, slice):
            assert rows.stop is not None, "test was read"
            assert rows.stop <= self.splits.get("test", (self.n_rows,))[0], "test was read"
        made = super()._rows(rows, splits=splits)
        return Table(**{f.name: getattr(made, f.name) for f in dataclasses.fields(Table)})

    def narrow(self, features, *, scratch=None):
        raise AssertionError("test was read")

    @property
    def digest(self):
        raise AssertionError("test was read")


def test_test_is_not_read_before_somebody_is_named(table, tmp_path):
    sealed = Sealed(**{f.name: getattr(table, f.name) for f in dataclasses.fields(Table)})
    wanted = protocol(seeds=(1, 2), min_counts=(1, 2), shares=(0.4, 0.8), judges={"trees": TREES})
    with pytest.raises(AssertionError, match="test was read"):
        compare_selectors(sealed, selectors=BOTH, protocol=wanted, folder=tmp_path)
    named = json.loads((tmp_path / "naming.json").read_text())
    assert [n["selector"] for n in named] == ["Knowing (worst=false)"]
    # All that validation decides on was there by then.
    trained = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    assert all(cell["test_auc"] is None for cell in trained)
    assert compare_selectors(
        sealed, selectors=BOTH, protocol=dataclasses.replace(wanted, test="never"), folder=tmp_path
    )


def test_what_test_holds_changes_nothing_that_is_decided(table, tmp_path):
    start, stop = table.splits["test"]
    labels = np.array(table.labels)
    labels[start:stop] = 1 - labels[start:stop]
    other = dataclasses.replace(table, labels=labels)
    wanted = protocol(seeds=(1, 2), shares=(0.008, 0.4), judges={"trees": TREES})
    one = compare_selectors(table, selectors=BOTH, protocol=wanted, folder=tmp_path / "one")
    two = compare_selectors(other, selectors=BOTH, protocol=wanted, folder=tmp_path / "two")
    assert one.naming == two.naming
    assert [c.valid_auc for c in one.cells] == [c.valid_auc for c in two.cells]
    assert [c.test_auc for c in one.cells] != [c.test_auc for c in two.cells]


def test_a_killed_comparison_goes_on(table, tmp_path, monkeypatch):
    wanted, fits = protocol(seeds=(1, 2), shares=(0.008, 0.4), judges={"trees": TREES}), []
    fit = BoostedLearner.fit

    def some(self, *given, **named):
        fits.append(1)
        if len(fits) == 7:
            raise KeyboardInterrupt
        return fit(self, *given, **named)

    monkeypatch.setattr(BoostedLearner, "fit", some)
    with pytest.raises(KeyboardInterrupt):
        compare_selectors(table, selectors=BOTH, protocol=wanted, folder=tmp_path / "a")
    compare_selectors(table, selectors=BOTH, protocol=wanted, folder=tmp_path / "a")
    done = len(fits) - 1
    found = SelectionComparison.load(tmp_path / "a" / "comparison")
    whole = compare_selectors(table, selectors=BOTH, protocol=wanted, folder=tmp_path / "b")
    assert len(fits) - 1 - done == done  # nothing was trained twice
    assert [c.test_auc for c in found.cells] == [c.test_auc for c in whole.cells]


def test_helpers_do_a_share_and_change_nothing(table, tmp_path, monkeypatch):
    wanted = protocol(seeds=(1, 2), shares=(0.008, 0.4), judges={"trees": TREES})
    alone = compare_selectors(table, selectors=SHARED, protocol=wanted, folder=tmp_path / "alone")
    fits, fit = [], BoostedLearner.fit

    def slow(self, *given, **named):
        """The first training takes until a helper has done one."""
        fits.append(1)
        cells, until = tmp_path / "two" / "cells.jsonl", time.monotonic() + 400
        while len(fits) == 1 and not cells.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        return fit(self, *given, **named)

    monkeypatch.setattr(BoostedLearner, "fit", slow)
    found = compare_selectors(table, selectors=SHARED, protocol=wanted, folder=tmp_path / "two", workers=3)
    lines = (tmp_path / "two" / "cells.jsonl").read_text().splitlines()
    trained = [json.loads(line) for line in lines if json.loads(line)["test_auc"] is None]
    sets = {(c["features"], c["seed"]) for c in trained}
    assert len(trained) == len(sets) > len(fits)  # nothing twice, and not all of it here
    assert [dataclasses.replace(c, seconds=0.0) for c in found.cells] == [
        dataclasses.replace(c, seconds=0.0) for c in alone.cells
    ]
    assert found.naming == alone.naming
    assert sorted(p.name for p in (tmp_path / "two").iterdir() if p.is_dir()) == ["comparison", "full", "searches"]


SHARED = ("ranking", "value_test")


def test_what_a_killed_process_had_claimed_is_done_by_another(table, tmp_path):
    wanted = protocol(seeds=(1,), shares=(0.008, 0.4), judges={"trees": TREES}, test="never")
    whole = compare_selectors(table, selectors=["ranking"], protocol=wanted, folder=tmp_path / "a")
    claims = tmp_path / "b" / "claims"
    claims.mkdir(parents=True)
    keys = {Cell(**json.loads(line)).key for line in (tmp_path / "a" / "cells.jsonl").read_text().splitlines()}
    holds = (
        "import contextlib, sys, time; from pathlib import Path; from ctrsel.core.claims import claimed\n"
        "with contextlib.ExitStack() as all:\n"
        "    print(*[all.enter_context(claimed(Path(f))) for f in sys.argv[1:]], flush=True); time.sleep(600)"
    )
    files = [str(claims / key) for key in keys]
    holder = subprocess.Popen([sys.executable, "-c", holds, *files], stdout=subprocess.PIPE, text=True)
    assert set(holder.stdout.readline().split()) == {"True"}
    # While somebody else holds all of it nothing is done here, and the budget is kept.
    none = compare_selectors(table, selectors=["ranking"], protocol=wanted, folder=tmp_path / "b", budget=2.0)
    assert not any(c.run for c in none.cells)
    killing = threading.Timer(1.0, holder.kill)
    killing.start()
    found = compare_selectors(table, selectors=["ranking"], protocol=wanted, folder=tmp_path / "b")
    killing.join()
    holder.wait()
    holder.stdout.close()
    assert found.complete
    assert [c.valid_auc for c in found.cells] == [c.valid_auc for c in whole.cells]


def test_helpers_know_the_judges_as_they_were_given(table, tmp_path):
    """The first judge screens, whatever its letters, and a whole number stays one: else a helper's cells are others."""
    trees = dataclasses.replace(TREES, category_smoothing=5)
    wanted = protocol(judges={"trees": trees, "stumps": OTHER}, shares=(0.008, 0.4), seeds=(1,), test="never")
    alone = compare_selectors(table, selectors=SHARED, protocol=wanted, folder=tmp_path / "alone")
    compare_selectors(table, selectors=SHARED, protocol=wanted, folder=tmp_path / "two", workers=2)
    keys = [
        sorted(Cell(**json.loads(line)).key for line in (tmp_path / name / "cells.jsonl").read_text().splitlines())
        for name in ("alone", "two")
    ]
    assert keys[0] == keys[1]
    assert alone.complete


def test_a_folder_is_one_command_s(table, tmp_path):
    tmp_path.joinpath("a").mkdir()
    with claimed(tmp_path / "a" / ".comparing"), pytest.raises(ConfigError, match="another comparison is at work in"):
        compare_selectors(table, selectors=SHARED, protocol=protocol(), folder=tmp_path / "a")
    tmp_path.joinpath("file").touch()
    with pytest.raises(ConfigError, match=r"compare: the folder .*file cannot be written: File exists"):
        compare_selectors(table, selectors=SHARED, protocol=protocol(), folder=tmp_path / "file")


def test_helpers_that_break_down_are_told_of_and_their_share_is_done(table, tmp_path, monkeypatch, capsys):
    wanted = protocol(shares=(0.008, 0.4), seeds=(1,), judges={"trees": TREES}, test="never")
    monkeypatch.setattr(helping, "import_path", lambda: str(tmp_path))  # nothing of ours is found there
    monkeypatch.setattr(helping.sys, "executable", "/bin/false")
    said = []
    monkeypatch.setattr(helping, "event", lambda what, **facts: said.append((what, facts)))
    started, whole, fit = [], subprocess.Popen, BoostedLearner.fit

    def start(*given, **named):
        started.append(whole(*given, **named))
        return started[-1]

    def late(*given, **named):
        """A training begins when the helper has ended."""
        assert started[0].wait(120) == 1
        return fit(*given, **named)

    monkeypatch.setattr(helping.subprocess, "Popen", start)
    monkeypatch.setattr(BoostedLearner, "fit", late)
    found = compare_selectors(table, selectors=SHARED, protocol=wanted, folder=tmp_path, workers=2)
    assert found.complete
    assert said == [("helper broke down", {"number": 0, "code": 1, "said": "nothing"})]


def test_what_others_are_at_is_waited_for_only_within_the_budget_and_nothing_else_stands_still(table, tmp_path):
    """Somebody holds one training: all others are done first, and it is awaited, then done here."""
    wanted = protocol(seeds=(1,), shares=(0.008, 0.4), judges={"trees": TREES}, test="never")
    began = time.monotonic()
    whole = compare_selectors(table, selectors=["ranking"], protocol=wanted, folder=tmp_path / "a")
    budget = 3.0 + 4 * (time.monotonic() - began)  # so that all others can be done in it, however slow the machine is
    lines = (tmp_path / "a" / "cells.jsonl").read_text().splitlines()
    (tmp_path / "b" / "claims").mkdir(parents=True)
    first = Cell(**json.loads(lines[0])).key
    with claimed(tmp_path / "b" / "claims" / first):
        began = time.monotonic()
        some = compare_selectors(table, selectors=["ranking"], protocol=wanted, folder=tmp_path / "b", budget=budget)
        assert time.monotonic() - began > 0.9 * budget  # and not for ever: the claim is still held
    assert sum(c.run for c in some.cells) == len(some.cells) - 1
    done = compare_selectors(table, selectors=["ranking"], protocol=wanted, folder=tmp_path / "b")
    assert [c.valid_auc for c in done.cells] == [c.valid_auc for c in whole.cells]


def test_the_budget_is_kept(table, tmp_path, monkeypatch):
    """By a clock of its own, on which a training takes an hour and nothing else takes any time."""
    wanted, now, fit = protocol(test="complete"), [0.0], BoostedLearner.fit

    def an_hour(*given, **named):
        now[0] += 3600
        return fit(*given, **named)

    monkeypatch.setattr(BoostedLearner, "fit", an_hour)
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("ctrsel.api.comparing.time", clock)
    monkeypatch.setattr("ctrsel.api.comparison_run.time", clock)
    found = compare_selectors(table, selectors=BOTH, protocol=wanted, folder=tmp_path, budget=2.5 * 3600)
    assert now[0] == 3 * 3600  # the third training began in time, and the fourth would not have
    assert not found.complete
    assert any(c.run for c in found.cells)
    assert all(c.valid_auc is None and c.test_auc is None for c in found.cells if not c.run)
    assert any("were not run" in n for n in found.notes)
    assert any("have not been read" in n for n in found.notes)
    # Once test was read for a naming, whoever goes on is told.
    two = protocol(seeds=(1, 2), shares=(0.008, 0.4), judges={"trees": TREES})
    first = compare_selectors(table, selectors=BOTH, protocol=two, folder=tmp_path / "y", budget=9.5 * 3600)
    assert not first.complete
    then = compare_selectors(table, selectors=BOTH, protocol=two, folder=tmp_path / "y")
    assert then.complete
    assert any("an earlier command named" in n for n in then.notes)
    monkeypatch.undo()
    none = compare_selectors(table, selectors=BOTH, protocol=wanted, folder=tmp_path / "x", budget=1e-6)
    assert not any(c.run for c in none.cells)
    assert none.naming.selector is None


def test_sizes_are_shares_of_what_the_minimum_count_leaves(table, tmp_path):
    wanted = protocol(min_counts=(1, 5, 40), seeds=(1,), test="never", shares=(0.1, 0.5, 1.0))
    found = compare_selectors(table, selectors=[Knowing()], protocol=wanted, folder=tmp_path)
    assert found.min_count in (5, 40)  # the ids stand in one row each
    counts = [v.counts[3:] for v in table.encoder.vocabularies.values()]
    assert found.total == sum(int((c >= found.min_count).sum()) for c in counts)
    # At size 1 every value is kept, by whoever: that is no selection.
    full = next(c for c in found.cells if c.contestant == "none" and c.judge == "trees")
    for name in ("frequent", "random", "Knowing"):
        cell = next(c for c in found.cells if (c.contestant, c.share, c.judge) == (name, 1.0, "trees"))
        assert cell.valid_auc == full.valid_auc


def test_fields(table, tmp_path):
    wanted = protocol(unit="fields", shares=(0.4, 0.7), seeds=(1,), judges={"trees": TREES}, test="never")
    found = compare_selectors(table, selectors=["ranking", Knowing()], protocol=wanted, folder=tmp_path)
    assert found.numbers == (2, 4)
    assert found.total == 6
    refused = next(c for c in found.contestants if c.name == "Knowing")
    assert "chooses values, so it cannot keep 2 fields" in refused.refused
    assert {s.fields for s in found.sets if s.contestant == "random" and s.share == 0.4} == {2}


def test_mistakes_are_named(table, tmp_path):
    def check(message, *, selectors=("gated",), **given):
        with pytest.raises(ConfigError, match=message):
            compare_selectors(table, selectors=selectors, protocol=protocol(**given), folder=tmp_path)

    check("unknown selector 'gatde'; did you mean 'gated'", selectors=["gatde"])
    check("'frequent' is what every selector is compared with", selectors=[MostFrequent()])
    check("name at least one", selectors=[])
    check("unknown ranker 'mutual'", ranking="mutual")
    check("two or more sizes that rise", shares=(0.5, 0.2))
    check("at least one judge", judges={})
    check("each seed counts once", seeds=(1, 1))
    check(r"a margin in \[0, 1\), got 3, 1, \[1, 2, 3\] and nan", margin=float("nan"))
    check("no selector can be tried: Refusing: refusing: this table has nothing", selectors=[Refusing()])
    check("are .*; name others", shares=(0.00001, 0.5))
    with pytest.raises(ConfigError, match="workers must be at least 1, got 0"):
        compare_selectors(table, selectors=["gated"], protocol=protocol(), folder=tmp_path, workers=0)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '[{"selector": "gated"}]'])
def test_namings_that_cannot_be_read_are_told_of_before_the_work(table, tmp_path, text):
    (tmp_path / "naming.json").write_text(text)
    with pytest.raises(DataError, match=r"naming\.json: must hold who was named so far"):
        compare_selectors(table, selectors=BOTH, protocol=protocol(), folder=tmp_path)
    assert not (tmp_path / "cells.jsonl").exists()
    assert (tmp_path / "naming.json").read_text() == text


def test_test_stays_closed_while_nobody_is_named(table, tmp_path):
    sealed = Sealed(**{f.name: getattr(table, f.name) for f in dataclasses.fields(Table)})
    wanted = protocol(judges={"trees": TREES}, seeds=(1,), test="end")
    found = compare_selectors(sealed, selectors=[Knowing()], protocol=wanted, folder=tmp_path, budget=1e-9)
    assert found.naming.selector is None
    assert any("the test rows have not been read" in note for note in found.notes)
    again = compare_selectors(table, selectors=[Knowing()], protocol=wanted, folder=tmp_path)
    assert again.naming.selector == "Knowing"
    assert not any("earlier command" in note for note in again.notes)


def test_namings_of_another_table_are_kept_and_not_told(table, tmp_path):
    wanted = protocol(judges={"trees": TREES}, seeds=(1,))
    before = compare_selectors(table, selectors=[Knowing()], protocol=wanted, folder=tmp_path)
    other = tiny_table(seed=5)
    found = compare_selectors(other, selectors=[Knowing()], protocol=wanted, folder=tmp_path)
    assert found.naming.selector == "Knowing"
    assert not any("earlier command" in note for note in found.notes)
    told = json.loads((tmp_path / "naming.json").read_text())
    assert [(t["table"], t["unit"], t["opened"]) for t in told] == [(f.table, "values", True) for f in (before, found)]
