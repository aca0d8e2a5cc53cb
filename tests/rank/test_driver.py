from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.table import Table
from ctrsel.rank import CATALOG, CountRanker, ModelRanker, Ranker, count, rank
from ctrsel.rank.driver import FLOAT_BUCKETS
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.testing.tables import sequence_table, tiny_table


class _Reads(dict):
    """Columns that count how often each was taken and which rows were read of it."""

    def __init__(self, columns):
        super().__init__(columns)
        self.taken = {}

    def __getitem__(self, name):
        self.taken[name] = self.taken.get(name, 0) + 1
        return super().__getitem__(name)


def test_every_column_is_read_once_for_any_number_of_rankers():
    table = tiny_table().without("test")
    rankers = [MutualInformation(by=by) for by in ("effect", "z", "ami", "held_out_gain")]
    expected = rank(table, rankers, seed=1)
    table.digest  # noqa: B018  # the digest reads the columns too, but only once in a table's life
    counted = dataclasses.replace(table, columns=_Reads(table.columns))
    counted.__dict__["digest"] = table.digest
    found = rank(counted, rankers, seed=1)
    assert counted.columns.taken == dict.fromkeys(table.schema.names, 1)
    assert [r.digest for r in found] == [r.digest for r in expected]


def test_test_rows_are_never_counted():
    table = tiny_table(rows=600)
    start, stop = table.splits["test"]
    assert all(c.train.rows + c.valid.rows == start for c in count(table).fields.values())
    labels = table.labels.copy()
    labels[start:stop] = 1 - labels[start:stop]
    (one,) = rank(table, [MutualInformation()], seed=1)
    (two,) = rank(dataclasses.replace(table, labels=labels), [MutualInformation()], seed=1)
    assert one.frame.equals(two.frame)


def test_threads_change_nothing():
    table = tiny_table()
    one, four = count(table, threads=1), count(table, threads=4)
    assert list(one.fields) == list(four.fields)
    for name, c in one.fields.items():
        assert (c.train.totals == four.fields[name].train.totals).all()
    with pytest.raises(ConfigError, match="threads must be at least 1, got 0"):
        count(table, threads=0)


def test_a_float_is_counted_in_quantile_buckets_of_training_rows():
    table = tiny_table(rows=2000)
    values = table.columns["load"].copy()
    values[::10] = np.nan
    table = dataclasses.replace(table, columns={**table.columns, "load": values})
    counts = count(table).fields["load"].train
    part = values[table.span("train")]
    assert counts.totals[0] == np.isnan(part).sum()
    assert len(counts.totals) == 3 + FLOAT_BUCKETS
    filled = counts.totals[3:]
    assert filled.max() - filled.min() <= 2
    assert filled.sum() == (~np.isnan(part)).sum()
    empty = dataclasses.replace(table, columns={**table.columns, "load": np.full_like(values, np.nan)})
    assert count(empty).fields["load"].train.totals[0] == len(part)


def test_lists_are_refused_with_the_reason():
    (ranking,) = rank(sequence_table(), [MutualInformation()], seed=1)
    assert set(ranking.refused) == {"history", "tags"}
    assert "list of values" in ranking.refused["tags"]
    assert set(ranking.order) == {"user", "item"}


def test_what_a_reader_must_know_is_noted():
    table = tiny_table()
    n = table.n_rows
    plain = count(table).notes
    assert len(plain) == 1
    assert "load" in plain[0]
    notes = count(
        dataclasses.replace(
            table,
            weight=np.ones(n),
            group=np.zeros(n, dtype=np.int64),
            labels=np.repeat(table.labels, 2, axis=1),
        )
    ).notes
    assert [note.split()[0] for note in notes] == ["about", "counted"]


def test_weighted_rows_are_counted_by_weight_too_and_refused_by_rankers_that_cannot_use_them():
    table = tiny_table()
    schema = dataclasses.replace(table.schema, weight="w")
    weighted = dataclasses.replace(
        table, encoder=dataclasses.replace(table.encoder, schema=schema), weight=np.full(table.n_rows, 0.5)
    )
    site = count(weighted).fields["site"]
    assert (site.weighted_train.totals == site.train.totals / 2).all()
    assert count(table).fields["site"].weighted_train is None

    @dataclasses.dataclass(frozen=True)
    class Plain(CountRanker):
        def score(self, counts):
            raise AssertionError

    with pytest.raises(DataError, match=r"has no null for weighted rows, and schema\.weight is 'w'"):
        rank(weighted, [Plain()], seed=1)


def test_without_validation_rows_there_is_no_held_out_gain():
    table = tiny_table()
    start, stop = table.splits["train"]
    only = table.take(np.arange(start, stop))
    only = dataclasses.replace(only, splits={"train": (0, stop - start)})
    (ranking,) = rank(only, [MutualInformation()], seed=1)
    assert ranking.frame["held_out_gain"].is_null().all()
    with pytest.raises(DataError, match="needs validation rows"):
        rank(only, [MutualInformation(by="held_out_gain")], seed=1)


def test_refuses_what_cannot_be():
    table = tiny_table()

    class Vague(Ranker):
        pass

    with pytest.raises(ConfigError, match="got Vague"):
        rank(table, [Vague()], seed=1)
    with pytest.raises(DataError, match="no labels"):
        rank(dataclasses.replace(table, labels=None), [MutualInformation()], seed=1)
    with pytest.raises(DataError, match="labels must be 0 or 1, got"):
        rank(dataclasses.replace(table, labels=table.labels / 2), [MutualInformation()], seed=1)
    with pytest.raises(DataError, match="no split 'train'"):
        rank(table.part("valid"), [MutualInformation()], seed=1)


def test_the_catalogue_finds_the_rankers():
    assert {"boosted_shap", "mutual_information"} <= set(CATALOG.names())
    made = CATALOG.create({"use": "boosted_shap", "rows": 50, "learner": {"use": "boosted", "rounds": 3}})
    assert isinstance(made, ModelRanker)
    assert made.learner.rounds == 3
    with pytest.raises(ConfigError, match="did you mean 'mutual_information'"):
        CATALOG.create("mutual_informaton")


def test_counts_agree_with_another_library():
    table: Table = tiny_table(rows=1500)
    (ranking,) = rank(table, [MutualInformation()], seed=1)
    span = table.span("train")
    mi = dict(zip(ranking.frame["field"], ranking.frame["mi"], strict=True))
    for name in table.code_fields:
        assert mi[name] == pytest.approx(mutual_info_score(table.columns[name][span], table.label()[span]), abs=1e-12)
