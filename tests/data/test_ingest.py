from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ctrsel.core.config import DataConfig, FieldConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.data.append import append
from ctrsel.data.ingest import ingest
from ctrsel.data.intake import source_files
from ctrsel.testing.tables import tiny_frame, tiny_table

N = 200


def base() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "y": rng.integers(0, 2, N),
            "a": rng.integers(0, 5, N),
            "n": np.arange(N),
            "t": [f"2024-01-{1 + i % 28:02d}" for i in range(N)],
            "w": rng.random(N),
            "h": [[1, 2], []] * (N // 2),
        }
    )


def at(row: int, value: object, otherwise: str) -> pl.Expr:
    return (
        pl.when(pl.int_range(pl.len()) == row)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value))
        .otherwise(pl.col(otherwise))
    )


def run(data, *, label: str = "y", positive: str | None = None, split: SplitConfig | None = None, **schema):
    return ingest(data, schema=SchemaConfig(label=LabelConfig(name=label, positive=positive), **schema), split=split)


def test_labels_weights_groups_times_and_rows_go_along() -> None:
    frame = base()
    table = run(frame, time="t", weight="w", group="a", split=SplitConfig(use="time"))
    assert table.schema.names == ("a", "n", "h")  # the group stays a field
    assert np.array_equal(np.sort(table.row), np.arange(N))
    assert np.array_equal(table.label(), frame["y"][table.row].to_numpy())
    assert np.array_equal(table.weight, frame["w"][table.row].to_numpy())
    days = frame["t"][table.row].str.slice(8).cast(int).to_numpy()
    assert np.array_equal(np.argsort(np.unique(table.time)), np.arange(28))
    assert np.array_equal(np.unique(table.time, return_inverse=True)[1] + 1, days)
    assert len({(g, v) for g, v in zip(table.group.tolist(), frame["a"][table.row].to_list(), strict=True)}) == 5
    assert {len(x) for x in (table.labels, table.weight, table.group, table.time)} == {N}


@pytest.mark.parametrize(
    "values", [[0, 1], [0.0, 1.0], [False, True], ["0", "1"], ["no", "yes"], [-1, 1], ["N", "Y"], ["-1.0", "1.0"]]
)
def test_label_forms_that_need_no_word(values) -> None:
    y = base()["y"]
    frame = base().with_columns(y=pl.Series([values[i] for i in y]))
    table = run(frame)
    assert np.array_equal(table.label(), y[table.row].to_numpy())


def test_the_positive_value_can_be_said() -> None:
    frame = base().with_columns(y=pl.Series(["bad" if v else "good" for v in base()["y"]]))
    with pytest.raises(ConfigError, match=r"schema\.label\.positive: say which of 'bad' and 'good'"):
        run(frame)
    assert run(frame, positive="good").label().mean() == pytest.approx((base()["y"] == 0).mean())


def test_inference() -> None:
    frame = pl.DataFrame(
        {
            "y": [0, 1] * 50,
            "few": [i % 20 for i in range(100)],
            "many": list(range(100)),
            "text": [str(i) for i in range(100)],
            "flag": [True, False] * 50,
            "list": [["a"]] * 100,
            "nothing": [None] * 100,
        }
    )
    table = run(frame)
    kinds = {f.name: (f.kind, f.bucket) for f in table.schema.fields}
    assert kinds == {
        "few": ("categorical", None),
        "many": ("numeric", "quantile"),
        "text": ("categorical", None),  # a typed source chose text
        "flag": ("categorical", None),
        "list": ("multivalued", None),
        "nothing": ("categorical", None),
    }
    assert run(frame, infer=False, fields={"few": FieldConfig()}).schema.names == ("few",)
    assert run(frame, ignore=("many", "list")).schema.names == ("few", "text", "flag", "nothing")


def test_text_files_have_numbers_as_texts(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "y": [0, 1] * 50,
            "n": [i / 2 for i in range(100)],
            "zip": [f"{i:05d}" for i in range(100)],
            "e": ["", "x"] * 50,
        }
    )
    frame.write_csv(tmp_path / "a.csv")
    table = run(str(tmp_path / "a.csv"))
    assert {f.name: f.kind for f in table.schema.fields} == {"n": "numeric", "zip": "categorical", "e": "categorical"}
    frame.write_parquet(tmp_path / "a.parquet")
    typed = run(str(tmp_path / "a.parquet"))
    assert typed.encoder.digest == table.encoder.digest
    assert typed.digest == table.digest


