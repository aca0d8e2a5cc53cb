"""Where a fit's weights start: from a model of the same Encoder exactly, from one of another Encoder by value text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.core.seeds import derive
from ctrsel.models.net import NetPredictor
from ctrsel.models.transfer import transfer
from ctrsel.train.settling import centre

if TYPE_CHECKING:
    from ctrsel.data.rows import Rows
    from ctrsel.data.table import Table
    from ctrsel.models.matching import FieldMatch
    from ctrsel.models.model import Model
    from ctrsel.models.network import Net
    from ctrsel.train.net import NetLearner

__all__ = ["begin_from", "told"]


def begin_from(start: Model, net: Net, *, learner: NetLearner, table: Table, rows: Rows, seed: int) -> tuple[str, ...]:
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
        Notes for the fit.

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
        return ()
    found = transfer(start, table.encoder, net=net, backbone=learner.backbone, width=learner.width)
    net.set_weights(found.weights)
    centre(net, rows, seed=derive(seed, "net", "start"))
    for field in found.fields:
        if field.note:
            event("start", field=field.name, note=field.note)
    values = {k: sum(getattr(f, k) for f in found.fields) for k in ("carried", "new", "gone")}
    event("start", model=start.digest, **values)
    return (told(found.fields),)


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
