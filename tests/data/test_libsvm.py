from pathlib import Path

import pytest

from ctrsel.core.errors import DataError
from ctrsel.data.libsvm import LibsvmReader, read_libsvm
from ctrsel.data.rejects import Rejects
from ctrsel.data.text_blocks import RowFaults


def read(tmp_path: Path, content: str | bytes, rows: int | None = None):
    file = tmp_path / "a.libsvm"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_libsvm(str(file), rows=rows).to_dict(as_series=False)


ONE_HOT = {"label": ["1", "0"], "f1": ["1", "3"], "f2": ["7", "8"]}


@pytest.mark.parametrize(
    "content",
    [
        "1 1:1 7:1\n0 3:1 8:1\n",
        "1 1:1 7:1\n0 3:1 8:1",
        "1  1:1\t7:1 \r\n0 3:1 8:1\r\n",
        "# made by hand\n1 1:1 7:1 # note\n\n0 3:1.0 8:1\n\n",
    ],
)
def test_good_lines(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == ONE_HOT


def test_numbers_other_than_one_are_values(tmp_path: Path) -> None:
    assert read(tmp_path, "-1 1:0.5 7:1\n1 1:-2e3 7:1\n") == {
        "label": ["-1", "1"],
        "f1": ["0.5", "-2e3"],
        "f2": ["7", "7"],
    }
    assert read(tmp_path, "1 1:1\n0 2:1\n0 3:1\n", rows=2) == {"label": ["1", "0"], "f1": ["1", "2"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 1:1 7:1\n0 3:1\n", "line 2 must have 2 pairs like line 1, got 1"),
        ("1 1:1 7:1\n\n0 3:1\n", "line 3 must have 2 pairs like line 1, got 1"),
        ("1 1:1\n0 x:1\n", "line 2 must hold pairs `index:value`, got 'x:1'"),
        ("1 1:1\n0 3\n", "line 2 must hold pairs `index:value`, got '3'"),
        ("1 1:1e\n0 3:1\n", "line 1 must hold pairs `index:value`, got '1:1e'"),
        ("1 1:-\n0 3:1\n", "got '1:-'"),
        ("1\n0\n", "line 1 must be `label index:value ...`, got '1'"),
        ("\n\n", "a.libsvm: "),
        ("# nothing\n", "holds no rows"),
        (b"1 1:1\n0 \xff:1\n", "cannot be read as libSVM text: invalid utf-8"),
    ],
)
def test_bad_lines(tmp_path: Path, content, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_faulty_rows_only(tmp_path: Path) -> None:
    file = tmp_path / "a.libsvm"
    file.write_text("no pair\nnor here\n")
    faults = RowFaults(rejects=Rejects(tolerance=0.5), part="train", file=str(file))
    with pytest.raises(
        DataError, match=r"every row had to be rejected; must be `label index:value \.\.\.`, got 'no pair'"
    ):
        list(LibsvmReader(path=str(file), faults=faults).pieces())
