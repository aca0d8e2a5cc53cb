"""Changes from one model to another: fields and values gained and lost, with no text of fewer than 20 rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.encoder import Encoder
from ctrsel.data.set_difference import difference
from ctrsel.models.model import Model
from ctrsel.records.feature_set import RESERVED, FeatureSet
from ctrsel.records.set_difference import FieldDifference, SetDifference
from ctrsel.report.redact import MINIMUM_ROWS

__all__ = ["model_changes"]


def model_changes(before: Model, after: Model) -> SetDifference:
    """Say which fields and values one model knows and the other does not.

    Texts of sensitive fields are left out, and so are those of fewer than 20 training rows.

    Examples:
        >>> from ctrsel.testing.runs import tiny_net
        >>> from ctrsel.testing.tables import tiny_table
        >>> model = tiny_net(tiny_table())
        >>> model_changes(model, model).fields
        ()
    """
    found = difference(_known(before.encoder), _known(after.encoder))
    return replace(found, fields=tuple(_shown(f, (before.encoder, after.encoder)) for f in found.fields))


def _known(encoder: Encoder) -> AppliedFeatureSet:
    keep = {name: np.ones(v.size, dtype=bool) for name, v in encoder.vocabularies.items()}
    features = FeatureSet.from_keep(
        keep, fields=encoder.schema.names, method="model", params={}, encoder=encoder.digest
    )
    return AppliedFeatureSet.of(features, encoder)


def _shown(found: FieldDifference, encoders: tuple[Encoder, ...]) -> FieldDifference:
    top = {kind: tuple(t for t in texts if _frequent(found.name, t, encoders)) for kind, texts in found.top.items()}
    return replace(found, top={} if found.sensitive else {k: v for k, v in top.items() if v})


def _frequent(field: str, text: str, encoders: tuple[Encoder, ...]) -> bool:
    """Whether one of the Encoders counted enough rows of this value alone."""
    for encoder in encoders:
        if field not in encoder.schema.names or encoder.schema.field(field).is_float:
            continue
        vocabulary = encoder.vocabulary(field)
        if vocabulary.hashed is not None:  # a bucket's rows are not one value's
            continue
        code = int(vocabulary.encode(pl.Series([text]))[0])
        alone = code >= RESERVED and int((np.asarray(vocabulary.codes) == code).sum()) == 1
        if alone and int(vocabulary.counts[code]) >= MINIMUM_ROWS:
            return True
    return False
