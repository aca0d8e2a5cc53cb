"""ShadowFeatures (Boruta): fields that a model uses more than shuffled copies of the fields, training after training.

References: Kursa and Rudnicki, "Feature selection with the Boruta package", 2010, section 2; Strobl et al., "Bias in random
forest variable importance measures", 2007 (why the importance must not favour many values).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import progress
from ctrsel.core.seeds import derive, generator
from ctrsel.data.table import Ragged
from ctrsel.rank._contract import ModelRanker
from ctrsel.rank._importance import KINDS, UNITS, Kind, constant_fields, importance, ranked
from ctrsel.rank._resampled import SHUFFLES, Shuffle, random_rows, resolved, subset, with_shadows
from ctrsel.train import CATALOG, Learner
from ctrsel.train.boosted import BoostedLearner

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.ranking import Ranking

__all__ = ["ShadowFeatures"]

_FIT = 0.7  # of a round's rows; the others are permuted or explained
_EXPLAINED = 2000  # rows whose contributions are worked out: they cost milliseconds each


def _learner() -> BoostedLearner:
    return BoostedLearner(rounds=60, patience=15, leaves=15, monitor="log_loss", feature_share=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowFeatures(ModelRanker):
    """How far a field's importance stands above the best shadow's, on average over the trainings.

    Each round draws rows, gives every field a shuffled copy with the same values (its shadow), trains on 70 % of the rows,
    and takes the importances from the others. A field has a hit where it beats the best shadow. A model that is given is
    not used: it has seen no shadow.

    Columns of the ranking: `decision` ("confirmed", "rejected" or "tentative"), `hits`, `importance` and `bar` (means over
    the rounds, of the field and of the shadow it had to beat), `p` (of so many hits where one has even chances), `q` (times
    the number of fields, Bonferroni).

    Attributes:
        rounds: Trainings, all of which are done; each has twice the fields.
        rows: Training rows of a round at most.
        importance: What is compared. "permutation": the rise of the log-loss of rows not trained on when a field is
            permuted, over its standard error, in which no number of values is ahead. "shap": mean |contribution| and
            "gain": the split gain, both of which favour many values.
        peers: A field must beat so many shadows only, those nearest to it in number of values; None for all.
        alpha: Chance that any noise field is confirmed, if hits of a noise field were even chances in each round.
        shuffle: How shadows are shuffled. "rows": freely; "shift": all rows move on in the order of group and time, so that
            neighbours stay neighbours; "within": within groups or blocks of time; "auto": "shift" where the table has a
            group or time, else "rows".
        learner: What is trained. Its default is 60 trees of 15 leaves with half of the fields at hand for each.
    """

    weighted: ClassVar[bool] = True  # trees and losses are weighted; labels and weights stay together

    rounds: int = 15
    rows: int = 50_000
    importance: Kind = "permutation"
    peers: int | None = None
    alpha: float = 0.05
    shuffle: Shuffle = "auto"
    learner: Learner = field(default_factory=_learner, metadata={"catalog": CATALOG})

    @property
    def fits(self) -> int:
        """Each round trains with twice the fields."""
        return 2 * self.rounds

    def __post_init__(self) -> None:
        if self.rounds < 2:
            raise ConfigError(f"shadow_features.rounds: must be at least 2, got {self.rounds}")
        if self.rows < 20:
            raise ConfigError(f"shadow_features.rows: must be at least 20, got {self.rows}")
        if self.importance not in KINDS:
            raise ConfigError(f"shadow_features.importance: must be one of {', '.join(KINDS)}, got {self.importance!r}")
        if self.peers is not None and self.peers < 1:
            raise ConfigError(f"shadow_features.peers: must be at least 1, or None for all, got {self.peers}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"shadow_features.alpha: must be between 0 and 1, got {self.alpha}")
        if self.shuffle not in SHUFFLES:
            raise ConfigError(f"shadow_features.shuffle: must be one of {', '.join(SHUFFLES)}, got {self.shuffle!r}")

    def score(self, table: Table, *, seed: int, model: Model | None = None) -> Ranking:
        """Train so many rounds, and rank the fields by their mean margin over the shadows.

        Raises:
            ConfigError: If the importance needs trees and the learner makes none.
        """
        from scipy.stats import binom

        shuffle, told = resolved(self.shuffle, table, place="shadow_features.shuffle")
        refused = constant_fields(table)
        names = tuple(name for name in table.schema.names if name not in refused)
        rivals = _rivals(table, names, self.peers)
        mine, bars = np.zeros((2, self.rounds, len(names)))
        with progress("shadows", self.rounds, unit="trainings") as bar:
            for r in range(self.rounds if names else 0):
                mine[r], theirs = self._round(table, names, shuffle=shuffle, seed=seed, r=r)
                bars[r] = np.where(rivals, theirs[None, :], -np.inf).max(axis=1)
                bar.advance(1)
        hits = (mine > bars).sum(axis=0)
        # DEVIATION(Kursa and Rudnicki 2010): fields are tested once, after all rounds, and none leaves before; tests after
        # every round would need a correction for having looked, and early rounds would be judged by other rivals. The
        # importances are those of any learner on rows it was not trained on, not of a random forest on its left-out rows.
        p = binom.sf(hits - 1, self.rounds, 0.5)
        few = binom.cdf(hits, self.rounds, 0.5)
        tested = max(len(names), 1)
        decision = np.where(
            p * tested <= self.alpha, "confirmed", np.where(few * tested <= self.alpha, "rejected", "tentative")
        )

        def by(values: np.ndarray) -> dict[str, object]:
            return dict(zip(names, values.tolist(), strict=True))

        margin = (mine - bars).mean(axis=0)
        needed = int(binom.isf(self.alpha / tested, self.rounds, 0.5)) + 1
        return ranked(
            "shadow_features",
            dict(zip(names, margin.tolist(), strict=True)),
            columns={
                "decision": by(decision),
                "hits": by(hits),
                "importance": by(mine.mean(axis=0)),
                "bar": by(bars.mean(axis=0)),
                "p": by(p),
                "q": by(np.minimum(p * tested, 1.0)),
            },
            params=describe(self),
            unit=UNITS[self.importance],
            null=f"copies of the fields with {told}, in the same trainings",
            refused=refused,
            notes=(
                f"{self.rounds} trainings with at most {self.rows} rows; at least {needed} hits confirm a field",
                *(
                    (f"{self.rounds} rounds are too few to confirm any of {tested} fields",)
                    if needed > self.rounds
                    else ()
                ),
                *(
                    (f"gains and contributions favour many values: compare {self.importance} with peers",)
                    if self.importance != "permutation" and self.peers is None
                    else ()
                ),
            ),
            table=table.digest,
        )

    def _round(
        self, table: Table, names: tuple[str, ...], *, shuffle: Shuffle, seed: int, r: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the importances of the fields and of their shadows, `[F]` each."""
        stream = ("rank", "shadow_features", r)
        train, valid = table.span("train"), table.span("valid")
        drawn = random_rows(table.part("train"), rng=generator(seed, *stream, "rows"))[: self.rows] + train.start
        cut = int(len(drawn) * _FIT)
        held_out = np.arange(valid.start, valid.stop)[: self.rows]
        fewer = subset(table, np.concatenate([np.sort(drawn[:cut]), np.sort(drawn[cut:])]), held_out)
        wide, shadows = with_shadows(fewer, names, shuffle=shuffle, seed=seed, stream=(*stream, "shadow"))
        stops = {"train": (0, cut), "valid": (len(drawn), wide.n_rows)}
        fit = self.learner.fit(replace(wide, splits=stops), seed=derive(seed, *stream))
        asked = np.arange(cut, len(drawn))
        part = wide.take(asked[:_EXPLAINED] if self.importance == "shap" else asked)
        found = importance(fit.model, part, kind=self.importance, seed=derive(seed, *stream))
        value = dict(zip(wide.schema.names, found, strict=True))
        return np.array([value[n] for n in names]), np.array([value[shadows[n]] for n in names])


def _rivals(table: Table, names: tuple[str, ...], peers: int | None) -> np.ndarray:
    """Return which shadows each field must beat, bool `[F, F]`; a field's own is always among them."""
    if peers is None or peers >= len(names):
        return np.ones((len(names), len(names)), dtype=bool)
    part = table.part("train")
    sizes = np.array([np.log(_values(part, name)) for name in names])
    away = np.abs(sizes[:, None] - sizes[None, :])
    np.fill_diagonal(away, -1.0)
    rivals = np.zeros((len(names), len(names)), dtype=bool)
    np.put_along_axis(rivals, np.argsort(away, axis=1, kind="stable")[:, :peers], values=True, axis=1)
    return rivals


def _values(part: Table, name: str) -> int:
    """Return how many different values a field has in these rows."""
    column = part.columns[name]
    if part.schema.field(name).is_float:
        return len(np.unique(np.asarray(column)))
    codes = column.codes if isinstance(column, Ragged) else column
    return int(np.count_nonzero(np.bincount(codes, minlength=1))) or 1
