from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.batches import batches
from ctrsel.models.backbones.autoint_plus import AutoIntPlus
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.embedding import to_inputs
from ctrsel.models.gates.optfs import OptFS
from ctrsel.models.layout import Layout
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.records.feature_set import FeatureSet
from ctrsel.stats.auc import auc
from ctrsel.stats.losses import log_loss
from ctrsel.testing.tables import tiny_table
from ctrsel.train.net import NetLearner
from ctrsel.train.optimisers.dense_adam import DenseAdam
from ctrsel.train.optimisers.lazy_adam import LazyAdam
from ctrsel.train.steps.bce import BCE

QUICK = NetLearner(
    backbone=DeepFM(hidden=(16,)), width=4, batch_size=64, learning_rate=5e-3, max_epochs=6, other_share=0.0
)


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1500).without("test")


@pytest.fixture(scope="module")
def searched(table):
    return QUICK.fit(table, gate=OptFS(epochs=8, rewind=1), seed=8)


def features_of(fit, table, **changes):
    given = {
        "fields": table.schema.names,
        "method": "gated",
        "params": {},
        "encoder": table.encoder.digest,
        "scores": fit.scores,
    }
    return FeatureSet.from_keep(fit.kept, **{**given, **changes})


def test_valid_metrics_are_those_of_the_returned_model(table):
    fit = QUICK.fit(table, seed=1)
    part = table.part("valid")
    z = fit.model.logits(part)[:, 0]
    assert fit.valid["auc"] == auc(part.label(), z.astype(np.float64))
    assert fit.valid["log_loss"] == pytest.approx(log_loss(part.label(), z.astype(np.float64)))


def test_the_protocol_drops_the_rate_stops_and_restores_the_best_epoch(table):
    fit = replace(QUICK, max_epochs=40).fit(table, seed=1)
    aucs = [h["valid_auc"] for h in fit.history]
    best, failed, rate = -1.0, 0, 5e-3
    for i, (h, a) in enumerate(zip(fit.history, aucs, strict=True)):
        assert h["lr"] == pytest.approx(rate)
        if a > best + 1e-6:
            best, failed = a, 0
        else:
            failed, rate = failed + 1, max(rate * 0.1, 1e-6)
        assert (failed == 2) == (i == len(aucs) - 1)
    assert fit.epochs == len(aucs) < 40
    assert fit.valid["auc"] == pytest.approx(max(aucs))


def test_threads_and_random_state_are_left_as_they_were(table):
    torch.manual_seed(5)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    replace(QUICK, max_epochs=1, threads=2).fit(table, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("merged", [False, True])
def test_l2_is_that_of_the_whole_table_in_the_loss(table, merged):
    """One step with the gradient added by hand equals one step of plain Adam on loss + (r / 2) sum n ||E||^2.

    n values share a row: as many as were merged, one otherwise.
    """
    shared = None
    if merged:
        remaps = {n: np.arange(v.size, dtype=np.uint32) for n, v in table.encoder.vocabularies.items()}
        remaps["ad"][4:7] = 3
        remaps["ad"][7:] = np.arange(4, 4 + len(remaps["ad"]) - 7)
        table = table.narrow(
            FeatureSet(
                fields=table.schema.names, remaps=remaps, other="learned", method="toy", params={},
                encoder=table.encoder.digest,
            )
        )  # fmt: skip
        shared = torch.from_numpy(Layout.of(table.encoder, history=False).shared(table.encoder))
        own = shared[table.encoder.offset("ad") :]
        assert own[:5].tolist() == [1, 1, 1, 4, 1]
        assert shared.sum() == len(shared) + 3
    else:
        assert Layout.of(table.encoder, history=False).shared(table.encoder) is None
    layout = Layout.of(table.encoder, history=False)
    nets = []
    for _ in range(2):
        torch.manual_seed(0)
        nets.append(Net(DeepFM(hidden=(8,), dropout=0.0), layout, width=3, labels=1))
        with torch.no_grad():
            for p in nets[-1].embedding.tables():
                p.normal_()
            nets[-1].embedding.zero_rows(torch.from_numpy(layout.rows(2)))
    batch = next(iter(batches(table, "train", size=32, seed=1)))
    inputs, labels = to_inputs(batch), torch.from_numpy(batch.labels)
    ours, theirs = nets
    DenseAdam().build(ours, learning_rate=1e-2, embedding_l2=0.3, clip=0.5, shared=shared).step(
        BCE().objective(ours, inputs, labels, None)
    )
    loss = torch.nn.functional.binary_cross_entropy_with_logits(theirs(inputs).logits, labels)
    of_codes = theirs.embedding.tables()
    times = torch.ones(layout.total_codes) if shared is None else shared
    loss = loss + 0.15 * sum((times * (p**2).reshape(len(p), -1).sum(1)).sum() for p in of_codes)
    floats = [p for p in theirs.embedding.parameters() if not any(p is t for t in of_codes)]
    loss = loss + 0.15 * sum((p**2).sum() for p in floats)
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-2)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    adam.step()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name, atol=2e-6, rtol=1e-4)


