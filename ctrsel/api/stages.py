"""The stages of a run, each a plain computation behind the cache, in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

from ctrsel.api.account import outcome_account
from ctrsel.api.auto_size import AutoSelection
from ctrsel.api.cache import StageCache
from ctrsel.api.crosses import Crossed, choose_crosses
from ctrsel.api.evaluate import evaluate
from ctrsel.api.plan import Plan, component_key
from ctrsel.api.saved import load_fit, save_fit
from ctrsel.api.selecting import Selecting, started
from ctrsel.core.catalog import describe
from ctrsel.core.config import RunConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, LeakError
from ctrsel.core.log import event
from ctrsel.data.as_of import table_as_of
from ctrsel.data.audit import audit
from ctrsel.data.ingest import ingest
from ctrsel.data.intake import source_digests
from ctrsel.data.past import recent
from ctrsel.data.paths import expand
from ctrsel.data.table import Table
from ctrsel.explain import explain, explainer_for
from ctrsel.explain.by_parts import ByParts
from ctrsel.explain.permutation_shap import PermutationShap
from ctrsel.explain.pred_contrib import PredContrib
from ctrsel.models.model import Model
from ctrsel.rank import ModelRanker, Ranker, TableCounts, count, rank
from ctrsel.records.audit import Audit
from ctrsel.records.cross_choice import CrossChoices
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.schema import Schema
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.select import Outcome, Selector, exclude
from ctrsel.train import Fit, Learner

__all__ = ["Stages", "stored_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """A plan and the cache of its results; each method is one stage."""

    plan: Plan
    cache: StageCache

    @property
    def seed(self) -> int:
        """The run's seed, from which every stage derives its own stream."""
        return self.plan.config.seed

    def ingest(self) -> Table:
        """Ingest, or load the table that was made from the same bytes by the same settings, or the config's store.

        What a database or another machine holds cannot be known without reading it, so it is read every time; later
        stages are reused if it is what it was.
        """
        newest = self.plan.config.data.newest
        table = self._ingested()
        return table if newest is None else recent(table, newest)

    def _ingested(self) -> Table:
        config = self.plan.config
        if config.data.store is not None:
            return stored_table(config)
        files = source_digests(config.data)
        inputs = {
            "files": files,
            "data": asdict(replace(config.data, newest=None)),
            "schema": asdict(config.schema),
            "split": asdict(config.split),
            "settings": asdict(config.ingest),
            "seed": self.seed,
        }

        def write(_: Table | None, path: Path) -> None:
            ingest(
                config.data,
                schema=config.schema,
                split=config.split,
                settings=config.ingest,
                seed=self.seed,
                out=path,
            )

        found = self.cache.get(
            "ingest",
            version=2,
            inputs=inputs,
            compute=lambda: None,
            save=write,
            load=_load,
            fresh=files is None,
        )
        assert found is not None
        return found

    def audit(self, table: Table) -> Audit:
        """Audit the table.

        Raises:
            LeakError: If a field gives the label away and the config does not accept it.
        """
        # What is never used cannot leak; its finding stays, as a warning.
        unused = (n for n in self.plan.config.select.never_use if n in table.schema.names)
        accept = (*self.plan.config.audit.accept, *unused)
        found = self.cache.get(
            "audit",
            version=1,
            inputs={"table": table.digest, "accept": sorted(accept)},
            compute=lambda: audit(table, accept=accept),
            save=Audit.save,
            load=Audit.load,
        )
        if found.stops:
            stop = found.stops[0]
            raise LeakError(f"field {stop.field!r}: {stop.evidence} {stop.advice}")
        return found

    def cross(self, table: Table) -> Crossed:
        """Choose crosses and make them fields; without a section `crosses` in the config the table stays as it is.

        Fields that must never be used feed no cross, and the choice does not read the test split.
        """
        config = self.plan.config.crosses
        if config is None:
            return Crossed(table=table, plain=table)
        known = exclude(table, self.plan.config.select.never_use).without("test")
        ranker, ranking = self.plan.cross_ranker, None
        if ranker is not None:
            ranking = self._ranked(ranker, known, model=None, counts=partial(count, known))
        wishes = {k: v for k, v in asdict(config).items() if k not in ("ranker", "compare")}
        choices = self.cache.get(
            "cross",
            version=1,
            inputs={"table": known.digest, "wishes": wishes, "ranking": ranking.digest if ranking else None},
            compute=lambda: choose_crosses(known, config, ranking),
            save=CrossChoices.save,
            load=CrossChoices.load,
        )
        for choice in choices.choices:
            event("cross", field=choice.name, taken=choice.taken, reason=choice.reason)
        crossed = table.crossed(choices.taken, min_count=config.min_count)
        return Crossed(table=crossed, plain=table, choices=choices, ranking=ranking)

    def train(self, known: Table) -> dict[str, Fit]:
        """Train every learner on all values; trees first, since a ranker may explain them."""
        learners = self.plan.learners
        order = sorted(learners, key=lambda name: component_key(learners[name]) != "boosted")
        return {name: self.train_one(name, known) for name in order}

    def train_one(self, name: str, known: Table) -> Fit:
        """Train one learner of the config on all values."""
        learner, start = self.plan.learners[name], self._start(self.plan.learners[name])
        with self.cache.working(f"train/{name}") as work:
            return self.cache.get(
                f"train/{name}",
                version=1,
                inputs={"table": known.digest, "learner": describe(learner), "seed": self.seed, **started(start)},
                compute=partial(learner.fit, known, start=start, work=work, seed=self.seed),
                save=save_fit,
                load=load_fit,
            )

    def _start(self, learner: Learner) -> Model | None:
        """Return the model that a learner goes on from, if the config names one that it can."""
        start = self.plan.start
        return start if start is not None and start.predictor.kind in learner.starts_from else None

    def rank(self, table: Table, fits: Mapping[str, Fit]) -> tuple[Ranking, ...]:
        """Rank the fields by every ranker of the config; trees that are trained on these codes are not trained again.

        What must never be used is counted, so that a reader sees what was left out, but no model is shown it.
        """
        usable = exclude(table, self.plan.config.select.never_use)
        trees = [
            fit.model
            for name, fit in fits.items()
            if component_key(self.plan.learners[name]) == "boosted"
            and fit.model.encoder.digest == usable.encoder.digest
        ]
        model = trees[0] if trees else None
        counts = cache(partial(count, table))  # once for all rankers, and not at all if every ranking is at hand

        def one(ranker: Ranker) -> Ranking:
            needed, shown = (model, usable) if isinstance(ranker, ModelRanker) else (None, table)
            return self._ranked(ranker, shown, model=needed, counts=counts)

        return tuple(map(one, self.plan.rankers))

    def _ranked(
        self, ranker: Ranker, shown: Table, *, model: Model | None, counts: Callable[[], TableCounts]
    ) -> Ranking:
        return self.cache.get(
            f"rank/{component_key(ranker)}",
            version=1,
            inputs={
                "table": shown.digest,
                "ranker": describe(ranker),
                "seed": self.seed,
                "model": model.digest if model else None,
            },
            compute=lambda: rank(shown, (ranker,), seed=self.seed, model=model, counts=counts)[0],
            save=Ranking.save,
            load=Ranking.load,
        )

    def select(self, known: Table, rankings: tuple[Ranking, ...]) -> dict[str, tuple[Selector, Outcome]]:
        """Run each selector and each control, then retrain on each selection."""
        return self._selecting.select(known, rankings)

    def auto(self, known: Table, rankings: tuple[Ranking, ...]) -> AutoSelection:
        """Find the first selector's size, where the config leaves it open."""
        return self._selecting.auto(known, rankings)

    @property
    def _selecting(self) -> Selecting:
        return Selecting(plan=self.plan, cache=self.cache, start=self._start(self.plan.learner))

    def evaluate(
        self, name: str, model: Model, table: Table, *, features: FeatureSet | None, segments: tuple[str, ...]
    ) -> Evaluation:
        """Read the test split once for this model."""
        scored = table if features is None else table.narrow(features)
        return self.cache.get(
            f"evaluate/{_file_name(name)}",
            version=2,
            inputs={"model": model.digest, "table": table.digest, "segments": list(segments), "seed": self.seed},
            compute=lambda: evaluate(model, scored, split="test", segments=segments, segments_of=table, seed=self.seed),
            save=Evaluation.save,
            load=Evaluation.load,
        )

    def account(self, known: Table, outcome: Outcome, *, whole: Schema) -> SelectionAccount:
        """Say why each field and value of a selection went, and what its model loses without those that stay."""
        wishes = self.plan.config.select
        return self.cache.get(
            "account",
            version=1,
            inputs={
                "table": known.digest,
                "whole": whole.digest,
                "features": outcome.selection.features.digest,
                "model": outcome.fit.model.digest,
                "wishes": [list(wishes.always_keep), [list(g) for g in wishes.groups]],
                "seed": self.seed,
            },
            compute=lambda: outcome_account(known, outcome, wishes=wishes, whole=whole, seed=self.seed),
            save=SelectionAccount.save,
            load=SelectionAccount.load,
        )

    def explain(self, name: str, model: Model, table: Table) -> Explanation:
        """Explain a model on a label-stratified sample of validation rows."""
        settings, known = self.plan.config.explain, table.without("test")
        trees = PredContrib(rows=settings.max_rows)
        nets = PermutationShap(rows=min(settings.net_rows, settings.max_rows), background=settings.background)
        parts = ByParts(rows=nets.rows, explainers=(trees, nets))
        explainer = explainer_for(model, trees, parts, nets)
        return self.cache.get(
            f"explain/{_file_name(name)}",
            version=2,
            inputs={
                "model": model.digest,
                "table": known.digest,
                "explainer": describe(explainer),
                "seed": self.seed,
            },
            compute=lambda: explain(model, known, explainer=explainer, seed=self.seed),
            save=Explanation.save,
            load=Explanation.load,
        )


