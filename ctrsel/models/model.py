"""Model: an Encoder and a predictor, from a raw frame or a Table to logits, saved without pickle.

Reference: He et al., "Practical lessons from predicting clicks on ads at Facebook", 2014, section 6.3 (the shift for
sampled negatives).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.artifact import MANIFEST, atomic_folder, digest_json, read_manifest
from ctrsel.core.errors import DataError
from ctrsel.data.encoder import Encoder
from ctrsel.data.frames import read_frame
from ctrsel.data.table import Table
from ctrsel.models._contract import Predictor
from ctrsel.records.feature_set import FeatureSet

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["Model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is registered and served.

    Attributes:
        encoder: From raw rows to codes.
        predictor: From codes to logits.
        offset: Added to every logit: ln(sampling rate) where only a share of the negatives was kept for training, so
            that probabilities are about the original rows.
    """

    encoder: Encoder
    predictor: Predictor
    offset: float = 0.0

    def logits(self, data: Table | pl.DataFrame | pd.DataFrame) -> np.ndarray:
        """Score rows.

        Args:
            data: A Table of this Encoder, or a raw polars or pandas frame, of which only the fields are read.

        Returns:
            Log-odds, float32 `[N, T]`.

        Raises:
            DataError: If the Table is another Encoder's, or the data are neither a Table nor a frame.
        """
        table = data if isinstance(data, Table) else self.encoder.encode(read_frame(data))
        if table.encoder is not self.encoder and table.encoder.digest != self.encoder.digest:
            raise DataError(
                f"a model reads the codes of its own encoder {self.encoder.digest}, got a table of {table.encoder.digest}"
            )
        return self.predictor.logits(table) + np.float32(self.offset)

    def probabilities(self, data: Table | pl.DataFrame | pd.DataFrame) -> np.ndarray:
        """Return probabilities, float64 `[N, T]`; arguments as in `logits`."""
        z = self.logits(data).astype(np.float64)
        return np.asarray(np.exp(-np.logaddexp(0.0, -z)))

    def for_scoring(self) -> Model:
        """Return the same model, up to rounding, in the form that scores fastest; it is not for saving."""
        return replace(self, predictor=self.predictor.for_scoring())

    def narrow(self, features: FeatureSet) -> Model:
        """Return the smaller model that a FeatureSet leaves (see the predictor's `narrow`)."""
        encoder = self.encoder.narrow(features)
        return Model(
            encoder=encoder,
            predictor=self.predictor.narrow(self.encoder, encoder, features),
            offset=self.offset,
        )

    @property
    def n_parameters(self) -> int:
        """How many numbers were learned."""
        return self.predictor.n_parameters

    @property
    def digest(self) -> str:
        """Digest of the Encoder, the predictor and the offset."""
        return digest_json([self.encoder.digest, self.predictor.kind, self.predictor.digest, self.offset])

    @property
    def bytes_on_disk(self) -> int:
        """Size of the saved folder in bytes, found by saving it."""
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder) / "model")
            return sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())

    def save(self, path: Path) -> None:
        """Save as a folder with `encoder/` and `predictor/`."""
        manifest = {
            "format": "ctrsel.model",
            "version": 1,
            "kind": self.predictor.kind,
            "offset": self.offset,
            "digest": self.digest,
        }
        with atomic_folder(Path(path), manifest=manifest) as folder:
            self.encoder.save(folder / "encoder")
            (folder / "predictor").mkdir()
            self.predictor.save(folder / "predictor")

    @staticmethod
    def load(path: Path) -> Model:
        """Load what `save` wrote, or the model in a finished run's folder; only its own library is imported.

        Raises:
            DataError: If the folder is no saved model, or not what was saved.
        """
        from ctrsel.models import CATALOG

        path = Path(path)
        if not (path / MANIFEST).exists() and (path / "model" / MANIFEST).is_file():
            path = path / "model"
        m = read_manifest(path, format="ctrsel.model", version=1)
        encoder = Encoder.load(path / "encoder")
        predictor = CATALOG.load(m["kind"], place=str(path)).load(path / "predictor", encoder)
        model = Model(encoder=encoder, predictor=predictor, offset=float(m["offset"]))
        if model.digest != m["digest"]:
            raise DataError(f"{path}: the saved model was changed: expected digest {m['digest']}, got {model.digest}")
        return model
