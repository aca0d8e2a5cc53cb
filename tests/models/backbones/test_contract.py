"""Every backbone file meets the contract; new files are found by themselves."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace

import numpy as np
import polars as pl
import pytest
import torch

from ctrsel.core.catalog import describe
from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.core.ranges import Between, OneOf, ranges
from ctrsel.data.batches import batches
from ctrsel.data.ingest import ingest
from ctrsel.models.backbones import CATALOG, Backbone
from ctrsel.models.backbones._mlp import BatchNorm, Dropout, Layers
from ctrsel.models.backbones.lr import LR
from ctrsel.models.embedded import Embedded, InputShape
from ctrsel.models.embedding import to_inputs
from ctrsel.models.layout import Layout
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.models.slots import picked
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.net import NetLearner

CATALOGUED: list[type[Backbone]] = [CATALOG.load(name) for name in CATALOG.names()]
BACKBONES: list[type[Backbone]] = [*CATALOGUED, TargetAttention]


def tried(component, value_range):
    """Return what a range can give at its ends."""
    if isinstance(value_range, OneOf):
        return value_range.options
    assert isinstance(value_range, Between)
    return [int(v) if value_range.whole else v for v in (value_range.low, value_range.high)]


def small(cls: type[Backbone]) -> Backbone:
    """Return a backbone with the smallest perceptrons that its ranges know and few layers, so that tests are quick."""
    settings = {}
    for name, found in ranges(cls).items():
        if isinstance(found, Between):
            settings |= {name: int(min(found.low + 1, found.high))} if found.whole else {}
        elif all(isinstance(v, tuple) for v in found.options):
            settings[name] = min(found.options, key=sum)
        elif all(type(v) is int for v in found.options):
            settings[name] = min(found.options)
    return cls(**settings)


def variants() -> list[Backbone]:
    """Return each backbone and, of each parameter that names one of some forms, every form."""
    found = []
    for cls in BACKBONES:
        first = small(cls)
        found.append(first)
        for name, options in ranges(cls).items():
            if isinstance(options, OneOf) and all(isinstance(v, str) for v in options.options):
                found.extend(replace(first, **{name: v}) for v in options.options if v != getattr(first, name))
    return found


@pytest.fixture(scope="module")
def tables():
    return {"tiny": tiny_table(rows=120), "sequence": sequence_table(rows=120)}


def cases():
    return [pytest.param(cls, name, id=f"{cls.__name__}-{name}") for cls in BACKBONES for name in ("tiny", "sequence")]


each_backbone = pytest.mark.parametrize("cls", BACKBONES, ids=lambda c: c.__name__)
each_variant = pytest.mark.parametrize("backbone", variants(), ids=lambda b: "-".join(map(str, describe(b).values())))
on_each_table = pytest.mark.parametrize(("cls", "name"), cases())


def build(cls, table, labels=1, seed=0):
    backbone = small(cls)
    layout = Layout.of(table.encoder, history="history" in backbone.lookups)
    torch.manual_seed(seed)
    net = Net(backbone, layout, width=4, labels=labels)
    with torch.no_grad():
        for rows in net.embedding.tables():
            rows.normal_()
    return net


def whole(table, rows=None):
    part = table if rows is None else table.take(rows)
    return to_inputs(next(iter(batches(part, None, size=max(part.n_rows, 1)))))


def shape_of(backbone: Backbone, slots: int, *, labels: int = 2) -> InputShape:
    names = tuple(f"f{i}" for i in range(slots))
    return InputShape(fields=names, width=backbone.row_width(4, labels=labels), labels=labels)


def shaken(module):
    """Return the module, none of whose numbers is special any more."""
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.is_floating_point():
                value.add_(torch.randn_like(value) * 0.2)
                if name.endswith("running_var"):
                    value.abs_()
    return module


def trained(backbone: Backbone, shape: InputShape):
    """Return a module in evaluation mode, in double precision, none of whose numbers is special."""
    torch.manual_seed(1)
    return shaken(backbone.build(shape).double().eval())


def rows_of(backbone: Backbone, shape: InputShape, *, rows: int = 9):
    torch.manual_seed(2)
    main = torch.randn(rows, len(shape.fields), shape.width, dtype=torch.float64)
    first = torch.randn(rows, len(shape.fields), 1, dtype=torch.float64) if "first_order" in backbone.lookups else None
    return main, first


def score(module, main, first):
    with torch.no_grad():
        return module(Embedded(main=main, first_order=first, floats=main.new_zeros(len(main), 0))).logits


def rearranged(backbone: Backbone, module, shape: InputShape, slots: list[int]):
    """Return the module for some slots in some order, with the weights that belong to them."""
    weights = module.state_dict()
    columns = backbone.slot_columns(shape)
    for axis, parts in ((-1, columns), (0, backbone.slot_rows(shape))):
        for key, part in parts.items():
            kept = torch.from_numpy(picked(part, slots, fields=len(shape.fields)))
            weights[key] = weights[key].index_select(axis, kept)
    other = backbone.build(replace(shape, fields=tuple(shape.fields[s] for s in slots))).double().eval()
    other.load_state_dict(weights)
    return other


@each_variant
def test_the_form_for_scoring_scores_the_same_and_leaves_the_net_as_it_was(backbone, tables):
    table = tables["sequence" if "history" in backbone.lookups else "tiny"]
    layout = Layout.of(table.encoder, history="history" in backbone.lookups)
    torch.manual_seed(1)
    net = shaken(Net(backbone, layout, width=4, labels=2).eval())
    predictor = NetPredictor(backbone=backbone, width=4, labels=2, net=net)
    digest, expected = predictor.digest, predictor.logits(table)
    scorer = predictor.for_scoring()
    np.testing.assert_allclose(scorer.logits(table), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(predictor.logits(table), expected)
    assert predictor.digest == digest
    assert scorer.net.embedding.main is net.embedding.main
    folded = [m for layers in scorer.net.modules() if type(layers) is Layers for m in layers]
    assert not any(isinstance(m, BatchNorm | Dropout) for m in folded)


@on_each_table
def test_shapes_for_any_batch_and_number_of_labels(cls, name, tables):
    table = tables[name]
    for labels in (1, 3):
        net = build(cls, table, labels=labels).eval()
        for b in (0, 1, 2, 17):
            part = whole(table, np.arange(b)) if b else empty(whole(table, np.arange(1)))
            assert net(part).logits.shape == (b, labels)
    predictor = NetPredictor(backbone=small(cls), width=4, labels=1, net=build(cls, table))
    assert predictor.logits(table.take(np.arange(0))).shape == (0, 1)


def empty(inputs):
    """Return the first no rows of a batch."""
    none = {k: (offsets[:1], codes[:0]) for k, (offsets, codes) in inputs.lists.items()}
    return inputs._replace(codes=inputs.codes[:0], floats=inputs.floats[:0], lists=none)


@on_each_table
def test_a_training_batch_of_one_row_or_none_has_a_gradient(cls, name, tables):
    net = build(cls, tables[name]).train()
    one = whole(tables[name], np.arange(1))
    for inputs in (one, empty(one)):
        net.zero_grad()
        net(inputs).logits.sum().backward()
        assert torch.isfinite(net.embedding.main.grad).all()


@on_each_table
def test_gradient_reaches_every_parameter_and_only_the_batch_rows(cls, name, tables):
    table = tables[name]
    net = build(cls, table).train()
    inputs = whole(table, np.arange(40))
    out = net(inputs)
    ((out.logits - 1) ** 2).sum().backward()
    # A bias before batch normalisation has no effect by construction.
    dead = [n for n, p in net.named_parameters() if p.numel() and not p.grad.abs().sum() and not n.endswith(".bias")]
    assert dead == []
    touched = np.unique(np.concatenate([inputs.codes.numpy().ravel(), *(c.numpy() for _, c in inputs.lists.values())]))
    missing = [row for _, row in net.layout.pooled]
    moved = net.embedding.main.grad.abs().sum(1).nonzero().flatten().numpy()
    assert np.isin(moved, np.concatenate([touched, missing])).all()


@on_each_table
def test_evaluation_changes_no_state_and_ignores_dropout(cls, name, tables):
    table = tables[name]
    net = build(cls, table).eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with torch.no_grad():
        first, second = net(whole(table)).logits, net(whole(table)).logits
    assert torch.equal(first, second)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@on_each_table
def test_a_rows_logit_does_not_depend_on_the_rows_beside_it(cls, name, tables):
    table = tables[name]
    net = build(cls, table).double().eval()
    rng = np.random.default_rng(0)
    order = rng.permutation(table.n_rows)
    with torch.no_grad():
        straight = net(whole(table)).logits.numpy()
        np.testing.assert_allclose(net(whole(table, order)).logits.numpy(), straight[order], atol=1e-6)
        for rows in (np.arange(1), np.arange(5, 12), order[:50]):
            np.testing.assert_allclose(net(whole(table, rows)).logits.numpy(), straight[rows], atol=1e-6)


@on_each_table
def test_the_seed_decides_the_weights(cls, name, tables):
    a, b, c = (build(cls, tables[name], seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)


@pytest.mark.parametrize("cls", CATALOGUED, ids=lambda c: c.__name__)
def test_saved_and_loaded_it_is_the_same(cls, tables, tmp_path):
    for name, table in tables.items():
        predictor = NetPredictor(backbone=small(cls), width=4, labels=2, net=build(cls, table, labels=2))
        folder = tmp_path / name
        folder.mkdir()
        predictor.save(folder)
        again = NetPredictor.load(folder, table.encoder)
        np.testing.assert_array_equal(again.logits(table), predictor.logits(table))
        assert (again.digest, again.backbone, again.n_parameters) == (
            predictor.digest,
            predictor.backbone,
            predictor.n_parameters,
        )


@each_backbone
def test_defaults_are_given_to_every_parameter(cls):
    assert all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(cls))
    assert set(cls().lookups) <= {"main", "first_order", "history"}


@each_variant
def test_labels_are_not_ranked_alike(backbone):
    shape = shape_of(backbone, 5)
    logits = score(trained(backbone, shape), *rows_of(backbone, shape))
    assert (logits[:, 0] - logits[:, 1]).std() > 1e-3


@each_variant
def test_slot_columns_name_real_entries(backbone):
    shape = shape_of(backbone, 5)
    columns = backbone.slot_columns(shape)
    module = backbone.build(shape)
    for axis, parts in ((-1, columns or {}), (0, backbone.slot_rows(shape))):
        for key, part in parts.items():
            every = picked(part, range(5), fields=5)
            assert every.tolist() == list(range(module.state_dict()[key].shape[axis]))


@each_variant
def test_permuting_slots_with_their_weights_changes_nothing(backbone):
    shape = shape_of(backbone, 5)
    if backbone.slot_columns(shape) is None:
        pytest.skip("does not say which weights belong to a slot")
    module = trained(backbone, shape)
    main, first = rows_of(backbone, shape)
    order = [3, 0, 4, 1, 2]
    other = rearranged(backbone, module, shape, order)
    moved = score(other, main[:, order], None if first is None else first[:, order])
    torch.testing.assert_close(moved, score(module, main, first), atol=1e-8, rtol=1e-8)
    shuffled = score(module, main[:, order], None if first is None else first[:, order])
    if not backbone.slot_columns(shape):  # no weight belongs to a slot
        torch.testing.assert_close(shuffled, moved, atol=1e-8, rtol=1e-8)
    else:
        assert not torch.allclose(shuffled, moved, atol=1e-4)


@each_variant
def test_a_slot_that_is_zero_can_be_removed_where_it_is_said(backbone):
    shape = shape_of(backbone, 5)
    if backbone.slot_columns(shape) is None:
        assert not backbone.exact_drop
        pytest.skip("does not say which weights belong to a slot")
    module = trained(backbone, shape)
    main, first = rows_of(backbone, shape)
    keep = [0, 2, 3]
    main[:, [1, 4]] = 0.0
    if first is not None:
        first[:, [1, 4]] = 0.0
    part = score(rearranged(backbone, module, shape, keep), main[:, keep], None if first is None else first[:, keep])
    same = torch.allclose(part, score(module, main, first), atol=1e-8, rtol=1e-8)
    assert same == backbone.exact_drop


@each_variant
def test_a_net_of_one_field_works(backbone):
    shape = shape_of(backbone, 1)
    main, first = rows_of(backbone, shape)
    assert torch.isfinite(score(backbone.build(shape).double().eval(), main, first)).all()


@pytest.mark.parametrize("cls", CATALOGUED, ids=lambda c: c.__name__)
def test_dropping_a_field_is_hiding_it_where_that_is_exact(cls, tables):
    table = tables["tiny"]
    backbone, net = small(cls), build(cls, table)
    predictor = NetPredictor(backbone=backbone, width=4, labels=1, net=net)
    names = table.schema.names
    keep = {k: np.ones(v.size, bool) for k, v in table.encoder.vocabularies.items()}
    kept = tuple(n for n in names if n not in ("noise", "load"))
    features = FeatureSet.from_keep(keep, fields=kept, method="toy", params={}, encoder=table.encoder.digest)
    narrowed = table.narrow(features)
    if backbone.slot_columns(net.layout.shape(width=net.embedding.width, labels=1)) is None:
        pytest.skip("does not say which weights belong to a slot")
    smaller = predictor.narrow(table.encoder, narrowed.encoder, features).logits(narrowed)
    assert np.isfinite(smaller).all()
    with torch.no_grad():
        rows = net.embedding(whole(table))
        hidden = [net.layout.slots.index(n) for n in ("noise", "load")]
        rows.main[:, hidden] = 0.0
        if rows.first_order is not None:
            rows.first_order[:, hidden] = 0.0
        expected = net.score(rows).logits.numpy()
    if backbone.exact_drop:
        np.testing.assert_allclose(smaller, expected, atol=1e-4, rtol=1e-4)


@each_backbone
def test_every_end_of_every_range_builds(cls):
    for name, found in ranges(cls).items():
        assert name in {f.name for f in fields(cls)}
        for value in tried(cls, found):
            backbone = replace(small(cls), **{name: value})
            shape = shape_of(backbone, 4, labels=1)
            main, first = rows_of(backbone, shape, rows=2)
            assert torch.isfinite(score(backbone.build(shape).double().eval(), main, first)).all(), (name, value)


def exclusive_or(rows: int = 2500):
    """Return a table whose click is whether the parities of two of its fields differ; each one alone tells nothing."""
    rng = np.random.default_rng(0)
    a, b, noise = (rng.integers(0, 6, rows) for _ in range(3))
    frame = pl.DataFrame({"click": ((a + b) % 2).astype(np.int8), "a": a, "b": b, "noise": noise})
    frame = frame.with_columns(pl.col("a", "b", "noise").cast(pl.String))
    return ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click")), seed=0).without("test")


@pytest.fixture(scope="module")
def planted():
    return exclusive_or()


@each_variant
def test_it_learns_an_interaction_that_logistic_regression_cannot(backbone, planted):
    settings = {f.name: 0.0 for f in fields(backbone) if "dropout" in f.name}
    learner = NetLearner(
        backbone=replace(backbone, **settings),
        width=4,
        batch_size=100,
        learning_rate=0.02,
        embedding_l2=0.0,
        max_epochs=12,
        patience=4,
        lr_drop=1.0,
    )
    found = learner.fit(planted, seed=1).valid["auc"]
    if isinstance(backbone, LR):
        assert abs(found - 0.5) < 0.1
    else:
        assert found > 0.9