def _load(path: Path) -> Table | None:
    return Table.load(path)


def stored_table(config: RunConfig) -> Table:
    """Load the table of a config's store.

    Raises:
        ConfigError: If the config names files as well, or another label.
        DataError: If there is no such store.
    """
    place = f"data.store: {config.data.store}"
    others = [k for k in ("dataset", "train", "valid", "test") if getattr(config.data, k) is not None]
    if others:
        raise ConfigError(f"data: name a store or files, not both: got a store and {others}")
    folder = Path(expand(str(config.data.store))).expanduser()
    table = Table.load(folder) if config.data.as_of is None else table_as_of(folder, config.data.as_of)
    label = table.schema.labels[0].name
    if config.schema.label.name != label:
        raise ConfigError(f"{place}: its label is {label!r}, but schema.label says {config.schema.label.name!r}")
    _check_stored(table.schema, config.schema, place=place)
    return table


def _check_stored(stored: Schema, config: SchemaConfig, *, place: str) -> None:
    """Refuse what a config says of columns that were stored otherwise: it would be believed, and not done."""
    for name in config.ignore:
        if name in stored.names:
            raise ConfigError(
                f"{place}: {name!r} is a field of it, but stands in schema.ignore; name it in select.never_use, or store "
                "the rows without it"
            )
    for name, said in config.fields.items():
        if name not in stored.names:
            continue
        for key in ("kind", "bucket", "vocabulary", "hash_buckets", "max_length", "sensitive"):
            want, has = getattr(said, key), getattr(stored.field(name), key)
            # A field is sensitive as well where one that shares its vocabulary is.
            if want is not None and want != has and (key != "sensitive" or want):
                raise ConfigError(
                    f"{place}: schema.fields.{name}.{key} is {has!r} there, but the config says {want!r}; change the config, "
                    "or store the rows anew"
                )


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)
