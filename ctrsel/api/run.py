"""One run: from the raw table to a smaller, explained, registered model, each stage reused where nothing changed."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ctrsel.api.assemble import contender, milliseconds_per_1000, summarise_fields, table_facts, verdict
from ctrsel.api.cache import StageCache, exclusive
from ctrsel.api.crosses import Crossed
from ctrsel.api.evaluate import compare_auc
from ctrsel.api.outbox import _deliver, waiting
from ctrsel.api.plan import Plan, component_key, plan
from ctrsel.api.publish import RunResult, kept_logits, publish
from ctrsel.api.registering import PAGE
from ctrsel.api.stages import Stages
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import PromotionRefusedError, UnreachableError
from ctrsel.core.log import logger
from ctrsel.data.example import example_rows
from ctrsel.data.table import Table
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.explanation import Explanation
from ctrsel.records.ranking import Ranking
from ctrsel.records.run import Contender, Run
from ctrsel.select import CONTROLS, Outcome, Selector, exclude
from ctrsel.train import Fit

__all__ = ["RunResult", "run"]


def run(config: RunConfig) -> RunResult:
    """Do the whole run; a stage whose inputs have not changed since an earlier run in the same folder is reused.

    Args:
        config: What to do; `load_config` reads it from YAML.

    Raises:
        ConfigError: In the configuration (exit code 2).
        DataError, LeakError: In the data, or a leak that the config does not accept (exit code 3).
        UnreachableError: If the registry could not be reached for as long as `register.patience` says (exit code 5);
            everything is written before, and the run waits in the outbox of its folder.
        RefusedError: If it refused access (exit code 2); likewise, but nothing is tried again.
        PromotionRefusedError: If the config requires a promotion and the small model fails a rule of the run or of the
            promotion check (exit code 4); everything is written and registered before.
    """
    made = plan(config)
    with exclusive(made.out):
        _deliver_what_waits(made)
        result = _run(made)
    if result.undelivered is not None:
        raise result.undelivered
    if config.register.require_promotion and (result.refusal or not result.run.verdict.promoted):
        failed = next((r for r in result.run.verdict.reasons if r.startswith("FAILED")), result.refusal)
        raise PromotionRefusedError(f"{config.name}: the small model is registered but not promoted; {failed}")
    return result


def _deliver_what_waits(made: Plan) -> None:
    """Register what earlier runs could not, if that is possible now; a run of its own does not wait for it."""
    settings = made.config.register
    if not settings.enabled or not waiting(made.out):
        return
    try:
        _deliver(replace(made.config, register=replace(settings, patience="0s")), out=made.out)
    except UnreachableError as error:
        logger().warning("not delivered yet", extra={"facts": {"reason": str(error)}})


def _run(made: Plan) -> RunResult:
    cache = StageCache(folder=made.out / "stages", version=importlib.metadata.version("ctrsel"))
    cache.sweep()
    stages = Stages(plan=made, cache=cache)
    plain = stages.ingest()
    found = stages.audit(plain)
    crossed = stages.cross(plain)
    table = crossed.table
    # What must never be used is gone before anything is trained; the rankings still show it.
    usable = made.usable(table)
    known = usable.without("test")
    fits = stages.train(known)
    rankings = stages.rank(table.without("test"), fits)
    outcomes = stages.select(known, rankings)

    simple = _without_crosses(stages, crossed)
    contenders, evaluations = _judge(stages, usable, rankings, fits, outcomes, simple=simple)
    full = next(c for c in contenders if c.learner == made.config.select.learner and c.selector is None)
    # The choice is made on validation; test only judges it.
    chosen = max((c for c in contenders if c.role == "selected"), key=lambda c: c.valid["auc"])
    outcome = outcomes[chosen.name][1]
    features = outcome.selection.features
    mine = kept_logits(evaluations[chosen.name])
    gaps = {
        c.name: compare_auc(usable, mine, kept_logits(evaluations[c.name]), split="test", seed=stages.seed)
        for c in contenders
        if c is full or c.role == "control"
    }
    delta = gaps.pop(full.name)
    explanations = _explain(stages, usable, fits, chosen=chosen, outcome=outcome)
    record = Run(
        name=made.config.name,
        config=_recorded(made.config),
        seed=stages.seed,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions=_versions(),
        stages=(),
        table=table_facts(plain),
        contenders=contenders,
        fields=summarise_fields(
            table, features=features, rankings=rankings, attribution=explanations[-1], salt=table.digest
        ),
        verdict=verdict(
            contenders,
            chosen=chosen,
            full=full,
            delta=delta,
            max_auc_loss=made.config.register.max_auc_loss,
            calibration=(made.config.register.check.min_calibration, made.config.register.check.max_calibration),
            stops=len(found.stops),
            against=gaps,
            notes=_gain_of_crosses(usable, full, evaluations, simple=simple, seed=stages.seed),
        ),
        digests={
            "table": plain.digest,
            "encoder": table.encoder.digest,
            "audit": found.digest,
            "feature_set": features.digest,
            "model": outcome.fit.model.digest,
            **{f"ranking/{r.method}": r.digest for r in rankings},
            **({} if table is plain else {"crossed_table": table.digest}),
            **({} if crossed.ranking is None else {"ranking/crosses": crossed.ranking.digest}),
        },
        crosses=crossed.choices.choices if crossed.choices else (),
        selection_history=next((o.selection.history for _, o in outcomes.values() if o.selection.history), ()),
    )
    account = stages.account(known, outcome, whole=table.schema)
    result = RunResult(
        run=record,
        out=made.out,
        report=made.out / PAGE,
        table=table,
        audit=found,
        rankings=rankings,
        features=features,
        feature_set=outcome.feature_set,
        account=account,
        model=outcome.fit.model,
        evaluations=evaluations,
        explanations=explanations,
        cross_ranking=crossed.ranking,
    )
    return publish(stages, result)


def _recorded(config: RunConfig) -> dict[str, Any]:
    """Return what a run's record says of its config: without what has no part in the result."""
    found = {k: v for k, v in asdict(config).items() if k not in ("tune", "pipelines")}
    del found["register"]["patience"]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Simple:
    """The full net without crosses, to be compared with the one with."""

    name: str
    table: Table
    fit: Fit