def test_pandas_arrow_and_files_give_the_same_table(tmp_path: Path) -> None:
    frame = tiny_frame()
    frame.write_parquet(tmp_path / "t.parquet")
    one = ingest(frame, label="click")
    for same in (
        frame.to_pandas(),
        frame.to_arrow(),
        frame.lazy(),
        tmp_path / "t.parquet",
        str(tmp_path / "t.parquet"),
        {"train": frame},
    ):
        assert ingest(same, label="click").digest == one.digest
    again = frame.to_pandas().set_index(pd.Index(range(400, 800)))
    assert ingest(again, label="click").digest == one.digest
    assert ingest(DataConfig(train=str(tmp_path / "t.parquet")), label="click").digest == one.digest


def test_files_by_split() -> None:
    frame = base()
    table = run({"train": frame, "valid": frame.head(50), "test": frame.tail(60)})
    assert dict(table.splits) == {"train": (0, 200), "valid": (200, 250), "test": (250, 310)}
    assert table.row.tolist() == list(range(310))
    more = frame.tail(60).with_columns(strange=pl.lit(1), h=pl.lit([], dtype=pl.List(pl.Null)), a=pl.lit(None))[:, ::-1]
    table = run({"train": frame, "test": more})
    assert "strange" not in table.columns
    assert (table.part("test").columns["a"] == 0).all()


