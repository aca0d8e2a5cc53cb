"""Progressive evaluation: train on what was known until a day, test on that day, and so on; the mean over the days.

Reference: the protocol is that of online experiments on logs, as in McMahan et al., "Ad click prediction: a view from the
trenches", 2013, section 5.1 ("progressive validation", after Blum, Kalai and Langford, 1999), with a day at a time.
"""

from __future__ import annotations

import importlib.metadata
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ctrsel.api.cache import StageCache, exclusive
from ctrsel.api.evaluate import evaluate
from ctrsel.api.growing import grown_table
from ctrsel.api.plan import plan
from ctrsel.api.saved import load_fit, save_fit
from ctrsel.core.artifact import atomic_folder, read_manifest
from ctrsel.core.catalog import describe
from ctrsel.core.config import RunConfig, load_config
from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.core.log import event
from ctrsel.data.past import Periods, past_table
from ctrsel.data.table import Table
from ctrsel.models.matching import match
from ctrsel.models.model import Model
from ctrsel.records.evaluation import Metric
from ctrsel.records.progressive import DayResult, Progressive, day_of
from ctrsel.train import CATALOG as LEARNERS
from ctrsel.train import Learner

__all__ = ["Protocol", "progressive"]

_MEANS = ("auc", "log_loss", "normalised_entropy", "calibration_ratio", "ece", "base_rate", "grouped_auc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a learner meets the days.

    Attributes:
        by: Length of a period ("1d", "12h", or a number where time is one); None for one per distinct moment.
        days: Test on the last so many periods; None for all that have a past.
        history: Periods before the first one that is tested.
        warm: Go on from the model of the day before, over the rows that it was not trained on; else train from fresh weights
            on all that is past.
        window: Without `warm`: train on the last so many periods only.
        valid: Share of the rows trained on, the newest ones, that training is stopped by; with `warm` they are trained on
            the next day.
        seed: Of every training and of the intervals.
    """

    by: str | None = None
    days: int | None = None
    history: int = 1
    warm: bool = False
    window: int | None = None
    valid: float = 0.1
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("days", "history", "window"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if not 0 < self.valid < 1:
            raise ConfigError(f"valid: must be a share between 0 and 1, got {self.valid}")
        if self.warm and self.window is not None:
            raise ConfigError("window: with warm starts every row is trained on once, so there is no window to set")

    def run(self, table: Table, learner: Learner, *, cache: StageCache) -> Progressive:
        """Go through the days; days that the cache holds for just these rows are not done again.

        Raises:
            ConfigError: If there is no time column, or the learner cannot go on from a model.
            DataError: If there are too few periods, or one lacks a label.
        """
        if self.warm and not learner.starts_from:
            raise ConfigError(f"warm: {describe(learner)['use']!r} cannot go on from a model; choose a learner of nets")
        periods = Periods.of(table, self.by)
        if len(periods) <= self.history:
            raise DataError(
                f"progressive: needs more than {self.history} periods of {table.schema.time!r}, got {len(periods)}"
            )
        first = self.history if self.days is None else max(self.history, len(periods) - self.days)
        results, start, trained = [], None, 0  # rows that the present model was trained on
        for day in range(first, len(periods)):
            begin = int(periods.starts[max(day - (self.window or day), 0)])
            stop = int(periods.starts[day])
            begin = trained if self.warm else begin
            cut = stop - max(math.ceil(self.valid * (stop - begin)), 1)
            order = periods.order
            parts = {
                "train": order[begin:cut],
                "valid": order[cut:stop],
                "test": order[stop : int(periods.starts[day + 1])],
            }
            shown = past_table(table, parts, fit=order[0 if self.warm else begin : cut])
            # Numbers of rows in a source depend on how many came later; places in time do not.
            shown = replace(shown, row=np.arange(begin, begin + shown.n_rows, dtype=np.int64))
            result, start = self._day(periods.names[day], shown, learner, start if self.warm else None, cache=cache)
            results.append(result)
            trained = cut
        protocol = {"periods": len(periods), **asdict(self)}
        return Progressive(
            table=table.digest,
            learner=describe(learner),
            protocol=protocol,
            days=tuple(results),
            mean=mean_metrics([r.metrics for r in results]),
        )

    def _day(
        self, name: str, table: Table, learner: Learner, start: Model | None, *, cache: StageCache
    ) -> tuple[DayResult, Model]:
        """Train, and test on the day."""

        def compute() -> tuple[DayResult, Any]:
            fit = learner.fit(table.without("test"), start=start, seed=self.seed)
            found = evaluate(fit.model, table, split="test", seed=self.seed, keep_logits=False)
            known = None if start is None else match(start.encoder, fit.model.encoder)
            result = DayResult(
                day=name,
                rows={k: b - a for k, (a, b) in table.splits.items()},
                metrics=found.metrics,
                valid=dict(fit.valid),
                model=fit.model.digest,
                start=None if start is None else start.digest,
                values=fit.model.encoder.n_values,
                new_values=None if known is None else sum(len(v.new_codes) for v in known.vocabularies.values()),
                epochs=fit.epochs,
                seconds=fit.seconds,
            )
            return result, fit

        def save(made: tuple[DayResult, Any], path: Path) -> None:
            manifest = {"format": "ctrsel.progressive_day", "version": 1, **made[0].to_dict()}
            with atomic_folder(path, manifest=manifest) as folder:
                save_fit(made[1], folder / "fit")

        def load(path: Path) -> tuple[DayResult, Any]:
            told = read_manifest(path, format="ctrsel.progressive_day", version=1)
            return day_of({k: v for k, v in told.items() if k not in ("format", "version")}), load_fit(path / "fit")

        result, fit = cache.get(
            f"progressive/{name.replace(':', '')}",
            version=1,
            inputs={
                "table": table.digest,
                "learner": describe(learner),
                "start": None if start is None else start.digest,
                "seed": self.seed,
            },
            compute=compute,
            save=save,
            load=load,
        )
        event("tested", day=name, auc=result.metrics["auc"].value, rows=result.rows["test"])
        return replace(result, day=name), fit.model


def mean_metrics(days: Sequence[Mapping[str, Metric]]) -> dict[str, Metric]:
    """Return the mean of each metric over the days that have it, with Student's t interval at 95 % from two days on.

    Examples:
        >>> found = mean_metrics([{"auc": Metric(value=0.7)}, {"auc": Metric(value=0.8)}, {"auc": Metric(value=None)}])["auc"]
        >>> round(found.value, 3), found.method
        (0.75, 't over 2 days')
    """
    found = {}
    for name in _MEANS:
        values = np.array([v for d in days if name in d and (v := d[name].value) is not None])
        if not len(values):
            continue
        mean = float(values.mean())
        if len(values) == 1:
            found[name] = Metric(value=mean)
            continue
        half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
        found[name] = Metric(value=mean, low=mean - half, high=mean + half, method=f"t over {len(values)} days")
    return found


def progressive(
    data: Table | RunConfig | str | Path,
    learner: str | Learner | Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    **protocol: Any,
) -> Progressive:
    """Test a learner day by day on rows that it has not seen, as a model in use meets them.

    For each day codes, moments and weights come from earlier rows only: the Encoder is fitted again on the rows that are
    trained on (with warm starts: on all that were trained on so far). Bucket edges are those of the table; a config's
    table is made so that they come from the rows before the first tested day.

    Args:
        data: A Table with a time column (see `ingest`; `split.use: none` lets every row count), the folder of one, a
            `RunConfig`, or its file.
        learner: A learner, its name or `{"use": name, ...}`; with a config the name that it gives one (by default
            `select.learner`).
        out: A folder for finished days, which the same call goes on from; with a config its run's folder, else None keeps
            nothing.
        **protocol: As in `Protocol`: by, days, history, warm, window, valid, seed.

    Raises:
        ConfigError, DataError: In one sentence.
    """
    if isinstance(data, str | Path):
        data = load_config(data) if Path(data).suffix.lower() in (".yaml", ".yml") else Table.load(Path(data))
    if isinstance(data, RunConfig):
        wishes = Protocol(**{"seed": data.seed, **protocol})
        made = plan(data if out is None else replace(data, out=str(out)))
        name = data.select.learner if learner is None else learner
        if isinstance(name, str) and name not in made.learners:
            raise unknown_name("learner", name, made.learners, place="learner")
        chosen = made.learners[name] if isinstance(name, str) else _learner(name)
        with exclusive(made.out):
            cache = StageCache(folder=made.out / "stages", version=importlib.metadata.version("ctrsel"))
            table = grown_table(data, cache, by=wishes.by, history=wishes.history)
            result = wishes.run(table, chosen, cache=cache)
            result.save(made.out / "progressive")
        return result
    wishes, chosen = Protocol(**protocol), _learner("net" if learner is None else learner)
    with tempfile.TemporaryDirectory(prefix="ctrsel-", ignore_cleanup_errors=True) as folder:
        place = Path(folder if out is None else out)
        cache = StageCache(folder=place / "stages", version=importlib.metadata.version("ctrsel"))
        return wishes.run(data, chosen, cache=cache)


def _learner(given: str | Learner | Mapping[str, Any]) -> Learner:
    return given if isinstance(given, Learner) else LEARNERS.create(given, place="learner")
