"""Equal rows are found by their hashes exactly where they are equal, and copies only beyond what chance gives."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.data.audit import AuditView, _row_groups
from ctrsel.data.audit.label_noise import LabelNoise
from ctrsel.data.audit.row_copies import RowCopies
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Ragged
from ctrsel.testing.tables import sequence_table, tiny_table


def view(data, *, min_count: int = 1, split: SplitConfig | None = None, **fields: FieldConfig) -> AuditView:
    schema = SchemaConfig(label=LabelConfig(name="y"), fields=fields)
    return AuditView(table=ingest(data, schema=schema, split=split, settings=IngestConfig(min_count=min_count), seed=1))


def rows_as_texts(shown: AuditView, names: list[str]) -> list[str]:
    table, out = shown.table, []
    for i in range(table.n_rows):
        cells = []
        for name in names:
            column = table.columns[name]
            if isinstance(column, Ragged):
                items = column.codes[column.offsets[i] : column.offsets[i + 1]].tolist()
                cells.append(str(items if table.schema.field(name).kind == "sequence" else sorted(items)))
            else:
                cells.append(str(column[i]))
        out.append("|".join(cells))
    return out


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 5))
def test_hashes_are_equal_where_rows_are(seed: int, fields: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    frame = pl.DataFrame({f"f{i}": rng.integers(0, values, n).astype(str) for i in range(fields)})
    frame = frame.with_columns(
        y=pl.int_range(n) % 2,
        number=pl.Series([[0.0, -0.0, None, 1.5][i] for i in rng.integers(0, 4, n)]),
        tags=pl.Series([[["p", "q"], ["q", "p"], ["p"], []][i] for i in rng.integers(0, 4, n)]),
        past=pl.Series([[["p", "q"], ["q", "p"], ["p"], []][i] for i in rng.integers(0, 4, n)]),
    )
    shown = view(frame, number=FieldConfig(kind="numeric", bucket="none"), past=FieldConfig(kind="sequence"))
    names = list(shown.table.schema.names)
    hashes, _ = _row_groups.row_hashes(shown, names)
    texts = [t.replace("-0.0", "0.0") for t in rows_as_texts(shown, names)]
    _, expected = np.unique(texts, return_inverse=True)
    _, got = np.unique(hashes, return_inverse=True)
    assert len(np.unique(np.stack([expected, got]), axis=1).T) == expected.max() + 1 == got.max() + 1


@pytest.mark.parametrize("make", [tiny_table, sequence_table])
def test_groups_hold_the_rows_and_labels_of_the_splits(make, monkeypatch) -> None:
    shown = AuditView(table=make(rows=3000))
    groups = shown.row_groups
    assert groups is not None
    monkeypatch.setattr(_row_groups, "CHUNK", 7)
    again = _row_groups.row_groups(AuditView(table=make(rows=3000)))
    assert again is not None
    assert (again.rows == groups.rows).all()
    assert (again.positives == groups.positives).all()
    names = [n for n in shown.table.schema.names if n not in groups.left_out]
    texts = np.array(rows_as_texts(shown, names))
    labels, table = shown.labels, shown.table
    _, of, sizes = np.unique(texts, return_inverse=True, return_counts=True)
    for place, split in enumerate(("train", "valid", "test")):
        span = table.span(split)
        assert groups.rows[:, place].sum() + groups.single[place] == shown.rows(split)
        assert groups.single[place] == (sizes[of[span]] == 1).sum()
        if split != "test":
            assert groups.positives[:, place].sum() == labels[span][sizes[of[span]] > 1].sum()
    assert len(groups.rows) == (sizes > 1).sum()


def test_rows_with_rare_values_are_marked() -> None:
    n = 3000
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"y": rng.integers(0, 2, n), "a": rng.integers(0, 400, n).astype(str), "b": rng.integers(0, 3, n)}
    )
    shown = view(frame, min_count=8)
    groups = shown.row_groups
    assert groups is not None
    other = shown.table.columns["a"] == 1
    assert groups.pooled_rows == tuple(int(other[shown.table.span(s)].sum()) for s in shown.splits)
    assert groups.rows[groups.pooled].sum() == other.sum()


def census_like(n: int, seed: int = 0) -> pl.DataFrame:
    """Few values a field, so that most rows have twins by nature."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, 13)
    columns = {f"f{i}": rng.choice(12, n, p=shares / shares.sum()) for i in range(4)}
    y = rng.random(n) < np.where(columns["f0"] == 0, 0.1, 0.3)
    return pl.DataFrame({"y": y.astype(int), **{k: v.astype(str) for k, v in columns.items()}})