CASES: dict[str, tuple[object, dict[str, object], str]] = {
    "no label column": (base(), {"label": "yy"}, r"schema\.label: unknown column 'yy'; did you mean 'y'"),
    "one label value": (base().with_columns(y=1), {}, r"label 'y': must have exactly two values, got 1: '1'"),
    "three label values": (base().with_columns(y=pl.int_range(N) % 3), {}, "exactly two values, got 3: '0', '1', '2'"),
    "many label values": (base().with_columns(y=pl.int_range(N)), {}, "got 200: .*, \\.\\.\\."),
    "a row without a label": (
        base().with_columns(y=at(5, pl.lit(None), "y")),
        {},
        r"data\.train: label 'y': every row needs a label, but row 6 has none \(1 such rows\)",
    ),
    "a test row without a label": (
        {"train": base(), "test": base().with_columns(y=at(7, pl.lit(None), "y"))},
        {},
        r"data\.test: label 'y': .* row 8 has none",
    ),
    "a new label in valid": (
        {"train": base(), "valid": base().with_columns(y=at(2, 2, "y"))},
        {},
        r"data\.valid: label 'y': row 3 must have one of the training values '0' and '1', got '2'",
    ),
    "a positive that is not there": (base(), {"positive": "7"}, "positive value '7' does not occur; values: '0', '1'"),
    "unknown field": (
        base(),
        {"fields": {"aa": FieldConfig()}},
        r"schema\.fields: unknown column 'aa'; did you mean 'a'",
    ),
    "unknown ignored column": (base(), {"ignore": ("aa",)}, r"schema\.ignore: unknown column 'aa'"),
    "unknown time": (base(), {"time": "tt"}, r"schema\.time: no column 'tt' in the data; columns: y, a"),
    "label as weight": (base(), {"weight": "y"}, "a column has one role, but 'y'"),
    "label as field": (base(), {"fields": {"y": FieldConfig()}}, r"schema\.fields\.y: a column has one role"),
    "label ignored": (base(), {"ignore": ("y",)}, r"schema\.ignore: a column has one role"),
    "field ignored": (
        base(),
        {"ignore": ("a",), "fields": {"a": FieldConfig()}},
        r"schema\.fields\.a: a column has one role",
    ),
    "nothing left": (base(), {"ignore": ("a", "n", "t", "w", "h")}, "no column is left to be a field"),
    "text in a number": (
        base().with_columns(n=at(150, "many", "n")),
        {"fields": {"n": FieldConfig(kind="numeric")}},
        r"data\.train: column 'n': row 151 must be a number, got 'many' \(1 such rows\)",
    ),
    "text in a test number": (
        {"train": base().cast({"n": pl.String}), "test": base().with_columns(n=pl.lit("?"))},
        {"fields": {"n": FieldConfig(kind="numeric")}},
        r"data\.test: column 'n': row 1 must be a number, got '\?' \(200 such rows\)",
    ),
    "list as a number": (base(), {"fields": {"h": FieldConfig(kind="numeric")}}, "column 'h': .*got List"),
    "list as a category": (base(), {"fields": {"h": FieldConfig(kind="categorical")}}, "column 'h': .*got List"),
    "bytes": (base().with_columns(b=pl.lit(b"x")), {}, "column 'b': .*got Binary"),
    "struct": (base().with_columns(b=pl.struct("a", "n")), {}, "column 'b': .*got Struct"),
    "no time": (
        base().with_columns(t=pl.lit("soon")),
        {"time": "t"},
        r"data\.train: row 1 of column 't' must be a time or a whole number, got 'soon'",
    ),
    "one bad time": (
        base().with_columns(t=at(3, "soon", "t")),
        {"time": "t"},
        r"data\.train: row 4 of column 't' .*got 'soon'",
    ),
    "null time": (base().with_columns(t=at(3, pl.lit(None), "t")), {"time": "t"}, r"row 4 of column 't' .*got None"),
    "list time": (base(), {"time": "h"}, r"schema\.time: column 'h' must hold times or numbers, got List"),
    "negative weight": (
        {"train": base(), "test": base().with_columns(w=at(9, -1.0, "w"))},
        {"weight": "w"},
        r"data\.test: row 10 of column 'w' must be a weight from 0 to 1e\+12, got -1\.0",
    ),
    "weight that is no number": (
        base().with_columns(w=at(9, float("nan"), "w")),
        {"weight": "w"},
        "row 10 of column 'w'",
    ),
    "infinite weight": (base().with_columns(w=at(9, float("inf"), "w")), {"weight": "w"}, "row 10 of column 'w'"),
    "weight in words": (
        base().with_columns(w=pl.lit("heavy")),
        {"weight": "w"},
        "row 1 of column 'w' must be a weight from 0 to 1e\\+12, got 'heavy'",
    ),
    "empty frame": (base().head(0), {}, r"data\.train: has no rows"),
    "empty test": ({"train": base(), "test": base().head(0)}, {}, r"data\.test: has no rows"),
    "missing test column": (
        {"train": base(), "test": base().drop("a")},
        {},
        r"data\.test: must have the training columns, but 'a' is missing",
    ),
    "other test type": (
        {"train": base(), "test": base().with_columns(a=pl.lit("x"))},
        {},
        r"data\.test: column 'a' must have the training type Int64, got String",
    ),
    "no train": ({"test": base()}, {}, r"needs 'train' and may have 'valid' and 'test', got \['test'\]"),
    "strange split": ({"train": base(), "dev": base()}, {}, r"got \['dev', 'train'\]"),
    "not data": (7, {}, "expected a path, a polars or pandas frame"),
    "no split file": (base(), {"split": SplitConfig(use="files")}, r"split\.use: 'files' needs a valid file"),
    "no time to split by": (base(), {"split": SplitConfig(use="time")}, r"split\.use: 'time' needs schema\.time"),
    "bucket of a category": (
        base(),
        {"fields": {"a": FieldConfig(kind="categorical", bucket="log2")}},
        r"schema\.fields\.a\.bucket: belongs to numeric",
    ),
    "one bin": (base(), {"fields": {"n": FieldConfig(bins=1)}}, r"schema\.fields\.n\.bins: .*got 1"),
    "no bins": (base(), {"fields": {"n": FieldConfig(bins=0)}}, r"schema\.fields\.n\.bins: .*got 0"),
    "minimum count of zero": (
        base(),
        {"fields": {"a": FieldConfig(min_count=0)}},
        r"schema\.fields\.a\.min_count: .*got 0",
    ),
    "length of zero": (base(), {"fields": {"h": FieldConfig(max_length=0)}}, r"schema\.fields\.h\.max_length: .*got 0"),
    "unknown vocabulary": (
        base(),
        {"fields": {"h": FieldConfig(vocabulary="aa")}},
        r"schema\.fields\.h\.vocabulary: unknown field 'aa'; did you mean 'a'",
    ),
    "chain of vocabularies": (
        base(),
        {"fields": {"h": FieldConfig(vocabulary="a"), "a": FieldConfig(vocabulary="t")}},
        r"schema\.fields\.h\.vocabulary: 'a' uses the vocabulary of 't'; name that one",
    ),
    "quantiles that share": (
        base(),
        {"fields": {"w": FieldConfig(vocabulary="n")}},
        r"schema\.fields\.w\.vocabulary: only categories, lists and log2 buckets can share",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_clear_sentence(case: str) -> None:
    data, schema, message = CASES[case]
    with pytest.raises((ConfigError, DataError), match=message) as caught:
        run(data, **schema)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, CtrselError)


def test_words_in_a_test_file_of_numbers(tmp_path: Path) -> None:
    frame = pl.DataFrame({"y": [0, 1] * 50, "n": range(100)})
    frame.write_csv(tmp_path / "train.csv")
    frame.with_columns(n=pl.lit("many")).write_csv(tmp_path / "test.csv")
    files = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")}
    with pytest.raises(
        DataError, match=r"data\.test: column 'n': row 1 must be a number, got 'many'.*make it categorical"
    ):
        run(files)
    table = run(files, fields={"n": FieldConfig(kind="categorical")})  # the advice works
    assert table.schema.field("n").kind == "categorical"
    with pytest.raises(DataError, match="no column is left"):
        run(files, ignore=("n",))


def test_config_of_files() -> None:
    with pytest.raises(ConfigError, match=r"data\.train: name the training file"):
        source_files(DataConfig(test="a.parquet"))
    with pytest.raises(ConfigError, match="name a dataset or files, not both"):
        source_files(DataConfig(dataset="census_income", train="a.parquet"))
    with pytest.raises(ConfigError, match="unknown dataset 'sensus_income'; did you mean 'census_income'"):
        source_files(DataConfig(dataset="sensus_income"))
    with pytest.raises(ConfigError, match="label: name the label column"):
        ingest(base())


def test_settings_and_seed() -> None:
    assert tiny_table(min_count=50).encoder.n_values < tiny_table().encoder.n_values
    frame = base()
    assert run(frame).digest == run(frame).digest
    some = ingest(frame, label="y", seed=1)
    assert not np.array_equal(some.row, ingest(frame, label="y", seed=2).row)
    log2 = ingest(frame, label="y", settings=IngestConfig(numeric_bucket="log2"))
    assert log2.schema.field("n").bucket == "log2"
    plain = ingest(frame, label="y", settings=IngestConfig(numeric_bucket="none"))
    assert plain.float_fields == ("n", "w")
    long = ingest(
        frame,
        schema=SchemaConfig(label=LabelConfig(name="y"), fields={"h": FieldConfig(kind="sequence")}),
        settings=IngestConfig(max_length=1),
    )
    assert set(np.diff(long.columns["h"].offsets)) == {0, 1}


def test_a_shipped_dataset_reads() -> None:
    table = ingest(
        DataConfig(dataset="census_income", rows=3000),
        schema=SchemaConfig(label=LabelConfig(name="label"), ignore=("instance_weight",)),
    )
    assert table.n_rows == 6000
    assert len(table.schema.fields) == 40
    assert 0.03 < table.label().mean() < 0.1


SECRET = FieldConfig(sensitive=True)
FAULTS = {
    "cells.csv": lambda rows: ["y,s,n", *(f"{i % 2},SECRET{i},{i}" for i in range(rows)), "1,SECRET,3,SECRET"],
    "quotes.csv": lambda rows: [
        "y,s,n",
        *(f"{i % 2},SECRET{i},{i}" for i in range(rows)),
        '1,SE"SECRET,3',
        '1,"SECRET',
    ],
    "numbers.csv": lambda rows: ["y,s,n", *(f"{i % 2},SECRET{i},{i}" for i in range(rows)), "1,a,SECRET"],
    "lines.ndjson": lambda rows: [
        *(f'{{"y": {i % 2}, "s": "SECRET{i}", "n": {i}}}' for i in range(rows)),
        '"SECRET"',
        '{"SECRET',
    ],
    "pairs.libsvm": lambda rows: [*(f"{i % 2} {i}:1 {i % 7}:1" for i in range(rows)), "1 SECRET 3:1", "SECRET"],
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_text_of_a_sensitive_field_is_told(tmp_path: Path, name: str, caplog) -> None:
    """Not in an error, not in the log, not in the file of rejected rows, and not when rows are added."""
    names = ("f1", "f2") if name.endswith("libsvm") else ("s", "n")
    label = LabelConfig(name="label" if name.endswith("libsvm") else "y")
    kinds = {names[1]: FieldConfig(sensitive=True, kind="numeric" if names[1] == "n" else None)}
    how = {"schema": SchemaConfig(label=label, fields={names[0]: SECRET, **kinds})}
    file = tmp_path / name
    file.write_text("\n".join(FAULTS[name](100)) + "\n")
    caplog.set_level("DEBUG", logger="ctrsel")
    with pytest.raises(DataError) as told:
        ingest(str(file), **how)
    table = ingest(str(file), **how, settings=IngestConfig(tolerance=0.1), out=tmp_path / "store")
    more = tmp_path / f"more_{name}"
    more.write_text("\n".join(FAULTS[name](200)) + "\n")
    append(tmp_path / "store", str(more))
    written = (tmp_path / "store" / "rejects.csv").read_text()
    assert table.n_rows == 100
    assert written.count("\n") > 2
    logged = "".join(str(vars(r)) for r in caplog.records)
    assert "SECRET" not in str(told.value) + written + logged
    if names[1] == "n":
        with pytest.raises(DataError, match="must be a number, got a text") as told:
            table.encoder.encode(pl.DataFrame({"s": ["a"], "n": ["SECRET"]}))
        assert "SECRET" not in str(told.value)


def test_the_table_tells_what_became_of_all_rows(tmp_path: Path) -> None:
    frame = base().with_columns(y=at(3, None, "y"))
    table = ingest(frame, label="y", settings=IngestConfig(tolerance=0.1))
    assert table.tally is not None
    assert table.tally.sentence() == "200 rows read, 199 stored, 1 rejected"
    assert table.part("train").tally == table.tally
    stored = ingest(frame, label="y", settings=IngestConfig(tolerance=0.1), out=tmp_path / "store")
    assert stored.tally == table.tally
