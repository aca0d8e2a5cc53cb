from __future__ import annotations

import numpy as np
import pytest

from ctrsel.data.scratch import mapped_arrays
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.net import NetLearner
from ctrsel.train.sending import packed, unpacked


def through(value):
    data, buffers = packed(value)
    return unpacked(data, [bytearray(b) for b in buffers])


@pytest.mark.parametrize("table", [tiny_table(), sequence_table()])
def test_a_table_arrives_as_it_was(table, tmp_path):
    assert Table.save(through(table), tmp_path / "a") is None
    table.save(tmp_path / "b")
    assert Table.load(tmp_path / "a").digest == Table.load(tmp_path / "b").digest == table.digest


def test_mapped_arrays_go_by_their_file(tmp_path):
    table = tiny_table(rows=3000)
    table.save(tmp_path / "t")
    mapped = Table.load(tmp_path / "t").part("valid")  # views into the files
    assert packed(dict(mapped.columns))[1] == []
    found = through(mapped)
    for name, column in mapped.columns.items():
        assert isinstance(found.columns[name], np.memmap)
        np.testing.assert_array_equal(found.columns[name], column)
    np.testing.assert_array_equal(found.labels, mapped.labels)


def test_what_others_cannot_open_is_copied(tmp_path):
    [scratch] = mapped_arrays([(5, np.dtype(np.int64))], folder=tmp_path)
    scratch[:] = range(5)
    strided = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.int64, shape=(4, 3))
    strided[:] = np.arange(12).reshape(4, 3)
    for array in (scratch, strided[:, 1], strided[:0]):
        found = through(array)
        assert not isinstance(found, np.memmap) or found.filename is None
        np.testing.assert_array_equal(found, array)


def test_a_model_and_a_learner_arrive_as_they_were():
    learner = NetLearner(backbone=DeepFM(hidden=(4,)), width=2, batch_size=64, max_epochs=1)
    model = learner.fit(tiny_table(rows=200).without("test"), seed=1).model
    found = through({"learner": learner, "model": model})
    assert found["learner"] == learner
    assert found["model"].digest == model.digest
