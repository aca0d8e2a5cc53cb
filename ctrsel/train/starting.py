"""Where a fit's weights start: from a model of the same Encoder exactly, from one of another Encoder by value text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.core.seeds import derive
from ctrsel.models.net import NetPredictor
from ctrsel.models.transfer import transfer
from ctrsel.train.moments import Carry, adopt
from ctrsel.train.settling import centre

if TYPE_CHECKING:
    from torch import Tensor

    from ctrsel.data.rows import Rows
    from ctrsel.data.table import Table
    from ctrsel.models.matching import FieldMatch
    from ctrsel.models.model import Model
    from ctrsel.models.network import Net
    from ctrsel.train.net import NetLearner
    from ctrsel.train.optimisers import Updates

__all__ = ["Begun", "begin_from", "told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a start left for later.

    Attributes:
        notes: For the fit.
        moments: The optimiser's state that came with the start.
        carry: Brings it to the new net; None where the nets have the same form.
    """

    notes: tuple[str, ...]
    moments: Mapping[str, Tensor]
    carry: Carry | None = None

    def go_on(self, updates: Updates, net: Net) -> None:
        """Let an optimiser go on from the start's, if the start has kept one.

        Raises:
            ConfigError: If it is that of an optimiser of another kind.
        """
        if not self.moments:
            return
        if _form(updates.state()) != _form(self.moments):
            raise ConfigError(
                "start: it has kept the state of another optimiser than net.optimiser; set keep_optimiser: false"
            )
        adopt(updates, net, self.moments, self.carry)


def begin_from(start: Model, net: Net, *, learner: NetLearner, table: Table, rows: Rows, seed: int) -> Begun:
    """Set a net's weights to those of a model, and say what became of its fields and values.

    After a transfer to another Encoder the intercept is set on the new training rows before the first step: their share of
    positives need not be the old one, and no step of the optimiser should be spent on that.

    Args:
        start: The model.
        net: The net, with fresh weights for what the model does not know.
        learner: Whose backbone and width the model must have.
        table: What is trained on.
        rows: Its training rows.
        seed: Of the fit.

    Returns:
        Notes for the fit, and the state of the start's optimiser.

    Raises:
        ConfigError: If the model is no net of the learner's form.
    """
    if start.encoder.digest == table.encoder.digest:
        predictor = start.predictor
        if not isinstance(predictor, NetPredictor):
            raise ConfigError(f"start: must be a net, got a model of kind {predictor.kind!r}")
        if predictor.backbone != learner.backbone or predictor.width != learner.width:
            raise ConfigError(
                f"start: must have the learner's backbone and width, got {predictor.backbone}, {predictor.width}"
            )
        net.set_weights(predictor.net.weights())
        return Begun(notes=(), moments=predictor.moments)
    found = transfer(start, table.encoder, net=net, backbone=learner.backbone, width=learner.width)
    net.set_weights(found.weights)
    centre(net, rows, seed=derive(seed, "net", "start"))
    for field in found.fields:
        if field.note:
            event("start", field=field.name, note=field.note)
    values = {k: sum(getattr(f, k) for f in found.fields) for k in ("carried", "new", "gone")}
    event("start", model=start.digest, **values)
    kept = start.predictor.moments if isinstance(start.predictor, NetPredictor) else {}
    return Begun(notes=(told(found.fields),), moments=kept, carry=found.moments)


def _form(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return what stands in a state beside the moments of single parameters: numbers, and rows of some width."""
    named = {key.partition("|")[0]: tensor for key, tensor in state.items()}
    own = ("step", "exp_avg", "exp_avg_sq")
    return {key: tuple(t.shape[1:]) for key, t in named.items() if "." not in key and key not in own}


def told(fields: Sequence[FieldMatch]) -> str:
    """Say in a sentence what became of fields and values.

    Examples:
        >>> from ctrsel.models.matching import FieldMatch
        >>> told([FieldMatch(name="ad", status="carried", carried=900, new=20, gone=3), FieldMatch(name="age", status="gone")])
        'started from an older model: 900 values carried, 20 new, 3 gone; gone fields: age'
    """
    carried, new, gone = (sum(getattr(f, k) for f in fields) for k in ("carried", "new", "gone"))
    parts = [f"started from an older model: {carried:,} values carried, {new:,} new, {gone:,} gone"]
    for status in ("new", "gone"):
        names = [f.name for f in fields if f.status == status]
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            parts.append(f"{status} fields: {', '.join(names[:5])}{more}")
    noted = [f for f in fields if f.note]
    if noted:
        parts.append(f"{noted[0].name}: {noted[0].note}" + (f" (and {len(noted) - 1} more)" if noted[1:] else ""))
    return "; ".join(parts)
