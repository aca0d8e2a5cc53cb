"""Make the golden numbers again: `python -m tests.golden.make` (then read the difference before committing it).

They tell that something changed, not what is right: a tiny table goes the whole way from ranking to evaluation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("tiny.json")


def numbers() -> dict[str, Any]:
    """Return the numbers of a small end-to-end pass."""
    from ctrsel.api.evaluate import compare_auc, evaluate
    from ctrsel.api.functions import explain_model, rank_fields, select_features, train_model
    from ctrsel.models.backbones.deepfm import DeepFM
    from ctrsel.models.gates.optfs import OptFS
    from ctrsel.select.gated import Gated
    from ctrsel.testing.tables import tiny_table
    from ctrsel.train.boosted import BoostedLearner
    from ctrsel.train.net import NetLearner

    table = tiny_table(rows=2000, seed=5)
    ranking = rank_fields(table)
    trees = train_model(table, learner=BoostedLearner(rounds=30, patience=5, leaves=8), seed=1)
    net = NetLearner(
        backbone=DeepFM(hidden=(8,)), width=4, batch_size=128, learning_rate=5e-3, embedding_l2=0.01, max_epochs=4
    )
    full = train_model(table, learner=net, seed=1)
    # Every parameter that decides is given, so that a better default does not move these numbers.
    gate = OptFS(epochs=4, rewind=1, temperature=1000.0, penalty=0.002, gate_lr=0.05)
    small = select_features(table, by=Gated(gate=gate), size=0.3, learner=net, seed=1)
    features = small.selection.features
    narrow = table.narrow(features)
    explained = explain_model(small.fit.model, narrow, rows=20, seed=1)
    found = {
        "trees": evaluate(trees.model, table, seed=1),
        "full": evaluate(full.model, table, seed=1),
        "small": evaluate(small.fit.model, narrow, seed=1),
    }
    return {
        "rows": {name: stop - start for name, (start, stop) in table.splits.items()},
        "sizes": {name: table.encoder.size(name) for name in table.schema.names},
        "ranking": {
            "order": list(ranking.order),
            "mi": dict(zip(ranking.frame["field"].to_list(), ranking.frame["mi"].to_list(), strict=True)),
        },
        "parameters": {"full": full.model.n_parameters},
        "selection": {"fields": list(features.fields), "values": features.n_values},
        "metrics": {
            name: {k: m.value for k, m in e.metrics.items() if k in ("auc", "log_loss", "calibration_ratio")}
            for name, e in found.items()
        },
        "intervals": {name: [e.metrics["auc"].low, e.metrics["auc"].high] for name, e in found.items()},
        "difference": compare_auc(table, found["small"].logits, found["full"].logits).value,
        "attribution": dict(zip(explained.fields, explained.importance()[0].tolist(), strict=True)),
    }


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(numbers(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
