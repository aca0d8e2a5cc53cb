"""A feature set of whole fields: what stands and falls with a ranking of fields alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctrsel.core.errors import DataError, unknown_name
from ctrsel.data.encoder import Encoder
from ctrsel.records.feature_set import FeatureSet

__all__ = ["whole_fields"]


def whole_fields(encoder: Encoder, fields: Sequence[str]) -> FeatureSet:
    """Keep these fields with every value; the order in which they are named does not matter.

    Equal sets have equal digests, whoever chose them.

    Raises:
        DataError: If no field is named.
        ConfigError: If a field is not known.
    """
    known = encoder.schema.names
    for name in fields:
        if name not in known:
            raise unknown_name("field", name, known, place="fields")
    kept = tuple(name for name in known if name in fields)
    if not kept:
        raise DataError("fields: at least one field must be kept")
    used = {encoder.schema.field(name).vocabulary for name in kept}
    keep = {name: np.full(v.size, name in used) for name, v in encoder.vocabularies.items()}
    return FeatureSet.from_keep(keep, fields=kept, method="fields", params={}, encoder=encoder.digest)