def test_integer_weights_are_copies_in_the_loss(table):
    torch.manual_seed(0)
    net = Net(DeepFM(hidden=(8,)), Layout.of(table.encoder, history=False), width=3, labels=1).eval()
    batch = next(iter(batches(table, "train", size=16, seed=1)))
    inputs, labels = to_inputs(batch), torch.from_numpy(batch.labels)
    weight = torch.arange(16).remainder(3).add(1).float()
    again = torch.repeat_interleave(torch.arange(16), weight.long())
    copied = inputs._replace(codes=inputs.codes[again], floats=inputs.floats[again])
    a = BCE().objective(net, inputs, labels, weight / weight.mean())
    b = BCE().objective(net, copied, labels[again], None)
    torch.testing.assert_close(a, b)


def test_all_weights_times_a_factor_is_the_same_training(table):
    weight = np.random.default_rng(0).uniform(0.5, 2, table.n_rows)
    fits = [replace(QUICK, max_epochs=2).fit(replace(table, weight=weight * k), seed=1) for k in (1, 8)]
    np.testing.assert_allclose(*(f.model.logits(table) for f in fits), atol=1e-5)


def test_rows_that_no_training_row_reaches_stay_zero(table):
    model = replace(QUICK, max_epochs=2).fit(table, seed=1).model
    main = model.predictor.net.embedding.main.detach()
    starts = np.array(list(table.encoder.offsets.values()))
    assert not main[starts + 1].any()
    assert not main[starts + 2].any()
    assert main[table.encoder.offsets["site"]].all()  # missing sites occur
    shared = replace(QUICK, max_epochs=2, other_share=0.1).fit(table, seed=1).model
    assert shared.predictor.net.embedding.main.detach()[starts + 1].all()


def test_a_last_batch_of_one_row_trains(table):
    span = table.span("train")
    size = span.stop - span.start - 1
    fit = replace(QUICK, batch_size=size, max_epochs=1).fit(table, seed=1)
    assert np.isfinite(fit.history[0]["loss"])


def test_a_loss_that_is_no_number_is_an_error(table):
    with pytest.raises(DataError, match="lower learning_rate"):
        replace(QUICK, learning_rate=1e30, backbone=DeepFM(hidden=(4,), batch_norm=False)).fit(table, seed=1)


def test_auxiliary_losses_enter_the_objective(table):
    torch.manual_seed(0)
    net = Net(DeepFM(hidden=(4,)), Layout.of(table.encoder, history=False), width=3, labels=1).eval()
    batch = next(iter(batches(table, "train", size=16, seed=1)))
    inputs, labels = to_inputs(batch), torch.from_numpy(batch.labels)

    class WithLoss(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return replace(self.inner(x), losses={"extra": torch.arange(16.0)[:, None]})

    weight = torch.linspace(0, 2, 16)
    plain = [BCE().objective(net, inputs, labels, w) for w in (None, weight)]
    net.backbone = WithLoss(net.backbone)
    for w, before, mean in ((None, plain[0], 7.5), (weight, plain[1], float((weight * torch.arange(16.0)).mean()))):
        torch.testing.assert_close(BCE(auxiliary=0.5).objective(net, inputs, labels, w), before + 0.5 * mean)


@pytest.mark.parametrize(
    "bad",
    [{"width": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"lr_drop": 0.0}, {"other_share": 1.0}, {"patience": 0}],
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError):
        NetLearner(**bad)


# Search


def test_a_search_of_many_rows_takes_fewer_epochs_and_its_schedule_ends_with_them(table, monkeypatch):
    monkeypatch.setattr("ctrsel.models.gates._contract._ENOUGH", 3.5 * len(table.labels[table.span("train")]))
    found = NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=64).fit(table, gate=OptFS(), seed=3)
    assert found.epochs == 4
    assert found.history[-1]["tau"] == pytest.approx(1000.0)


