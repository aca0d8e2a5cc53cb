"""What every ranker of the catalogue keeps, whoever wrote it: found by itself, run on tables of a few hundred rows."""

from __future__ import annotations

import dataclasses
from functools import cache, partial

import numpy as np
import polars as pl
import pytest

from ctrsel.core.catalog import describe
from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.rank import CATALOG, CountRanker, FieldCounts, TableCounts, count, rank
from ctrsel.records.feature_set import RESERVED
from ctrsel.records.ranking import Ranking
from ctrsel.stats.counts import label_counts
from ctrsel.testing.tables import tiny_frame

ROWS = 360
_BOOSTED = {"use": "boosted", "rounds": 4, "leaves": 4, "min_rows": 5, "threads": 1}
QUICK = {  # parameters that make a slow ranker quick; the others run with their defaults
    "boosted_gain": {"learner": _BOOSTED},
    "boosted_shap": {"rows": 40, "learner": _BOOSTED},
    "null_importance": {"trainings": 3, "learner": _BOOSTED},
    "permutation_importance": {"rows": 40, "repeats": 1, "learner": _BOOSTED},
    "shadow_features": {"rounds": 3, "learner": _BOOSTED},
    "stability_selection": {"pairs": 2},
}
ORDERED = {  # count rankers whose result depends on the order of rows, with the reason
    "outrank": "its null shifts the labels by row number, as published",
    "outrank_3mr": "as outrank",
    "knockoffs": "knockoffs are drawn row by row",
    **dict.fromkeys(("feature_gradients", "quick_selection"), "trained on the rows in their order"),
    **dict.fromkeys(("laplacian", "mcfs", "relieff", "udfs"), "of equally near rows the earlier ones are neighbours"),
}
NAMED = {  # count rankers whose result depends on how values are numbered, with the reason
    "knockoffs": "knockoffs are drawn by cumulated probability over the codes",
    **dict.fromkeys(("feature_gradients", "quick_selection"), "a value's weights are drawn by its column"),
}
BLIND = {"inf_fs", "laplacian", "mcfs", "udfs"}  # blind to the label: a field need not tell about it
NAMES = CATALOG.names()
COUNTERS = [name for name in NAMES if issubclass(CATALOG.load(name), CountRanker)]


def ranker(name):
    return CATALOG.create({"use": name, **QUICK.get(name, {})})


def frame_of(rows=ROWS, seed=0):
    """Rows of `tiny_frame`, two fields that can say nothing, and a list."""
    rng = generator(seed, "contract")
    return tiny_frame(rows=rows, seed=seed).with_columns(
        pl.lit("always").alias("constant"),
        pl.lit(None, dtype=pl.String).alias("empty"),
        pl.Series("tags", [[f"t{i}" for i in rng.integers(0, 4, rng.integers(0, 3))] for _ in range(rows)]),
        pl.Series("w", rng.choice([0.25, 1.0, 4.0], rows)),
    )


@cache
def table(*, weighted=False, awkward=False):
    """Return the table: plain columns, or with a constant, an empty and a list field."""
    ignored = [] if awkward else ["constant", "empty", "tags"]
    schema = SchemaConfig(
        label=LabelConfig(name="click"),
        weight="w" if weighted else None,
        ignore=[*ignored, *([] if weighted else ["w"])],
        fields={"hour": FieldConfig(kind="numeric", bucket="quantile", bins=6)},
    )
    return ingest(frame_of(), schema=schema, seed=1)


@cache
def ranked(name, *, awkward=False):
    (found,) = rank(table(awkward=awkward), [ranker(name)], seed=3, threads=1)
    return found


def keys(ranking):
    """Items of a ranking, in its order."""
    columns = ["field", "value"] if ranking.item == "value" else ["field"]
    return ranking.frame.select(columns).rows()


def scores(ranking):
    return dict(zip(keys(ranking), ranking.frame["score"].to_list(), strict=True))


def same(one, two):
    """Equal scores for equal items: what is refused must be refused again."""
    assert set(one.refused) == set(two.refused)
    first, second = scores(one), scores(two)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert second[key] == pytest.approx(value, rel=1e-6, abs=1e-9), key


def complete(ranking, fields):
    """Every candidate once, either scored or refused with a reason."""
    assert all(isinstance(reason, str) and reason.strip() for reason in ranking.refused.values())
    assert ranking.frame["score"].dtype == pl.Float64
    assert ranking.frame["score"].is_finite().all()
    if ranking.item == "field":
        scored = ranking.frame["field"].to_list()
        assert len(scored) == len(set(scored))
        assert not set(scored) & set(ranking.refused)
        assert set(scored) | set(ranking.refused) == set(fields)
        return
    if ranking.item == "cross":
        for name, parts in ranking.frame.select("field", "fields").iter_rows():
            assert name == "*".join(parts)
            assert set(parts) <= set(fields)
            assert len(parts) == len(set(parts)) > 1
        assert ranking.frame["field"].is_unique().all()
        return
    assert set(ranking.frame["field"]) <= set(fields)
    assert not ranking.frame.select("field", "value").is_duplicated().any()


