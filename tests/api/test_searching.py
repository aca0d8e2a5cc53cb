from __future__ import annotations

import pytest

from ctrsel.api.searching import Search, Searched, Searches
from ctrsel.core.catalog import describe
from ctrsel.core.claims import TakenError, claimed
from ctrsel.select import Size
from ctrsel.select.frequent import MostFrequent
from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner


def search(**given) -> Search:
    usual = {"selector": describe(MostFrequent()), "learner": describe(BoostedLearner(rounds=3)), "seed": 1}
    return Search(**{**usual, "sizes": (Size(number=5), Size(number=20)), **given})


@pytest.fixture(scope="module")
def table():
    return tiny_table().without("test")


def test_a_search_is_kept(table, tmp_path):
    searches = Searches(folder=tmp_path, apart=False)
    assert searches.find(table, search()) is None
    found = searches.get(table, search())
    assert [f.n_values for f in found.sets.values()] == [5, 20]
    assert found.peak is not None
    assert found.peak >= 0
    again = searches.find(table, search())
    assert {s: f.digest for s, f in again.sets.items()} == {s: f.digest for s, f in found.sets.items()}
    assert (again.seconds, again.peak) == (found.seconds, found.peak)
    assert searches.find(table, search(seed=2)) is None
    assert not list(tmp_path.glob("*.working"))
    assert Search.from_dict(search().to_dict()) == search()


def test_refusals_are_told_of(table, tmp_path):
    searches = Searches(folder=tmp_path, apart=False)
    gated = searches.get(table, search(selector={"use": "gated"}))
    assert "trees take neither a gate" in gated.refused
    one = searches.get(table, search(always_keep=("id",)))
    assert not one.sets
    assert "always_keep" in one.refusals[Size(number=5)]
    assert Searched.load(searches.place(table, search(always_keep=("id",)))) == one


def test_rankings_are_made_when_they_are_asked_for(table, tmp_path):
    found = Searches(folder=tmp_path, apart=False).get(table, search(selector={"use": "ranking", "max_q": 1.0}))
    assert found.refused is None
    assert all(f.evidence for f in found.sets.values())
    unknown = Searches(folder=tmp_path, apart=False).get(table, search(selector={"use": "ranking", "ranking": "mutul"}))
    assert "unknown ranking 'mutul'" in unknown.refused


def test_without_time_nothing_begins(table, tmp_path):
    assert Searches(folder=tmp_path, apart=True).get(table, search(), seconds=0.0) is None


@pytest.mark.slow
def test_a_process_of_its_own_gives_the_same(table, tmp_path):
    apart = Searches(folder=tmp_path / "a", apart=True)
    assert apart.get(table, search(), seconds=0.05) is None  # ended with the time, and not kept
    assert apart.find(table, search()) is None
    found = apart.get(table, search())
    here = Searches(folder=tmp_path / "b", apart=False).get(table, search())
    assert {s: f.digest for s, f in found.sets.items()} == {s: f.digest for s, f in here.sets.items()}
    broken = apart.get(table, search(selector={"use": "nobody.knows:It"}))
    assert "cannot load 'nobody.knows:It'" in broken.refused


def test_a_search_that_broke_down_is_one_until_somebody_tidies_up(table, tmp_path, monkeypatch):
    searches = Searches(folder=tmp_path, apart=True)
    monkeypatch.setattr("ctrsel.api.searching.sys.executable", "/bin/false")
    refused = searches.get(table, search()).refused
    assert refused == "the search ended with code 1: it said nothing"
    monkeypatch.undo()
    assert searches.get(table, search()).refused == refused
    (tmp_path / ".x.partial-1").mkdir()
    searches.tidy()
    assert not list(tmp_path.glob(".*partial*"))
    assert searches.find(table, search()) is None


def test_what_another_process_searches_is_not_begun_here(table, tmp_path):
    searches = Searches(folder=tmp_path, apart=False)
    with claimed(tmp_path / f"{searches.place(table, search()).name}.claim"):
        with pytest.raises(TakenError):
            searches.get(table, search(), wait=False)
        assert searches.get(table, search(), seconds=0.2) is None
    assert searches.get(table, search(), wait=False).sets