def test_a_search_takes_its_epochs_and_reports_them(searched, table):
    assert searched.epochs == 8
    taus = [h["tau"] for h in searched.history]
    assert taus == sorted(taus)
    assert taus[-1] == pytest.approx(1000.0)
    assert len({h["lr"] for h in searched.history}) == 1
    for name, v in table.encoder.vocabularies.items():
        assert searched.kept[name].shape == searched.scores[name].shape == (v.size,)
        np.testing.assert_array_equal(searched.kept[name], searched.scores[name] > 0)
        assert searched.kept[name][:3].all()
    free = np.concatenate([k[3:] for k in searched.kept.values()])
    assert searched.history[-1]["kept"] == pytest.approx(free.mean())


def test_the_search_keeps_signal_and_drops_the_row_number(searched, table):
    assert searched.kept["id"][3:].mean() < 0.2
    kept = {}
    for name in ("site", "ad"):
        v = table.encoder.vocabularies[name]
        kept |= dict(zip(v.values.to_list(), searched.kept[name][v.codes].tolist(), strict=True))
    strong = ("site1", "site2", "ad00", "ad01", "ad10", "ad11")  # by the way the table is made
    assert [name for name in strong if not kept[name]] == []
    assert searched.valid["auc"] > 0.65


def test_pruned_equals_hard_masked_on_every_row(searched, table):
    small = searched.model.narrow(features_of(searched, table, other="zero"))
    np.testing.assert_allclose(
        small.logits(table.narrow(features_of(searched, table))), searched.model.logits(table), atol=1e-6
    )


def test_pruned_equals_hard_masked_where_a_share_of_the_rows_trains_other(table):
    fit = replace(QUICK, batch_size=128, other_share=0.02).fit(table, gate=OptFS(epochs=5), seed=4)
    start = table.encoder.offsets["ad"] + 1
    assert fit.model.predictor.net.embedding.main.detach()[start].any()  # a new value meets a trained row
    features = features_of(fit, table, other="learned")  # the dropped values' rows are that of OTHER by now
    assert features.n_values < table.encoder.n_values
    small = fit.model.narrow(features)
    np.testing.assert_allclose(small.logits(table.narrow(features)), fit.model.logits(table), atol=1e-6)


def test_the_hard_model_is_the_hard_gate(table):
    """The scale is folded into the rows; a dropped value is OTHER, here a zero row as in the paper."""
    learner = replace(QUICK, batch_size=128)
    fit = learner.fit(table, gate=OptFS(epochs=5, rewind=0), seed=4)
    main = fit.model.predictor.net.embedding.main.detach()
    kept = np.concatenate([fit.kept[k] for k in table.encoder.vocabularies])
    reserved = Layout.of(table.encoder, history=False).reserved
    dropped = ~kept
    dropped[reserved] = False
    assert dropped.any()
    assert not main[dropped].any()


def test_step_zero_of_a_search_is_the_ungated_net(table):
    learner = replace(QUICK, max_epochs=1)
    layout = Layout.of(table.encoder, history=False)
    torch.manual_seed(0)
    net = Net(learner.backbone, layout, width=4, labels=1).eval()
    inputs = to_inputs(next(iter(batches(table, "valid", size=50))))
    plain = net(inputs).logits
    from ctrsel.models.gates._contract import SearchPlan

    net.gate = OptFS().build(
        SearchPlan(
            total_codes=layout.total_codes, reserved=layout.reserved, train_rows=100, steps=200, learning_rate=1e-3
        )
    )
    torch.testing.assert_close(net(inputs).logits, plain, atol=1e-7, rtol=1e-6)


def test_rewind_zero_is_the_start_times_the_scale(table):
    fit = replace(QUICK, batch_size=128).fit(table, gate=OptFS(epochs=5, rewind=0), seed=4)
    layout = Layout.of(table.encoder, history=False)
    from ctrsel.core.seeds import derive

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(4, "net", "weights"))
        net = Net(QUICK.backbone, layout, width=4, labels=1)
    net.embedding.zero_rows(torch.from_numpy(layout.untrained(table.encoder, other_share=0.0)))
    rate = table.label()[table.span("train")].mean(dtype=np.float64)
    net.prior.fill_(float(np.log(rate / (1 - rate))))
    got = fit.snapshot.predictor.net.weights()
    for key, value in net.weights().items():
        scale = 1.6065307 if key in ("embedding.main", "embedding.first") else 1.0
        torch.testing.assert_close(got[key].double(), value.double() * scale, msg=key, atol=1e-7, rtol=1e-6)


