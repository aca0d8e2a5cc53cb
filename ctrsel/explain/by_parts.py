"""ByParts: a weighted sum of predictors is explained by the weighted sum of their explanations.

Reference: Shapley, "A value for n-person games", 1953, axiom 3 (additivity), which mixing and lines in log-odds keep.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.explain import CATALOG, explainer_for
from ctrsel.explain._contract import Explainer
from ctrsel.explain.permutation_shap import PermutationShap
from ctrsel.explain.pred_contrib import PredContrib
from ctrsel.models._contract import Predictor
from ctrsel.models.calibrated import CalibratedPredictor
from ctrsel.models.ensemble import EnsemblePredictor
from ctrsel.records.explanation import Explanation

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model

__all__ = ["ByParts"]

_TOLERANCE = 1e-4  # log-odds; what the least exact of the explainers below keeps to


def _trees_and_any() -> tuple[Explainer, ...]:
    return PredContrib(), PermutationShap()


@dataclass(frozen=True, slots=True, kw_only=True)
class ByParts(Explainer):
    """Ensembles by their members, calibrated models by what was calibrated.

    A calibration that is a line (none, Platt) scales the attributions. Beta and isotonic calibration are no lines: alone
    they are left out, and the log-odds before them are what is explained, which the notes say; such a member of an
    ensemble is explained with its calibration by an explainer of any model.

    Attributes:
        rows: How many rows are explained unless the caller names them.
        explainers: Of the parts; each part gets the one that fits it, the general ones last.
    """

    rows: int = 256
    explainers: tuple[Explainer, ...] = field(default_factory=_trees_and_any, metadata={"catalog": CATALOG})

    def __post_init__(self) -> None:
        if self.rows < 1 or not self.explainers:
            raise ConfigError(
                f"by_parts: needs rows >= 1 and an explainer, got {self.rows} and {len(self.explainers)} explainers"
            )

    def accepts(self, model: Model) -> bool:
        """Ensembles and calibrated models whose parts can be explained."""
        if not isinstance(model.predictor, EnsemblePredictor | CalibratedPredictor):
            return False
        parts = [replace(model, predictor=part, offset=0.0) for part, _, _ in _terms(_straight(model.predictor)[0])[1]]
        return all(any(e.accepts(part) for e in self.explainers) for part in parts)

    def explain(self, model: Model, table: Table, *, rows: np.ndarray, seed: int) -> Explanation:
        """Attribute the first label's log-odds; all parts see the same rows and draws.

        Raises:
            ConfigError: If the model has no parts.
            DataError: If the table is another Encoder's, or there are no rows.
            CtrselError: If base and attributions of a row do not add up to its log-odds.
        """
        if not isinstance(model.predictor, EnsemblePredictor | CalibratedPredictor):
            raise ConfigError(f"by_parts: explains ensembles and calibrated models, got {model.predictor.kind!r}")
        if not len(rows):
            raise DataError("by_parts: there are no rows to explain")
        whole, bent = _straight(model.predictor)
        shift, terms = _terms(whole)
        values, base = np.zeros((len(rows), len(table.schema.names))), np.full(len(rows), shift + model.offset)
        notes, methods = [], []
        for part, weight, name in terms:
            inner = replace(model, predictor=part, offset=0.0)
            found = explainer_for(inner, *self.explainers).explain(inner, table, rows=rows, seed=seed)
            values += weight * found.values
            base += weight * found.base
            methods.append(found.method)
            notes += [f"{name} x {weight:.3f}, {found.method}: {note}" for note in found.notes]
        if bent is not None:
            notes.insert(0, f"the log-odds before the {bent} calibration are explained, which is no line")
        if len(set(methods)) > 1:
            notes.append("an absent field is what each part's own method takes it to be")
        direct = replace(model, predictor=whole).logits(table.take(rows))[:, 0].astype(np.float64)
        off = np.abs(base + values.sum(axis=1) - direct) / np.maximum(1.0, np.abs(direct))
        error = float(off.max())
        if not error <= _TOLERANCE:
            raise CtrselError(f"by_parts: attributions must add up to the logit within 1e-4, off by {error:.3g}")
        return Explanation(
            method="by_parts",
            fields=table.schema.names,
            values=values,
            base=base,
            rows=np.asarray(rows, dtype=np.int64),
            checks={"additivity": error},
            model=model.digest,
            notes=tuple(notes),
        )


_Term = tuple[Predictor, float, str]


def _straight(predictor: Predictor) -> tuple[Predictor, str | None]:
    """Return what lies behind calibrations that are no lines, and the name of the outermost of them."""
    name = None
    while isinstance(predictor, CalibratedPredictor) and predictor.maps[0].line is None:
        name = name or predictor.methods[0]
        predictor = predictor.base
    return predictor, name


def _terms(predictor: Predictor) -> tuple[float, list[_Term]]:
    """Write a predictor's first log-odds as a shift and a sum of weight x part, each part with a name."""
    if isinstance(predictor, EnsemblePredictor):
        shift, found = float(predictor.intercept[0]), list[_Term]()
        for i, (member, weights) in enumerate(zip(predictor.members, predictor.weights, strict=True)):
            weight = float(weights[0])
            inner, terms = _terms(member)
            shift += weight * inner
            found += [(part, weight * times, f"member {i} ({name})") for part, times, name in terms if weight > 0]
        return shift, found
    if isinstance(predictor, CalibratedPredictor) and (line := predictor.maps[0].line) is not None:
        scale, shift = line
        inner, terms = _terms(predictor.base)
        return shift + scale * inner, [(part, scale * times, name) for part, times, name in terms]
    return 0.0, [(predictor, 1.0, predictor.kind)]
