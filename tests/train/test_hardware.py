from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.testing.tables import tiny_table
from ctrsel.train import hardware
from ctrsel.train.hardware import autocast, device_of, faster_threads, torch_threads
from ctrsel.train.net import NetLearner

QUICK = NetLearner(backbone=DeepFM(hidden=(16,)), width=4, batch_size=256, learning_rate=1e-2, max_epochs=2)


def test_the_number_of_threads_is_one_of_those_that_were_timed_and_nothing_else_changes():
    before = torch.get_num_threads()
    assert faster_threads(most=1) == 1
    assert faster_threads(most=2, turns=1) in (1, 2)
    assert torch.get_num_threads() == before


def test_more_threads_must_win_clearly(monkeypatch):
    """A clock that says what each number of threads takes decides."""
    for seconds, chosen in (
        ({1: 1.0, 2: 0.9, 4: 0.8}, 1),
        ({1: 1.0, 2: 0.5, 4: 0.45}, 2),
        ({1: 1.0, 2: 4.0, 4: 0.3}, 4),
    ):
        now = [0.0]

        def clock(now=now, seconds=seconds):
            now[0] += seconds[torch.get_num_threads()] / 2
            return now[0]

        monkeypatch.setattr(hardware.time, "perf_counter", clock)
        assert faster_threads(most=4) == chosen


def test_threads_are_set_and_given_back():
    before = torch.get_num_threads()
    with torch_threads(2) as number:
        assert number == torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_processes_that_share_a_machine_divide_its_processors(monkeypatch):
    most = []
    monkeypatch.setattr(hardware, "faster_threads", lambda *, most=None, turns=5, seen=most: seen.append(most) or 1)
    monkeypatch.setattr(hardware, "_usable", lambda: 8)
    for sharers in (1, 3, 16):
        with torch_threads("auto", sharers=sharers):
            pass
    assert most == [8, 2, 1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    assert device_of("auto").type == device_of("cpu").type == "cpu"
    with pytest.raises(ConfigError, match=r"net.device: 'cuda' was asked for, but torch finds no GPU"):
        replace(QUICK, device="cuda").fit(tiny_table(rows=300).without("test"), seed=1)


def test_precision_is_that_of_the_device_only_where_it_gains(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert isinstance(autocast(cpu, "auto"), contextlib.nullcontext)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    a = torch.ones(4, 4)
    with autocast(cpu, "auto"):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(cpu, "float32"):
        assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize("name", ["device", "precision", "rows"])
def test_an_unknown_choice_lists_the_known_ones(name):
    with pytest.raises(ConfigError, match=rf"net.{name}: must be one of .*, got 'gpu8'"):
        replace(QUICK, **{name: "gpu8"})


def test_bfloat16_products_train_float32_weights_to_a_like_model():
    table = tiny_table(rows=1500).without("test")
    exact, rounded = QUICK.fit(table, seed=1), replace(QUICK, precision="bfloat16").fit(table, seed=1)
    assert all(w.dtype in (torch.float32, torch.int64) for w in rounded.model.predictor.net.weights().values())
    assert rounded.model.digest != exact.model.digest
    assert rounded.valid["auc"] == pytest.approx(exact.valid["auc"], abs=0.02)
