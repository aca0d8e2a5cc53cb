"""A tiny finished run with round numbers, and an untrained net, for tests of what comes after training."""

from __future__ import annotations

from dataclasses import replace

from ctrsel.data.table import Table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.records.evaluation import Metric
from ctrsel.records.run import Contender, FieldSummary, Run, TableFacts, Verdict

__all__ = ["tiny_net", "tiny_run"]


def tiny_net(table: Table, *, seed: int = 0) -> Model:
    """Return a DeepFM with random weights for a table's Encoder."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = DeepFM(hidden=(8,))
        net = Net(backbone, Layout.of(table.encoder, history="history" in backbone.lookups), width=4, labels=1)
        with torch.no_grad():
            for p in net.parameters():
                p.normal_(0, 0.5)
    return Model(encoder=table.encoder, predictor=NetPredictor(backbone=backbone, width=4, labels=1, net=net))


def tiny_run(table: Table, model: Model, *, name: str = "tiny", promoted: bool = True, seed: int = 1) -> Run:
    """Return a Run whose chosen contender is this model, beside a full net, a reference and a control."""
    chosen = Contender(
        name="net, toy gates",
        role="selected",
        learner="net",
        selector="gated",
        seed=seed,
        fields=len(model.encoder.fields),
        values=model.encoder.n_values,
        parameters=model.n_parameters,
        bytes=1000,
        milliseconds=1.5,
        seconds=2.0,
        metrics={
            "auc": Metric(value=0.75, low=0.72, high=0.78, method="DeLong"),
            "log_loss": Metric(value=0.55),
            "calibration_ratio": Metric(value=1.01),
        },
        valid={"auc": 0.76, "log_loss": 0.54},
        epochs=3,
        model=model.digest,
    )
    full = replace(
        chosen,
        name="net, all values",
        role="full",
        selector=None,
        values=2 * chosen.values,
        bytes=2000,
        metrics={**chosen.metrics, "auc": Metric(value=0.751, low=0.72, high=0.78, method="DeLong")},
        model="",
    )
    trees = replace(full, name="boosted, all values", role="reference", learner="boosted", parameters=None, epochs=None)
    control = replace(chosen, name="net, random", role="control", selector="random", model="")
    splits = {k: b - a for k, (a, b) in table.splits.items()}
    return Run(
        name=name,
        config={
            "name": name,
            "seed": seed,
            "learners": {"net": {"use": "net"}},
            "rank": [{"use": "mutual_information"}],
        },
        seed=seed,
        created="2026-01-01T00:00:00+00:00",
        versions={"python": "3.11"},
        stages=({"name": "ingest", "seconds": 0.1, "reused": False},),
        table=TableFacts(
            source="tiny_frame",
            digest=table.digest,
            rows=splits,
            base_rate=dict.fromkeys(splits, 0.4),
            fields=len(table.schema.fields),
            values=table.encoder.n_values,
            label="click",
        ),
        contenders=(trees, full, chosen, control),
        fields=tuple(
            FieldSummary(
                name=f.name,
                kind=f.kind,
                sensitive=f.sensitive,
                values=table.encoder.size(f.name),
                values_kept=table.encoder.size(f.name),
                kept=True,
                traffic_kept=1.0,
                scores={"mutual_information": 0.01},
                ranks={"mutual_information": i},
                q=None,
                attribution=None,
                attribution_error=None,
            )
            for i, f in enumerate(table.schema.fields, start=1)
        ),
        verdict=Verdict(
            promoted=promoted,
            chosen=chosen.name,
            headline="The small net keeps half of the values at an AUC 0.001 lower.",
            reasons=("passed: smaller",) if promoted else ("FAILED: not smaller",),
            delta_auc=Metric(value=-0.001, low=-0.003, high=0.001, method="DeLong"),
        ),
        selection_history=({"epoch": 1, "valid_auc": 0.7}, {"epoch": 2, "valid_auc": 0.74}),
    )
