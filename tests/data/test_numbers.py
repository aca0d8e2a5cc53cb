from pathlib import Path

import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import DataError
from ctrsel.data.ingest import ingest

BIG = 2**53 + 2


def days(folder: Path, *columns: pl.Series) -> str:
    for i, column in enumerate(columns):
        frame = pl.DataFrame({"y": [0, 1] * (len(column) // 2), "id": column})
        frame.write_parquet(folder / f"day{i}.parquet")
    return f"{folder}/day*.parquet"


def categorical(**more) -> SchemaConfig:
    return SchemaConfig(label=LabelConfig(name="y"), fields={"id": FieldConfig(kind="categorical", **more)})


def test_ids_that_floats_have_rounded_beside_exact_ones_are_refused(tmp_path: Path) -> None:
    files = days(tmp_path, pl.Series([BIG, 7] * 20), pl.Series([7.0, float(BIG)] * 20))
    with pytest.raises(
        DataError, match=r"day1\.parquet: row 2 of column 'id' must be a float below 2\^53.*got 9007199254740994"
    ):
        ingest(files, schema=categorical())
    with pytest.raises(DataError, match="got a number; write"):
        ingest(files, schema=categorical(sensitive=True))


def test_small_ids_may_be_floats_in_some_files(tmp_path: Path) -> None:
    files = days(tmp_path, pl.Series([7, 8] * 20), pl.Series([7.0, 8.0] * 20))
    assert ingest(files, schema=categorical()).encoder.n_values == 2
    alone = days(tmp_path, pl.Series([float(BIG), 7.0] * 20), pl.Series([7.0, float(BIG)] * 20))
    assert ingest(alone, schema=categorical()).encoder.n_values == 2


def test_words_in_a_numeric_field_are_rejected_by_their_row(tmp_path: Path) -> None:
    text = "y,n\n" + "".join(f"{i % 2},{'word' if i in (3, 8) else i}\n" for i in range(60))
    (tmp_path / "x.csv").write_text(text)
    schema = SchemaConfig(label=LabelConfig(name="y"), fields={"n": FieldConfig(kind="numeric")})
    with pytest.raises(DataError, match=r"data\.train: column 'n': row 4 must be a number, got 'word' \(2 such rows\)"):
        ingest(tmp_path / "x.csv", schema=schema)
    table = ingest(tmp_path / "x.csv", schema=schema, settings=IngestConfig(tolerance=0.1), out=tmp_path / "store")
    assert table.n_rows == 58
    rejects = pl.read_csv(tmp_path / "store" / "rejects.csv")
    assert rejects["row"].to_list() == [4, 9]
    assert rejects["reason"].to_list() == ["column 'n' must be a number, got word"] * 2