def test_retraining_starts_from_the_narrowed_snapshot(searched, table):
    features = features_of(searched, table)
    start = searched.snapshot.narrow(features)
    fit = replace(QUICK, max_epochs=1, learning_rate=1e-12).fit(table, features, start=start, seed=1)
    narrow = table.narrow(features)
    # Almost no step was taken: the weights are those of the start (running moments of the normalisation move).
    for key, value in start.predictor.net.weights().items():
        if "running" not in key and "num_batches" not in key and key != "prior":  # and the intercept is set
            torch.testing.assert_close(fit.model.predictor.net.weights()[key], value, atol=1e-7, rtol=1e-5)
    assert fit.model.encoder.digest == narrow.encoder.digest
    again = QUICK.fit(table, features, start=start, seed=1)
    assert again.valid["auc"] > 0.65
    assert again.model.n_parameters < searched.model.n_parameters


def test_a_start_that_does_not_fit_is_refused(searched, table):
    with pytest.raises(ConfigError, match="backbone and width"):
        replace(QUICK, width=5).fit(table, start=searched.snapshot, seed=1)
    assert isinstance(searched.snapshot.predictor, NetPredictor)


def test_a_search_too_short_to_close_a_gate_is_refused(table):
    with pytest.raises(ConfigError, match="no gate can close"):
        QUICK.fit(table, gate=OptFS(epochs=2, rewind=1, gate_lr=1e-4), seed=1)


def test_a_gate_works_on_any_backbone(table):
    learner = replace(QUICK, backbone=AutoIntPlus(layers=1, attention_width=8, heads=2, hidden=(8,)))
    fit = learner.fit(table, gate=OptFS(epochs=6), seed=1)
    small = fit.model.narrow(features_of(fit, table, other="zero"))
    np.testing.assert_allclose(small.logits(table.narrow(features_of(fit, table))), fit.model.logits(table), atol=1e-6)


def test_a_planted_set_of_values_is_found_among_equally_frequent_noise():
    """Five of a hundred values of each of two fields carry the label; all are equally frequent."""
    import polars as pl

    from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
    from ctrsel.data.ingest import ingest

    rng = np.random.default_rng(0)
    n = 12_000
    a, b = rng.integers(0, 100, n), rng.integers(0, 100, n)
    z = -0.5 + 3.0 * (a < 5) + 3.0 * (b < 5)
    frame = pl.DataFrame({"click": (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int), "a": a, "b": b})
    schema = SchemaConfig(
        label=LabelConfig(name="click"), fields={k: FieldConfig(kind="categorical") for k in ("a", "b")}
    )
    table = ingest(frame, schema=schema, seed=1).without("test")
    learner = NetLearner(backbone=DeepFM(hidden=(16,), dropout=0.0), width=4, batch_size=256, embedding_l2=1e-3)
    fit = learner.fit(table, gate=OptFS(epochs=10, penalty=5 / 12_000), seed=1)
    for name in ("a", "b"):
        vocabulary = table.encoder.vocabularies[name]
        found = {
            int(v) for v, c in zip(vocabulary.values.to_list(), vocabulary.codes, strict=True) if fit.kept[name][c]
        }
        assert {0, 1, 2, 3, 4} <= found
        assert len(found) <= 15


def test_a_large_table_under_a_rule_that_moves_all_of_it_is_said(table, monkeypatch, caplog):
    monkeypatch.setattr("ctrsel.train.net._LARGE", 20)
    with caplog.at_level("WARNING", logger="ctrsel"):
        replace(QUICK, max_epochs=1, optimiser=LazyAdam()).fit(table, seed=1)
        assert not caplog.text
        replace(QUICK, max_epochs=1).fit(table, seed=1)
    assert f"dense_adam moves all {table.encoder.total_codes:,} embedding rows in every step" in caplog.text


def test_threads_do_not_take_each_other_s_draws(table):
    """Dropout and first weights come from one generator of the process: trainings in threads are those of one alone."""
    learner = replace(QUICK, backbone=DeepFM(hidden=(16,), dropout=0.3), max_epochs=2)
    alone = learner.fit(table, seed=3).model.digest
    before = torch.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda seed: learner.fit(table, seed=seed).model.digest, [3, 4, 3]))
    assert found[0] == found[2] == alone != found[1]
    assert bool((torch.get_rng_state() == before).all())
