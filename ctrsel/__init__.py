"""Feature selection and AutoML for click-through-rate and other sparse, categorical, binary-outcome tables.

Public names load when they are first used: `import ctrsel` loads no heavy library. The functions have an object in
their name (`rank_fields`) where the bare verb is a subpackage (`ctrsel.rank`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "FeatureSetTransformer": "ctrsel.transformers",
    "FieldSelector": "ctrsel.estimators",
    "append": "ctrsel.api.functions",
    "attention_maps": "ctrsel.explain.attention",
    "audit": "ctrsel.api.functions",
    "compare_rankings": "ctrsel.rank.comparison",
    "compare_selectors": "ctrsel.api.comparing",
    "evaluate": "ctrsel.api.evaluate",
    "explain_model": "ctrsel.api.functions",
    "ingest": "ctrsel.api.functions",
    "load_config": "ctrsel.core.config",
    "load_feature_set": "ctrsel.api.feature_sets",
    "load_model": "ctrsel.api.functions",
    "load_table": "ctrsel.api.functions",
    "predict": "ctrsel.api.functions",
    "progressive": "ctrsel.api.progressive",
    "rank_fields": "ctrsel.api.functions",
    "run": "ctrsel.api.run",
    "select_features": "ctrsel.api.functions",
    "together": "ctrsel.train.together",
    "train_model": "ctrsel.api.functions",
    "tune_learners": "ctrsel.api.tuning",
}

__all__ = [
    "FeatureSetTransformer",
    "FieldSelector",
    "append",
    "attention_maps",
    "audit",
    "compare_rankings",
    "compare_selectors",
    "evaluate",
    "explain_model",
    "ingest",
    "load_config",
    "load_feature_set",
    "load_model",
    "load_table",
    "predict",
    "progressive",
    "rank_fields",
    "run",
    "select_features",
    "together",
    "train_model",
    "tune_learners",
]

if TYPE_CHECKING:
    from ctrsel.api.comparing import compare_selectors
    from ctrsel.api.evaluate import evaluate
    from ctrsel.api.feature_sets import load_feature_set
    from ctrsel.api.functions import (
        append,
        audit,
        explain_model,
        ingest,
        load_model,
        load_table,
        predict,
        rank_fields,
        select_features,
        train_model,
    )
    from ctrsel.api.progressive import progressive
    from ctrsel.api.run import run
    from ctrsel.api.tuning import tune_learners
    from ctrsel.core.config import load_config
    from ctrsel.estimators import FieldSelector
    from ctrsel.explain.attention import attention_maps
    from ctrsel.rank.comparison import compare_rankings
    from ctrsel.train.together import together
    from ctrsel.transformers import FeatureSetTransformer


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ctrsel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
