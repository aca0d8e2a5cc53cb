"""Recipes and figures of the BARS leaderboard on Frappe_x1, for the benchmarks of nets.

Reference: Zhu et al., "BARS: towards open benchmarking for recommender systems", 2022; https://openbenchmark.github.io/BARS.
The recipes themselves are `configs/bars/frappe.yaml`; here stands what was published of them, and what FuxiCTR calls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["PUBLISHED", "Published", "learner_specs", "rows_counted"]

CONFIG = Path(__file__).parents[1] / "configs" / "bars" / "frappe.yaml"


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is known of a net on Frappe_x1.

    Attributes:
        auc: Test AUC of the leaderboard: one run, whose seed the settings were tuned with.
        log_loss: Likewise, nats per row.
        parameters: Of the run's log, None where the log counts some twice.
        rows: Rows of the embedding table in that run.
        mean: Mean and deviation of test AUC over five seeds, where published.
        goal: The mean test AUC over five seeds that ours has to reach, None without one.
        fuxictr: Its class in FuxiCTR, and that class's parameters in the run.
    """

    auc: float
    log_loss: float
    parameters: int | None = None
    rows: int = 5389
    mean: tuple[float, float] | None = None
    goal: float | None = None
    fuxictr: tuple[str, Mapping[str, Any]] | None = None


_DENSE = {"hidden_activations": "relu", "batch_norm": True, "embedding_dim": 10, "batch_size": 4096}
_DNN = {"dnn_activations": "relu", "batch_norm": True, "embedding_dim": 10, "batch_size": 4096}
_UNITS = [400, 400, 400]

PUBLISHED: Mapping[str, Published] = {
    "lr": Published(auc=0.9356, log_loss=0.3076, parameters=5390),
    "fm": Published(auc=0.9671, log_loss=0.2065, parameters=59280, goal=0.970),
    "fwfm": Published(auc=0.9776, log_loss=0.2030, parameters=107826),
    "dnn": Published(auc=0.9833, log_loss=0.1622),
    "wide_deep": Published(auc=0.9841, log_loss=0.1490, parameters=423280),
    "ipnn": Published(auc=0.9841, log_loss=0.1540, parameters=433491),
    "deepfm": Published(
        auc=0.9842,
        log_loss=0.1482,
        parameters=423280,
        mean=(0.98395, 0.00016),
        goal=0.9842,
        fuxictr=("DeepFM", {**_DENSE, "hidden_units": _UNITS, "net_dropout": 0.2, "embedding_regularizer": 0.05}),
    ),
    "dcn": Published(auc=0.9839, log_loss=0.1527, parameters=418591),
    "dcn_v2": Published(
        auc=0.9845,
        log_loss=0.1491,
        parameters=458391,
        mean=(0.98382, 0.00043),
        goal=0.9842,
        fuxictr=(
            "DCNv2",
            {
                **_DNN,
                "model_structure": "parallel",
                "use_low_rank_mixture": False,
                "num_cross_layers": 4,
                "parallel_dnn_hidden_units": _UNITS,
                "net_dropout": 0.4,
                "embedding_regularizer": 0.05,
            },
        ),
    ),
    "xdeepfm": Published(auc=0.9845, log_loss=0.1466, parameters=429809, mean=(0.98414, 0.00037), goal=0.984),
    "autoint": Published(auc=0.9831, log_loss=0.1637, parameters=306051),
    "autoint_plus": Published(
        auc=0.9848,
        log_loss=0.1490,
        parameters=622180,
        goal=0.984,
        fuxictr=(
            "AutoInt",
            {
                **_DNN,
                "dnn_hidden_units": _UNITS,
                "attention_layers": 5,
                "attention_dim": 128,
                "num_heads": 4,
                "layer_norm": True,
                "use_scale": True,
                "use_residual": True,
                "use_wide": False,
                "net_dropout": 0.1,
                "embedding_regularizer": 0.1,
            },
        ),
    ),
    "final_mlp": Published(auc=0.9861, log_loss=0.1484, parameters=253392, rows=5399, goal=0.9855),
    "final_net": Published(auc=0.9857, log_loss=0.1311, parameters=338502, rows=5399, goal=0.9855),
}


def learner_specs() -> dict[str, dict[str, Any]]:
    """Return the published recipes as the config has them, by net."""
    return dict(yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["learners"])


def rows_counted(parameters: int, *, rows: int, tables: int, published: int) -> int:
    """Return a parameter count as it would be with the published number of embedding rows.

    Args:
        parameters: Ours.
        rows: Rows of our embedding table, which has three reserved ones in each vocabulary.
        tables: Numbers that a row has, over all tables.
        published: Rows there.
    """
    return parameters + (published - rows) * tables
