from __future__ import annotations

import gc
import os
import shutil

import numpy as np
import pytest

from ctrsel.core.errors import DataError
from ctrsel.data.scratch import in_memory_folder, mapped_arrays, scratch_file


def test_a_file_without_a_name(tmp_path) -> None:
    with scratch_file(1 << 16, folder=tmp_path) as file:
        assert os.fstat(file.fileno()).st_size == 1 << 16
        assert list(tmp_path.iterdir()) == []


def test_more_than_the_disk_holds_is_one_sentence(tmp_path) -> None:
    more = shutil.disk_usage(tmp_path).total * 2
    with pytest.raises(DataError, match=r"GiB of scratch are needed here, but it is full; set TMPDIR"):
        scratch_file(more, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_mapped_and_apart(tmp_path) -> None:
    shapes = [(1000, np.dtype(np.uint8)), (7, np.dtype(np.uint32)), (0, np.dtype(np.uint16)), (9, np.dtype(np.uint16))]
    arrays = mapped_arrays(shapes, folder=tmp_path)
    for i, (array, (length, dtype)) in enumerate(zip(arrays, shapes, strict=True)):
        assert isinstance(array, np.memmap) or length == 0
        assert (array.shape, array.dtype) == ((length,), dtype)
        array[:] = i + 1
    assert [set(a.tolist()) for a in arrays] == [{1}, {2}, set(), {4}]
    assert [len(a) for a in mapped_arrays([(0, np.dtype(np.uint8))])] == [0]
    kept = arrays[1]
    del arrays
    gc.collect()
    assert kept.sum() == 14  # the file lives as long as one of them
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_memory_is_told(tmp_path) -> None:
    assert isinstance(in_memory_folder(tmp_path), bool)
    if os.path.ismount("/dev/shm"):
        from pathlib import Path

        assert in_memory_folder(Path("/dev/shm"))
