"""RankingComparison: how much several rankings of the same items agree, and where each of them puts every item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ctrsel.core.artifact import atomic_folder, digest_arrays, digest_json, read_array, read_manifest
from ctrsel.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RankingComparison"]

_OWN = ("field", "value")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankingComparison:
    """M rankings of the same kind of items, compared pair by pair; matrices are symmetric `[M, M]`.

    Attributes:
        names: What each ranking is called here.
        methods: The ranker of each.
        item: What is ranked: "field", "cross" or "value".
        p: Of the rank-biased overlap: the chance that a reader goes on to the next item.
        rbo: Rank-biased overlap, 0 to 1.
        tau: Kendall's tau-b over the items that both have, -1 to 1; NaN where it is not defined.
        tops: By k the Jaccard overlap of the first k items, 0 to 1.
        shared: int64, how many items both have.
        items: Frame with `field` and, for values, `value`: all items that any ranking has, best mean rank first.
        ranks: int64 `[M, I]`, the rank of each item in each ranking; 0 where a ranking does not have it.
        rankings: Digest of each ranking.
        tables: Digest of the table that each was made on; empty where it is not known.
        notes: What a reader must know.
    """

    names: tuple[str, ...]
    methods: tuple[str, ...]
    item: Literal["field", "cross", "value"]
    p: float
    rbo: np.ndarray
    tau: np.ndarray
    tops: Mapping[int, np.ndarray]
    shared: np.ndarray
    items: pl.DataFrame
    ranks: np.ndarray
    rankings: tuple[str, ...]
    tables: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        m = len(self.names)
        if len(set(self.names)) < m or set(self.names) & set(_OWN):
            raise DataError(
                f"a comparison needs a name of its own per ranking, none of them {_OWN}, got {list(self.names)}"
            )
        for name, matrix in self._matrices().items():
            if matrix.shape != (m, m):
                raise DataError(f"a comparison of {m} rankings: {name} must be [{m}, {m}], got {matrix.shape}")
        if self.ranks.shape != (m, self.items.height):
            raise DataError(f"a comparison: ranks must be [{m}, {self.items.height}], got {self.ranks.shape}")

    def _matrices(self) -> dict[str, np.ndarray]:
        tops = {f"top_{k}": matrix for k, matrix in self.tops.items()}
        return {"rbo": self.rbo, "tau": self.tau, **tops, "shared": self.shared}

    def frame(self) -> pl.DataFrame:
        """Return the items with a column of ranks per ranking, null where it does not have the item."""
        import polars as pl

        columns = [
            pl.Series(name, [int(r) or None for r in ranks], dtype=pl.Int64)
            for name, ranks in zip(self.names, self.ranks, strict=True)
        ]
        return self.items.with_columns(columns)

    def pairs(self) -> pl.DataFrame:
        """Return one line per two rankings: `first`, `second`, `rbo`, `tau` (null where not defined), `top_k`, `shared`."""
        import polars as pl

        places = [(i, j) for i in range(len(self.names)) for j in range(i)]
        numbers = {
            name: pl.Series(name, [matrix[i, j] for i, j in places], dtype=pl.Int64 if name == "shared" else pl.Float64)
            for name, matrix in self._matrices().items()
        }
        return pl.DataFrame(
            {
                "first": pl.Series([self.names[j] for _, j in places], dtype=pl.String),
                "second": pl.Series([self.names[i] for i, _ in places], dtype=pl.String),
                **numbers,
            }
        ).with_columns(pl.col("tau").fill_nan(None))

    def _head(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "methods": list(self.methods),
            "item": self.item,
            "p": self.p,
            "tops": [int(k) for k in self.tops],
            "rankings": list(self.rankings),
            "tables": list(self.tables),
            "notes": list(self.notes),
        }

    @property
    def digest(self) -> str:
        """Digest of the content."""
        arrays = digest_arrays({**self._matrices(), "ranks": self.ranks})
        return digest_json({**self._head(), "items": self.items.to_dict(as_series=False), "arrays": arrays})

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest, `items.parquet` and the arrays as `.npy` files."""
        manifest = {"format": "ctrsel.ranking_comparison", "version": 1, **self._head()}
        with atomic_folder(path, manifest=manifest) as folder:
            self.items.write_parquet(folder / "items.parquet")
            for name, array in {**self._matrices(), "ranks": self.ranks}.items():
                np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @staticmethod
    def load(path: Path) -> RankingComparison:
        """Load what `save` wrote."""
        import polars as pl

        m = read_manifest(path, format="ctrsel.ranking_comparison", version=1)
        folder = Path(path)

        def array(name: str) -> np.ndarray:
            return read_array(folder / f"{name}.npy")

        return RankingComparison(
            names=tuple(m["names"]),
            methods=tuple(m["methods"]),
            item=m["item"],
            p=m["p"],
            rbo=array("rbo"),
            tau=array("tau"),
            tops={k: array(f"top_{k}") for k in m["tops"]},
            shared=array("shared"),
            items=pl.read_parquet(folder / "items.parquet"),
            ranks=array("ranks"),
            rankings=tuple(m["rankings"]),
            tables=tuple(m["tables"]),
            notes=tuple(m["notes"]),
        )