@pytest.mark.parametrize("name", NAMES)
def test_a_ranking_says_what_it_is(name):
    ranking = ranked(name)
    complete(ranking, table().schema.names)
    assert ranking.method == name
    assert ranking.params == describe(ranker(name))
    assert ranking.unit
    assert ranking.table == table().without("test").digest
    assert ranking.null is None or ranking.null.strip()
    assert ranking.frame["rank"].to_list() == list(range(1, ranking.frame.height + 1))
    for column in {"p", "q"} & set(ranking.frame.columns):
        assert ranking.frame[column].drop_nulls().is_between(0, 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_makes_it_from_what_it_says_of_itself(name):
    made = ranker(name)
    assert CATALOG.create(describe(made)) == made
    assert describe(made)["use"] == name
    with pytest.raises(ConfigError, match="no_such_parameter"):
        CATALOG.create({"use": name, "no_such_parameter": 1})


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_ranking_and_no_test_row_is_read(name):
    given = table()
    start, stop = given.splits["test"]
    labels = given.labels.copy()
    labels[start:stop] = 1 - labels[start:stop]
    columns = {}
    for field, column in given.columns.items():
        columns[field] = np.array(column)
        columns[field][start:stop] = 0
    (other,) = rank(dataclasses.replace(given, labels=labels, columns=columns), [ranker(name)], seed=3, threads=1)
    assert other.frame.equals(ranked(name).frame)
    assert other.refused == ranked(name).refused


@pytest.mark.parametrize("name", NAMES)
def test_it_is_saved_and_loaded(name, tmp_path):
    ranking = ranked(name)
    ranking.save(tmp_path / "ranking")
    loaded = Ranking.load(tmp_path / "ranking")
    assert loaded.digest == ranking.digest
    assert loaded.frame.equals(ranking.frame)
    assert loaded.item == ranking.item


def _again(counts, *, order=None, names=None):
    """Counts of the same rows in another order, or with values that go by other codes."""
    rows = counts.rows if order is None else counts.rows.take(order)
    valid = counts.valid_rows
    if names is not None:
        rows, valid = (
            dataclasses.replace(
                part, columns={n: names[n][c].astype(np.asarray(c).dtype) for n, c in part.columns.items()}
            )
            for part in (rows, valid)
        )
    fields = {
        n: FieldCounts(
            train=label_counts(rows.columns[n], rows.labels, size=rows.sizes[n]),
            valid=label_counts(valid.columns[n], valid.labels, size=valid.sizes[n]),
        )
        for n in counts.fields
    }
    back = None if names is None else {n: np.argsort(new) for n, new in names.items()}

    def texts(field, codes):
        return counts.value_names(field, codes if back is None else back[field][codes])

    return dataclasses.replace(counts, fields=fields, rows=rows, valid_rows=valid, value_names=texts)


@cache
def counted():
    return dataclasses.replace(count(table().without("test"), threads=1), seed=3, threads=1)


@pytest.mark.parametrize("name", [n for n in COUNTERS if n not in ORDERED])
def test_the_order_of_rows_does_not_matter(name):
    order = generator(1, "rows").permutation(counted().rows.n_rows)
    same(ranker(name).score(counted()), ranker(name).score(_again(counted(), order=order)))


@pytest.mark.parametrize("name", [n for n in COUNTERS if n not in NAMED])
def test_names_of_values_do_not_matter(name):
    rng = generator(2, "names")
    names = {
        n: np.append(np.arange(RESERVED), RESERVED + rng.permutation(size - RESERVED))
        for n, size in counted().rows.sizes.items()
    }
    same(ranker(name).score(counted()), ranker(name).score(_again(counted(), names=names)))


@pytest.mark.parametrize("name", [n for n in COUNTERS if CATALOG.load(n).needs == "field"])
def test_counts_of_single_fields_are_enough_where_it_says_so(name):
    bare = TableCounts(fields=counted().fields, table=counted().table, seed=3, value_names=counted().value_names)
    same(ranker(name).score(counted()), ranker(name).score(bare))


@pytest.mark.parametrize("name", NAMES)
def test_fields_that_can_say_nothing(name):
    ranking = ranked(name, awkward=True)
    complete(ranking, table(awkward=True).schema.names)
    if name in COUNTERS and ranking.item != "cross":
        assert "tags" in ranking.refused
        assert "tags" not in ranking.order
    if ranking.item == "field" and "site" in ranking.order and name not in BLIND:
        for field in {"constant", "empty"} & set(ranking.order):
            assert ranking.score(field) <= ranking.score("site"), f"{field} says nothing"


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_one_class_are_refused_or_said_to_tell_nothing(name):
    given = table()
    refused = None
    try:
        (ranking,) = rank(
            dataclasses.replace(given, labels=np.zeros_like(given.labels)), [ranker(name)], seed=3, threads=1
        )
    except CtrselError as error:
        refused = str(error)
    if refused is None:
        complete(ranking, given.schema.names)
    else:
        assert len(refused) > 20


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_used_or_refused(name):
    given = table(weighted=True)
    run = partial(rank, given, [ranker(name)], seed=3, threads=1)
    if not CATALOG.load(name).weighted:
        with pytest.raises(DataError, match="weight"):
            run()
        return
    (ranking,) = run()
    complete(ranking, given.schema.names)
    schema = dataclasses.replace(given.schema, weight=None)
    plain = dataclasses.replace(given, encoder=dataclasses.replace(given.encoder, schema=schema), weight=None)
    (without,) = rank(plain, [ranker(name)], seed=3, threads=1)
    assert not ranking.frame.equals(without.frame), "weights make no difference"