@pytest.mark.parametrize("use", ["hash", "stratified"])
@pytest.mark.parametrize("min_count", [1, 20])
@pytest.mark.parametrize("seed", range(3))
def test_natural_twins_are_no_copies(use: str, min_count: int, seed: int) -> None:
    shown = view(census_like(8000, seed), split=SplitConfig(use=use), min_count=min_count)  # type: ignore[arg-type]
    groups = shown.row_groups
    assert groups is not None
    assert groups.rows[:, 0].sum() > 0.5 * shown.rows("train")
    assert RowCopies().check(shown) == []


@pytest.mark.parametrize("min_count", [1, 6])
def test_training_rows_in_the_test_file(min_count: int) -> None:
    frame = census_like(8000).with_columns(user="u" + (pl.int_range(8000) % 900).cast(pl.String))
    train, test = frame.head(6000), frame.tail(2000)
    test = pl.concat([test.head(1600), train.head(400)])
    found = RowCopies().check(view({"train": train, "test": test}, min_count=min_count))
    assert [(f.rule, f.severity) for f in found] == [("row_copies", "warn")]
    assert found[0].number == pytest.approx(0.2, abs=0.06)  # validation was taken out of training
    assert "of the test rows equal exactly one training row" in found[0].evidence
    few = pl.concat([frame.tail(1950), train.head(50)])
    assert [f.severity for f in RowCopies().check(view({"train": train, "test": few}))] == ["note"]


def test_a_large_natural_cell_does_not_hide_copies() -> None:
    # Half of the rows are one cell, as the children of a census are; the others are nearly all alone.
    rng = np.random.default_rng(0)
    n = 12_000
    child = rng.random(n) < 0.5
    columns = {f"f{i}": np.where(child, -1, rng.integers(0, 30, n)).astype(str) for i in range(4)}
    frame = pl.DataFrame({"y": (~child & (rng.random(n) < 0.3)).astype(int), **columns})
    train, test = frame.head(9000), frame.tail(3000)
    assert RowCopies().check(view({"train": train, "test": test})) == []
    more = pl.concat([test, test.filter(pl.Series(child[9000:]))])  # twice as many children are no copies
    assert RowCopies().check(view({"train": train, "test": more})) == []
    leaked = pl.concat([test.head(2700), train.head(300)])
    found = RowCopies().check(view({"train": train, "test": leaked}))
    assert [(f.severity, round(f.number or 0, 1)) for f in found] == [("warn", 0.1)]


def test_rows_that_were_written_twice() -> None:
    frame = census_like(6000).with_columns(user="u" + (pl.int_range(6000) % 900).cast(pl.String))
    twice = pl.concat([frame, frame.gather_every(4)])
    found = RowCopies().check(view(twice, split=SplitConfig(use="hash")))
    assert [f.severity for f in found] == ["warn"]
    assert "training rows are pairs" in found[0].evidence
    numbered = twice.with_columns(id="r" + pl.int_range(pl.len()).cast(pl.String))
    assert len(RowCopies().check(view(numbered, split=SplitConfig(use="hash")))) == 1  # a row number hides nothing


def test_label_noise_by_hand() -> None:
    # Four cells of 500 rows with rates 0, 0.2, 0.5 and 1 in every split.
    cells = np.repeat(np.arange(4), 500)
    y = np.concatenate([np.zeros(500), np.arange(500) % 5 == 0, np.arange(500) % 2 == 0, np.ones(500)]).astype(int)
    part = pl.DataFrame({"y": y, "a": cells.astype(str), "b": (cells % 2).astype(str)})
    found = LabelNoise().check(view({"train": part, "valid": part, "test": part}))
    assert [(f.severity, f.number) for f in found] == [("note", 0.5)]
    # Errors 0, .2, .5, 0 of a fourth of the rows each; log-loss (0 + .5004 + .6931 + 0) / 4.
    assert "errs on fewer than 17.5%" in found[0].evidence
    assert "log-loss under 0.298" in found[0].evidence
    from sklearn.metrics import roc_auc_score

    best = roc_auc_score(y, np.array([0, 0.2, 0.5, 1])[cells])
    assert f"AUC over {best:.3f}" in found[0].evidence


def test_label_noise_reads_no_test_label() -> None:
    frame = census_like(4000)
    other = frame.tail(1000).with_columns(y=1 - pl.col("y"))
    one = LabelNoise().check(view({"train": frame.head(3000), "test": frame.tail(1000)}))
    two = LabelNoise().check(view({"train": frame.head(3000), "test": other}))
    assert one == two
    assert len(one) == 1


def test_a_table_of_row_numbers_only_is_not_compared() -> None:
    frame = pl.DataFrame({"y": [0, 1] * 500, "id": [f"r{i}" for i in range(1000)]})
    shown = view(frame)
    assert shown.row_groups is None
    assert RowCopies().check(shown) == LabelNoise().check(shown) == []