def _without_crosses(stages: Stages, crossed: Crossed) -> _Simple | None:
    """Train the full net on the table that the crosses were made of, if there are any and the config wants it."""
    config = stages.plan.config
    if crossed.table is crossed.plain or config.crosses is None or not config.crosses.compare:
        return None
    table, learner = exclude(crossed.plain, config.select.never_use), config.select.learner
    return _Simple(
        name=f"{learner}, without crosses", table=table, fit=stages.train_one(learner, table.without("test"))
    )


def _gain_of_crosses(
    usable: Table, full: Contender, evaluations: Mapping[str, Evaluation], *, simple: _Simple | None, seed: int
) -> tuple[str, ...]:
    if simple is None:
        return ()
    gap = compare_auc(usable, kept_logits(evaluations[full.name]), kept_logits(evaluations[simple.name]), seed=seed)
    if gap.value is None:
        return ()
    span = f" (95 % {gap.low:+.4f} to {gap.high:+.4f})" if gap.low is not None and gap.high is not None else ""
    return (f"the full net's test AUC with crosses is {gap.value:+.4f}{span} against the same net without",)


def _judge(
    stages: Stages,
    usable: Table,
    rankings: tuple[Ranking, ...],
    fits: Mapping[str, Fit],
    outcomes: Mapping[str, tuple[Selector, Outcome]],
    *,
    simple: _Simple | None,
) -> tuple[tuple[Contender, ...], dict[str, Evaluation]]:
    """Read the test split once per model; measure size and speed."""
    config = stages.plan.config
    segments = _segments(usable, rankings)
    whole = [(f"{key}, all values", key, usable, fit) for key, fit in fits.items()]
    if simple is not None:
        after = [key for _, key, _, _ in whole].index(config.select.learner) + 1
        whole.insert(after, (simple.name, config.select.learner, simple.table, simple.fit))
    models = [*(fit.model for *_, fit in whole), *(outcome.fit.model for _, outcome in outcomes.values())]
    times = iter(milliseconds_per_1000(models, example_rows(usable.encoder, 1000, seed=stages.seed)))
    contenders: list[Contender] = []
    evaluations: dict[str, Evaluation] = {}
    for name, key, shown, fit in whole:
        known = tuple(s for s in segments if s in shown.schema.names)
        evaluations[name] = stages.evaluate(name, fit.model, shown, features=None, segments=known)
        reference = component_key(stages.plan.learners[key]) == "boosted" or shown is not usable
        contenders.append(
            contender(
                name=name,
                role="reference" if reference else "full",
                learner=key,
                selector=None,
                seed=stages.seed,
                fit=fit,
                extra_seconds=0.0,
                evaluation=evaluations[name],
                features=None,
                milliseconds=next(times),
            )
        )
    for name, (selector, outcome) in outcomes.items():
        features = outcome.selection.features
        evaluations[name] = stages.evaluate(name, outcome.fit.model, usable, features=features, segments=segments)
        contenders.append(
            contender(
                name=name,
                role="control" if selector in CONTROLS else "selected",
                learner=config.select.learner,
                selector=component_key(selector),
                seed=stages.seed,
                fit=outcome.fit,
                extra_seconds=outcome.selection.seconds,
                evaluation=evaluations[name],
                features=features,
                milliseconds=next(times),
            )
        )
    return tuple(contenders), evaluations


def _explain(
    stages: Stages, usable: Table, fits: Mapping[str, Fit], *, chosen: Contender, outcome: Outcome
) -> tuple[Explanation, ...]:
    """Explain the trees, then the chosen net, which costs more per row."""
    learners = stages.plan.learners
    trees = tuple(
        stages.explain(f"{name}, all values", fit.model, usable)
        for name, fit in fits.items()
        if component_key(learners[name]) == "boosted"
    )
    small = usable.narrow(outcome.selection.features)
    return (*trees, stages.explain(chosen.name, outcome.fit.model, small))


def _segments(table: Table, rankings: tuple[Ranking, ...]) -> tuple[str, ...]:
    """Return the two best-ranked fields that are not sensitive and have few values."""
    order = rankings[0].order if rankings else table.schema.names
    fit = [
        n
        for n in order
        if n in table.code_fields and not table.schema.field(n).sensitive and table.encoder.size(n) <= 60
    ]
    return tuple(fit[:2])


def _versions() -> dict[str, str]:
    names = ("ctrsel", "torch", "polars", "lightgbm", "mlflow", "numpy", "scikit-learn")
    return {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in names}}
