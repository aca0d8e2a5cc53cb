"""Memory is estimated before it is taken, and training from disk takes little of it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.data.blocks import Blocks
from ctrsel.data.open_rows import open_rows
from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.tree_columns import TreeColumns
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train import boosted_memory, net_memory
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.boosted_memory import boosted_bytes
from ctrsel.train.net import NetLearner

QUICK = NetLearner(backbone=DeepFM(hidden=(16,)), width=4, batch_size=64, learning_rate=5e-3, max_epochs=3)


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1500).without("test")


def test_trees_that_do_not_fit_are_refused_first(table, monkeypatch):
    monkeypatch.setattr(boosted_memory, "available_memory", lambda: 1000)
    with pytest.raises(ConfigError, match=r"boosted: \d+ rows of 6 columns need about .* are free"):
        BoostedLearner().fit(table, seed=1)


def test_bytes_of_trees_by_hand():
    table = tiny_table(rows=1000)
    columns = TreeColumns(table.encoder)
    train, valid = (table.splits[name][1] - table.splits[name][0] for name in ("train", "valid"))
    # site, ad and noise are all binned but for the rarest hundredth; the ids occur once each; hour and load are ordered.
    least = 6 * (6 * train + 8 * valid) + 40 * train + 63 * 16 * (2 * 256 + 4 + 11 + 7)
    assert least <= boosted_bytes(table, columns, leaves=63) <= least + 63 * 16 * 8


def test_a_net_that_does_not_fit_is_refused_and_only_its_rows_go_to_disk(table, monkeypatch):
    monkeypatch.setattr(net_memory, "available_memory", lambda: 1000)
    with pytest.raises(ConfigError, match=r"embedding rows of width 4 need .* raise min_count or lower width"):
        QUICK.fit(table, seed=1)
    monkeypatch.undo()
    opened = []

    def watched(*args, **settings):
        opened.append(open_rows(*args, **settings))
        return opened[-1]

    monkeypatch.setattr(net_memory, "open_rows", watched)
    monkeypatch.setattr("ctrsel.data.open_rows.in_memory_folder", lambda folder: False)
    monkeypatch.setattr("ctrsel.data.open_rows.available_memory", lambda: 800_000)
    monkeypatch.setattr("ctrsel.data.rows.RowMatrix.estimate", staticmethod(lambda *_: 700_000))
    QUICK.fit(table, seed=1)
    assert [type(rows) for rows in opened] == [Blocks]


@pytest.mark.parametrize("make", [tiny_table, sequence_table])
def test_blocks_train_as_well_as_memory_from_a_mapped_table(make, tmp_path):
    table = make(rows=1500).without("test")
    table.save(tmp_path / "t")
    fits = [
        replace(QUICK, rows=kind, max_epochs=6).fit(Table.load(tmp_path / "t"), seed=1) for kind in ("memory", "blocks")
    ]
    aucs = [fit.valid["auc"] for fit in fits]
    if make is tiny_table:  # the other one's signal is not one that this net sees
        assert aucs[0] == pytest.approx(aucs[1], abs=0.03)
        assert min(aucs) > 0.6
    for fit in fits:  # the intercept is set on the training rows
        part = table.part("train")
        mean = (1 / (1 + np.exp(-fit.model.logits(part)[:, 0].astype(np.float64)))).mean()
        assert mean == pytest.approx(part.label().mean(), abs=1e-4)
    again = replace(QUICK, rows="blocks", max_epochs=6).fit(table, seed=1)
    assert again.model.digest == fits[1].model.digest


def test_rows_must_be_a_known_kind():
    with pytest.raises(ConfigError, match=r"net\.rows: must be one of auto, memory, blocks, got 'disk'"):
        NetLearner(rows="disk")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_anonymous_memory_of_training_from_blocks_does_not_grow_with_the_rows(tmp_path):
    """A mapped table of 480 MB: reading, training, validating and centring take a fraction of it."""
    code = textwrap.dedent("""
        import sys, threading, time
        from dataclasses import replace
        import numpy as np
        from ctrsel.core.memory import anonymous_memory
        from ctrsel.data.scratch import mapped_arrays
        from ctrsel.models.backbones.deepfm import DeepFM
        from ctrsel.testing.tables import tiny_table
        from ctrsel.train.net import NetLearner

        n = int(sys.argv[1])
        tiny = tiny_table(rows=2000).without("test")
        columns, picked = {}, np.random.default_rng(0).integers(0, tiny.n_rows, n)
        out = mapped_arrays([(n, c.dtype) for c in tiny.columns.values()] + [(n, tiny.labels.dtype), (n, tiny.row.dtype)])
        for to, source in zip(out, [*tiny.columns.values(), tiny.labels[:, 0], tiny.row]):
            to[:] = source[picked]
        del picked
        table = replace(
            tiny, columns=dict(zip(tiny.columns, out)), labels=out[-2][:, None], row=out[-1],
            splits={"train": (0, n - n // 20), "valid": (n - n // 20, n)},
        )
        learner = NetLearner(backbone=DeepFM(hidden=(4,)), width=2, batch_size=16384, max_epochs=1, rows="blocks")
        learner.fit(tiny, seed=1)  # whatever torch takes at first
        before, peak, over = anonymous_memory(), 0, False

        def watch():
            global peak
            while not over:
                peak = max(peak, anonymous_memory())
                time.sleep(0.005)

        thread = threading.Thread(target=watch)
        thread.start()
        learner.fit(table, seed=1)
        over = True
        thread.join()
        print(peak - before)
    """)
    sizes = []
    for rows in (1_000_000, 4_000_000):
        done = subprocess.run(
            [sys.executable, "-c", code, str(rows)], check=True, capture_output=True, text=True, timeout=800
        )
        sizes.append(int(done.stdout))
    assert sizes[1] < 250 << 20
    assert sizes[1] - sizes[0] < 3_000_000 * 16
