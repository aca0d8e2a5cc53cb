"""The filters as rankers: planted signal first, row numbers never, refusals with a reason, samples that are stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_selection import f_classif

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.rank import CATALOG, CodedRows, FieldCounts, TableCounts
from ctrsel.rank._filters import frequent_columns, sample
from ctrsel.rank.cfs import CFS
from ctrsel.rank.distance_correlation import DistanceCorrelation
from ctrsel.rank.fisher import Fisher
from ctrsel.rank.ilfs import ILFS
from ctrsel.rank.inf_fs import InfFS
from ctrsel.rank.inf_fs_supervised import InfFSSupervised
from ctrsel.rank.laplacian import Laplacian
from ctrsel.rank.mcfs import MCFS
from ctrsel.rank.relieff import ReliefF
from ctrsel.rank.udfs import UDFS
from ctrsel.records.ranking import Ranking
from ctrsel.stats.counts import label_counts
from ctrsel.stats.graph_centrality import path_scores
from ctrsel.stats.merit import merit
from ctrsel.stats.neighbours import laplacian_score, neighbour_graph

FROM_COUNTS = (DistanceCorrelation(), Fisher(), ILFS(), InfFSSupervised())
SUPERVISED = (*FROM_COUNTS, CFS(), ReliefF(rows=2000))
BLIND = (InfFS(), Laplacian(rows=1000), MCFS(rows=800), UDFS(rows=800))
ALL = (*SUPERVISED, *BLIND)


def _id(ranker: object) -> str:
    return type(ranker).__name__


def counted(fields: dict[str, np.ndarray], labels: np.ndarray, *, seed: int = 0) -> TableCounts:
    """Count columns of value numbers 0.., which become the codes 3.. as in a table."""
    y = np.asarray(labels, dtype=np.uint8)
    columns = {n: (np.asarray(v) + 3).astype(np.uint32) for n, v in fields.items()}
    sizes = {n: int(c.max()) + 1 for n, c in columns.items()}
    return TableCounts(
        fields={n: FieldCounts(train=label_counts(c, y, size=sizes[n])) for n, c in columns.items()},
        rows=CodedRows(columns=columns, sizes=sizes, labels=y, row=np.arange(len(y))),
        seed=seed,
    )


def planted(*, rows: int = 4000, seed: int = 1, rate: float = -1.0) -> dict[str, np.ndarray]:
    """Draw fields with signal (`s2`, `s30`, and its copy), noise of 2 to 2,000 values, a row number, a constant."""
    rng = generator(seed, "planted")
    s2, s30 = rng.integers(0, 2, rows), rng.integers(0, 30, rows)
    effect = rng.normal(0, 1.0, 30)
    chance = 1 / (1 + np.exp(-(rate + 1.4 * (s2 - 0.5) + effect[s30])))
    return {
        "label": (rng.random(rows) < chance).astype(np.uint8),
        "s2": s2,
        "s30": s30,
        "copy": rng.permutation(30)[s30],
        "n2": rng.integers(0, 2, rows),
        "n20": rng.integers(0, 20, rows),
        "n300": np.minimum(rng.zipf(1.3, rows), 300),
        "n2000": rng.integers(0, 2000, rows),
        "id": rng.permutation(rows),
        "constant": np.zeros(rows, dtype=int),
    }


@pytest.fixture(scope="module")
def table() -> TableCounts:
    """Count the planted rows."""
    drawn = planted()
    return counted(drawn, drawn.pop("label"))


def _scores(ranking: Ranking) -> dict[str, float]:
    return dict(zip(ranking.frame["field"], ranking.frame["score"], strict=True))


@pytest.mark.parametrize("ranker", ALL, ids=_id)
def test_every_field_is_scored_or_refused_with_a_reason(ranker, table: TableCounts) -> None:
    ranking = ranker.score(table)
    assert sorted([*ranking.order, *ranking.refused]) == sorted(table.fields)
    assert "one value" in ranking.refused["constant"]
    assert all(len(reason) > 10 for reason in ranking.refused.values())
    assert CATALOG.load(ranking.method) is type(ranker)
    assert ranking.unit
    assert ranking.frame["score"].to_list() == sorted(ranking.frame["score"], reverse=True)


@pytest.mark.parametrize("ranker", SUPERVISED, ids=_id)
def test_signal_comes_before_noise_and_a_row_number_never_first(ranker, table: TableCounts) -> None:
    ranking = ranker.score(table)
    order = list(ranking.order)
    behind = 2 if isinstance(ranker, CFS) else 3  # its copy says nothing new
    assert set(order[:behind]) <= {"s2", "s30", "copy"}
    assert "id" not in order[:3]


@pytest.mark.parametrize("ranker", SUPERVISED, ids=_id)
def test_a_row_number_does_not_stand_before_noise_that_had_bad_luck(ranker) -> None:
    rng = generator(1, "noise")
    fields = {f"n{k}": np.unique(rng.integers(0, k, 1500), return_inverse=True)[1] for k in (2, 30, 400)}
    fields["id"] = rng.permutation(1500)
    ranking = ranker.score(counted(fields, rng.random(1500) < 0.1))
    assert ranking.refused["id"] == "a value of its own in every training row, which tells nothing of any other row"
    assert len(ranking.order) == 3


@pytest.mark.parametrize("ranker", ALL, ids=_id)
def test_the_same_seed_gives_the_same_ranking(ranker, table: TableCounts) -> None:
    assert ranker.score(table).digest == ranker.score(table).digest


@pytest.mark.parametrize("ranker", [CFS(rows=None), *FROM_COUNTS], ids=_id)
def test_order_of_rows_and_names_of_values_do_not_matter(ranker) -> None:
    drawn = planted(rows=900)
    labels = drawn.pop("label")
    rng = generator(2, "order")
    order = rng.permutation(900)
    renamed = {n: rng.permutation(int(v.max()) + 1)[v][order] for n, v in drawn.items()}
    one, two = ranker.score(counted(drawn, labels)), ranker.score(counted(renamed, labels[order]))
    assert _scores(one) == pytest.approx(_scores(two))


@pytest.mark.parametrize("ranker", FROM_COUNTS, ids=_id)
def test_counts_of_chunks_give_the_ranking_of_all_rows(ranker) -> None:
    drawn = planted(rows=1200)
    labels = drawn.pop("label")
    whole = counted(drawn, labels)
    parts = [
        TableCounts(
            fields={
                n: FieldCounts(train=label_counts(c[rows], labels[rows], size=whole.rows.sizes[n]))
                for n, c in whole.rows.columns.items()
            }
        )
        for rows in (slice(700, None), slice(0, 700))
    ]
    assert ranker.score(parts[0] + parts[1]).frame.equals(ranker.score(whole).frame)


@pytest.mark.parametrize("ranker", BLIND, ids=_id)
def test_blind_rankers_do_not_look_at_the_label_and_say_so(ranker, table: TableCounts) -> None:
    other = replace(table, rows=replace(table.rows, labels=1 - table.rows.labels))
    ranking = ranker.score(table)
    assert ranking.null is None
    assert any(note.startswith("blind to the label") for note in ranking.notes)
    assert ranking.frame.equals(ranker.score(other).frame)


@pytest.mark.parametrize(
    "ranker", [ReliefF(rows=500), Laplacian(rows=500), MCFS(rows=500), UDFS(rows=500), InfFS(rows=500)], ids=_id
)
def test_a_sample_is_stated_and_follows_the_seed(ranker, table: TableCounts) -> None:
    ranking = ranker.score(table)
    assert any("on a sample of 500 of 4000 training rows" in note for note in ranking.notes)
    assert not ranker.score(replace(table, seed=1)).frame.equals(ranking.frame)
    with pytest.raises(DataError, match=f"^{ranking.method}: counts fields together and needs the rows"):
        ranker.score(replace(table, rows=None))


@pytest.mark.parametrize("ranker", SUPERVISED, ids=_id)
def test_one_class_is_a_reason(ranker) -> None:
    drawn = planted(rows=100)
    ranking = ranker.score(counted(drawn, 0 * drawn.pop("label")))
    assert ranking.order == ()
    assert ranking.refused["s2"] == "the labels of the training rows are all equal"


@pytest.mark.parametrize("ranker", ALL, ids=_id)
def test_a_table_of_constants_is_an_empty_ranking(ranker) -> None:
    ranking = ranker.score(counted({"a": np.zeros(50, dtype=int)}, np.arange(50) % 2))
    assert ranking.order == ()
    assert list(ranking.refused) == ["a"]


@pytest.mark.parametrize("ranker", [ReliefF(), Laplacian(), InfFS(), CFS()], ids=_id)
def test_one_field_is_a_ranking(ranker) -> None:
    rng = generator(1, "one")
    assert ranker.score(counted({"a": rng.integers(0, 3, 60)}, rng.integers(0, 2, 60))).order == ("a",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InfFS(alpha=1.5), r"inf_fs.alpha: must be between 0.0 and 1.0, got 1.5"),
        (lambda: InfFS(share=1.0), r"inf_fs.share: must be above 0 and below 1, got 1.0"),
        (lambda: InfFS(rows=1), "inf_fs.rows: must be at least 2, got 1"),
        (lambda: InfFSSupervised(fisher_spread=0.5), "must add up to 1"),
        (lambda: InfFSSupervised(relevance_fisher=-0.1), "inf_fs_supervised.relevance_fisher: must be between"),
        (lambda: InfFSSupervised(share=0.0), "inf_fs_supervised.share"),
        (lambda: InfFSSupervised(prior=0.0), "inf_fs_supervised.prior: must be above 0 rows, got 0.0"),
        (lambda: ILFS(tokens=5), "ilfs.tokens: must be even, got 5"),
        (lambda: ILFS(tokens=0), "ilfs.tokens: must be at least 2, got 0"),
        (lambda: ILFS(prior=-1.0), "ilfs.prior: must be above 0 rows, got -1.0"),
        (lambda: ILFS(iterations=0), "ilfs.iterations: must be at least 1, got 0"),
        (lambda: Fisher(prior=float("nan")), "fisher.prior: must be above 0 rows, got nan"),
        (lambda: CFS(patience=0), "cfs.patience: must be at least 1, got 0"),
        (lambda: CFS(k=0), "cfs.k: must be at least 1, got 0"),
        (lambda: CFS(rows=0), "cfs.rows: must be at least 1"),
        (lambda: ReliefF(rows=3), "relieff.rows: must be at least 4, got 3"),
        (lambda: ReliefF(neighbours=0), "relieff.neighbours: must be at least 1, got 0"),
        (lambda: Laplacian(neighbours=0), "laplacian.neighbours: must be at least 1, got 0"),
        (lambda: MCFS(rows=5), "mcfs.rows: must be at least 7, got 5"),
        (lambda: MCFS(columns=0), "mcfs.columns: must be at least 1, got 0"),
        (lambda: UDFS(ridge=0.0), "udfs.ridge: must be above 0, got 0.0"),
        (lambda: UDFS(values=0), "udfs.values: must be at least 1, got 0"),
    ],
)
def test_parameters_are_checked(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_fisher_is_scikit_learns_on_the_codes_of_the_rows(table: TableCounts) -> None:
    x, y = table.rows.columns["s30"], table.rows.labels
    others = np.bincount(x, weights=y)[x] - y
    codes = (others + 20.0 * y.mean()) / (np.bincount(x)[x] - 1 + 20.0)
    scores = _scores(Fisher().score(table))
    assert scores["s30"] * (len(y) - 2) == pytest.approx(f_classif(codes[:, None], y)[0][0], rel=0.02)
    assert scores["s30"] == pytest.approx(scores["copy"])


def test_distance_correlation_has_a_null(table: TableCounts) -> None:
    rows = {r["field"]: r for r in DistanceCorrelation().score(table).frame.to_dicts()}
    for name in ("n2", "n20", "n300", "n2000"):
        assert abs(rows[name]["z"]) < 4
        assert rows[name]["q"] > 0.01
    assert rows["s2"]["q"] < 1e-6
    assert rows["n2000"]["dcor"] > rows["n20"]["dcor"]  # what the bias-corrected score does not do
    assert "id" in DistanceCorrelation().score(table).refused


def test_inf_fs_is_the_path_score_of_its_graph(table: TableCounts) -> None:
    ranking = InfFS(alpha=0.3).score(table)
    rows = {r["field"]: r for r in ranking.frame.to_dicts()}
    assert rows["id"]["evenness"] == pytest.approx(1.0)
    assert rows["n300"]["evenness"] < 0.9
    # Without a label, a row number is what varies most and is like nothing else.
    assert rows["id"]["score"] > rows["s30"]["score"]
    # The copies share a field's place.
    assert rows["s30"]["score"] == pytest.approx(rows["copy"]["score"], rel=1e-6)
    assert any(
        note.startswith("Kendall's tau of the order by all paths with that by edges alone: ") for note in ranking.notes
    )


def test_supervised_inf_fs_by_hand() -> None:
    drawn = planted(rows=800)
    counts = counted({n: drawn[n] for n in ("s2", "n2", "n300")}, drawn["label"])
    ranker = InfFSSupervised(relevance_fisher=0.5, relevance_spread=0.3, fisher_spread=0.2)
    rows = {r["field"]: r for r in ranker.score(counts).frame.to_dicts()}
    names = ["s2", "n2", "n300"]
    mi, fi = (np.maximum([rows[n][c] for n in names], 0.0) for c in ("mi_minus_expected", "fisher"))
    mi, fi = ((v - v.min()) / np.ptp(v) for v in (mi, fi))
    even = np.array([rows[n]["evenness"] for n in names])
    graph = np.zeros((3, 3))
    spread = np.maximum.outer(even, even)
    spread = (spread - spread.min()) / np.ptp(spread)
    for i in range(3):
        for j in range(3):
            sd = spread[i, j]
            graph[i, j] = 0.5 * (mi[i] + fi[j]) / 2 + 0.3 * (mi[i] + sd) / 2 + 0.2 * (sd + fi[j]) / 2
    assert [rows[n]["score"] for n in names] == pytest.approx(path_scores(graph))
    assert [rows[n]["edges"] for n in names] == pytest.approx(graph.sum(axis=1))


def test_the_graph_of_ilfs_would_change_nothing(table: TableCounts) -> None:
    ranking = ILFS().score(table)
    p = ranking.frame["score"].to_numpy()
    paths = path_scores(np.outer(p, p), share=0.99)
    assert paths == pytest.approx(99 * p * p.sum() / (p @ p))
    assert np.array_equal(np.argsort(-paths, kind="stable"), np.arange(len(p)))


def test_ilfs_gives_noise_even_odds() -> None:
    rng = generator(5, "ilfs")
    found = []
    for _ in range(20):
        fields = {f"n{k}": np.unique(rng.integers(0, k, 2000), return_inverse=True)[1] for k in (5, 100, 1900)}
        found.append(_scores(ILFS(iterations=3000).score(counted(fields, rng.random(2000) < 0.1))))
    for name in ("n5", "n100", "n1900"):
        values = np.array([f[name] for f in found])
        assert abs(values.mean() - 0.5) < 4 * values.std(ddof=1) / np.sqrt(20) + 1e-3


def test_cfs_leaves_copies_out(table: TableCounts) -> None:
    frame = CFS().score(table).frame
    rows = {r["field"]: r for r in frame.to_dicts()}
    chosen = [n for n, r in rows.items() if r["chosen"]]
    assert ("s30" in chosen) != ("copy" in chosen)
    assert set(chosen) <= {"s2", "s30", "copy"}
    told = [rows[n]["relevance"] for n in frame["field"][:2]]
    alone = merit(np.array(told[:1]), np.eye(1))
    assert frame["merit"][0] == pytest.approx(alone)
    assert frame["merit"][1] == pytest.approx(
        merit(np.array(told), np.eye(2)), rel=0.02
    )  # they say little of each other


def test_cfs_counts_few_pairs_when_few_fields_are_asked_for(table: TableCounts) -> None:
    rows = replace(table.rows, reads=table.rows.reads.__class__())
    ranking = CFS(k=2).score(replace(table, rows=rows))
    assert len(ranking.order) == 7
    assert sum(rows.reads.values()) < 2 * 9 * 8


def test_relieff_sees_a_pair_that_tells_only_together() -> None:
    rng = generator(6, "xor")
    fields = {f"f{i}": rng.integers(0, 2, 3000) for i in range(8)}
    counts = counted(fields, fields["f2"] ^ fields["f5"] ^ (rng.random(3000) < 0.1))
    assert set(ReliefF(rows=1500).score(counts).order[:2]) == {"f2", "f5"}
    assert set(Fisher().score(counts).order[:2]) != {"f2", "f5"} or max(_scores(Fisher().score(counts)).values()) < 0.01


def test_relieff_refuses_what_no_two_sampled_rows_agree_in() -> None:
    rng = generator(9, "wide")
    counts = counted({"wide": np.arange(2000) // 2, "a": rng.integers(0, 3, 2000)}, rng.integers(0, 2, 2000))
    ranking = ReliefF(rows=8).score(counts)
    assert ranking.refused == {"wide": "a value of its own in every sampled row, so that no two rows agree in it"}


def test_relieff_refuses_a_sample_without_two_rows_of_a_class() -> None:
    rng = generator(7, "rare")
    ranking = ReliefF(rows=100).score(counted({"a": rng.integers(0, 3, 500)}, np.arange(500) == 7))
    assert ranking.refused == {
        "a": "a class has 1 of the 100 sampled rows, and a row needs a near one of its own class"
    }


def _clusters(rows: int = 900) -> TableCounts:
    rng = generator(8, "clusters")
    cluster = rng.integers(0, 3, rows)
    fields = {f"c{i}": np.where(rng.random(rows) < 0.95, cluster, rng.integers(0, 3, rows)) for i in range(3)}
    fields |= {f"n{i}": rng.integers(0, 3, rows) for i in range(4)}
    return counted(fields, rng.integers(0, 2, rows))


@pytest.mark.parametrize(
    "ranker", [Laplacian(rows=600), MCFS(rows=600, clusters=2), UDFS(rows=600, clusters=2)], ids=_id
)
def test_blind_rankers_find_the_fields_that_make_clusters(ranker) -> None:
    ranking = ranker.score(_clusters())
    assert set(ranking.order[: 1 if isinstance(ranker, MCFS) else 3]) <= {"c0", "c1", "c2"}


def test_laplacian_is_1_minus_the_papers_score() -> None:
    counts = _clusters(300)
    codes = np.stack(list(counts.rows.columns.values()), axis=1)
    found = 1 - laplacian_score(codes, neighbour_graph(codes))
    assert _scores(Laplacian().score(counts)) == pytest.approx(dict(zip(counts.fields, found, strict=True)))


def test_copies_share_a_column_and_a_score() -> None:
    counts = _clusters(600)
    twice = {n: c - 3 for n, c in counts.rows.columns.items()}
    twice["again"] = (2 - twice["c0"].astype(int)).astype(np.uint32)
    twice["half"] = (twice["c0"] == 1).astype(np.uint32)
    table = counted(twice, counts.rows.labels)
    drawn = sample("mcfs", table, list(table.fields), 600)
    hot = frequent_columns(drawn, values=10, least=5)
    assert hot.columns.shape[1] < len(hot.column)
    assert len(np.unique(hot.columns.round(9), axis=1).T) == hot.columns.shape[1]
    assert hot.columns.mean(axis=0) == pytest.approx(np.zeros(hot.columns.shape[1]), abs=1e-12)
    assert hot.columns.var(axis=0) == pytest.approx(np.ones(hot.columns.shape[1]))
    for ranker in (MCFS(), UDFS()):
        scores = _scores(ranker.score(table))
        assert max(scores.values()) < 100
        assert np.isfinite(list(scores.values())).all()


def test_rare_values_have_no_column(table: TableCounts) -> None:
    for ranker in (MCFS(rows=800), UDFS(rows=800)):
        refused = ranker.score(table).refused
        assert refused["id"] == "no value tells at least 20 of the 800 rows read from the others"


def test_too_few_rows_for_coordinates() -> None:
    ranking = MCFS().score(counted({"a": np.arange(6) % 2, "b": np.arange(6) % 3}, np.arange(6) % 2))
    assert ranking.refused["a"] == "6 training rows have no 5 coordinates"
