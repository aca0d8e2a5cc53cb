"""What a registration says of a run: parameters, metrics, tags, the dataset and the files, all without a raw row."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.artifact import to_json
from ctrsel.data.vocabulary import Vocabulary
from ctrsel.models.model import Model
from ctrsel.records.evaluation import Metric
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.review import Review
from ctrsel.records.run import REPORT_TABLES, Contender, Run
from ctrsel.records.spreadsheet import write_sheet
from ctrsel.register.store import public_uri

__all__ = [
    "Measure",
    "contenders_table",
    "dataset",
    "feature_values",
    "measures",
    "parameters",
    "review_tags",
    "shown_ranking",
    "tags",
    "write_files",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One metric of the MLflow run; `of_model` says whether it is the registered model's own."""

    key: str
    value: float
    step: int = 0
    of_model: bool = True


def parameters(run: Run) -> dict[str, str]:
    """Return the flattened config, the seed and the library versions, in MLflow's alphabet and length."""
    flat = {f"version.{k}": v for k, v in run.versions.items()}
    flat |= dict(_flatten(_public(run.config), ""))
    flat["seed"] = str(run.seed)
    return {_key(k): v[:5000] for k, v in flat.items()}


def measures(run: Run) -> list[Measure]:
    """Return the chosen model's metrics, those of the other contenders by name, and the search epoch by epoch."""
    found = [Measure(key=k, value=v) for k, v in _contender(run.chosen).items()]
    found += [Measure(key=f"delta_auc{s}", value=v) for s, v in _interval(run.verdict.delta_auc)]
    for other in run.contenders:
        if other.name != run.verdict.chosen:
            name = other.name.replace(",", "")
            found += [Measure(key=_key(f"{name}/{k}"), value=v, of_model=False) for k, v in _contender(other).items()]
    for step, epoch in enumerate(run.selection_history, start=1):
        found += [
            Measure(key=_key(f"search/{k}"), value=float(v), step=int(epoch.get("epoch", step)), of_model=False)
            for k, v in epoch.items()
            if k != "epoch"
        ]
    return [m for m in found if math.isfinite(m.value)]


def tags(run: Run, *, feature_set: FeatureSet | None) -> dict[str, str]:
    """Return what a reviewer filters and compares versions by."""
    c = run.chosen
    return {
        "verdict": "promoted" if run.verdict.promoted else "refused",
        "test_auc": _number(c.metrics["auc"]),
        "delta_auc": _number(run.verdict.delta_auc, sign="+"),
        "size": f"{c.fields} fields, {c.values:,} values, {c.bytes:,} bytes, {c.milliseconds:.2f} ms per 1,000 rows",
        "table_digest": run.table.digest,
        "feature_set_digest": feature_set.digest if feature_set is not None else "none",
        "model_digest": c.model,
        "run_digest": run.digest,
        "run_created": run.created,
    }


def review_tags(review: Review | None) -> dict[str, str]:
    """Return the promotion check as JSON, its verdict, and the differences to the champion, to filter versions by."""
    if review is None:
        return {}
    found = {"check": to_json(review.check.to_dict()), "check_verdict": "passed" if review.check.passed else "failed"}
    found["compared_with"] = "none" if review.champion is None else str(review.champion)
    if review.comparison is not None:
        metrics = review.comparison.metrics
        found |= {f"champion_delta_{k}": _number(d.difference, sign="+") for k, d in metrics.items()}
    return found


def dataset(run: Run) -> dict[str, str]:
    """Return the dataset as MLflow describes one: our digest, where it came from, and a profile of counts."""
    facts = run.table
    profile = {
        "rows": dict(facts.rows),
        "base_rate": dict(facts.base_rate),
        "fields": facts.fields,
        "values": facts.values,
        "label": facts.label,
        "notes": list(facts.notes),
    }
    schema = [{"type": "string", "name": f.name, "required": False} for f in run.fields]
    return {
        "name": run.name[:500],
        "digest": facts.digest,
        "source_type": "ctrsel",
        "source": to_json({"uri": public_uri(facts.source)}),
        "schema": to_json({"mlflow_colspec": schema}),
        "profile": to_json(profile),
    }


def contenders_table(run: Run) -> pl.DataFrame:
    """Return the final table, one row a contender, the chosen one marked."""
    rows: list[dict[str, Any]] = []
    for c in run.contenders:
        row: dict[str, Any] = {"chosen": c.name == run.verdict.chosen, "name": c.name, "role": c.role}
        row |= {"learner": c.learner, "selector": c.selector, "seed": c.seed, "epochs": c.epochs}
        row |= _contender(c)
        rows.append(row | {"model": c.model, "feature_set": c.feature_set})
    return pl.DataFrame(rows, infer_schema_length=None)


def feature_values(features: FeatureSet, model: Model) -> pl.DataFrame:
    """Return one row per value of the kept vocabularies: its code before and after, and its text where it was kept.

    Texts of sensitive fields are left out; a dropped value's text is no longer known to the model.
    """
    sensitive = {f.vocabulary for f in model.encoder.fields if f.sensitive}
    parts = []
    for name, remap in features.remaps.items():
        codes = np.arange(RESERVED, len(remap))
        texts = pl.repeat(None, len(codes), dtype=pl.String, eager=True)
        if name in model.encoder.vocabularies and name not in sensitive:
            vocabulary = model.encoder.vocabularies[name]
            kept = (remap[codes] != OTHER) & (remap[codes] < vocabulary.size)
            texts = _texts(vocabulary, np.where(kept, remap[codes], OTHER))
        scores = features.scores[name][codes] if features.scores is not None else np.full(len(codes), np.nan)
        parts.append(
            pl.DataFrame(
                {
                    "vocabulary": pl.repeat(name, len(codes), dtype=pl.String, eager=True),
                    "code": codes.astype(np.uint32),
                    "new_code": remap[codes],
                    "kept": remap[codes] != OTHER,
                    "score": scores.astype(np.float64),
                    "value": texts,
                },
                schema_overrides={"value": pl.String},
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame()


def _texts(vocabulary: Vocabulary, codes: np.ndarray) -> pl.Series:
    """Return the text of each code, null for `OTHER`; merged values are joined, which alone goes one by one."""
    own = np.bincount(vocabulary.codes, minlength=vocabulary.size)
    if vocabulary.hashed is None and int(own.max(initial=0)) <= 1:
        return vocabulary.one_text(codes)
    known, back = np.unique(codes, return_inverse=True)
    names = pl.Series(vocabulary.texts(known), dtype=pl.String)
    return names.gather(back).set(pl.Series(codes == OTHER), None)


def shown_ranking(ranking: Ranking, run: Run) -> pl.DataFrame:
    """Return a ranking's frame; in a ranking of values without the texts of sensitive fields."""
    if ranking.item != "value":
        return ranking.frame
    shown = [f.name for f in run.fields if not f.sensitive]
    return ranking.frame.with_columns(pl.when(pl.col("field").is_in(shown)).then(pl.col("value")).alias("value"))


def write_files(
    folder: Path,
    run: Run,
    *,
    report: Path,
    feature_set: FeatureSet | None,
    rankings: Sequence[Ranking],
    model: Model,
    review: Review | None = None,
) -> None:
    """Write what a reviewer may want to open: report, final table, config, run record, rankings and the feature set."""
    import yaml

    public = replace(run, config=_public(run.config))
    (folder / "report").mkdir(parents=True)
    shutil.copyfile(report, folder / "report" / "index.html")
    if (tables := report.parent / REPORT_TABLES).is_dir():  # what the page links to
        shutil.copytree(tables, folder / "report" / REPORT_TABLES)
    write_sheet(contenders_table(run), folder / "contenders.csv")
    config = yaml.safe_dump(json.loads(to_json(public.config)), sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    public.save(folder / "run")
    if review is not None:
        (folder / "review").mkdir()
        (folder / "review" / "review.json").write_text(to_json(review.to_dict(), indent=1) + "\n", encoding="utf-8")
    (folder / "rankings").mkdir()
    for ranking in rankings:
        shown_ranking(ranking, run).write_parquet(folder / "rankings" / f"{_key(ranking.method)}.parquet")
    if feature_set is not None:
        values = feature_values(feature_set, model)
        (folder / "feature_set").mkdir()
        values.write_parquet(folder / "feature_set" / "values.parquet")
        decision = {
            "digest": feature_set.digest,
            "method": feature_set.method,
            "params": dict(feature_set.params),
            "fields": list(feature_set.fields),
            "values": feature_set.n_values,
            "other": feature_set.other,
            "encoder": feature_set.encoder,
            "evidence": list(feature_set.evidence),
            "kept_by_vocabulary": {
                n: {"kept": int(feature_set.kept(n)[RESERVED:].sum()), "of": len(r) - RESERVED}
                for n, r in feature_set.remaps.items()
            },
        }
        (folder / "feature_set" / "feature_set.json").write_text(to_json(decision, indent=1) + "\n", encoding="utf-8")


def _contender(c: Contender) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, metric in c.metrics.items():
        found |= {f"test_{name}{end}": v for end, v in _interval(metric)}
    found |= {f"valid_{k}": float(v) for k, v in c.valid.items()}
    found |= {"fields": float(c.fields), "values": float(c.values), "bytes": float(c.bytes)}
    if c.parameters is not None:
        found["parameters"] = float(c.parameters)
    return {**found, "milliseconds_per_1000_rows": c.milliseconds, "training_seconds": c.seconds}


def _interval(metric: Metric) -> Iterator[tuple[str, float]]:
    for end, value in (("", metric.value), ("_low", metric.low), ("_high", metric.high)):
        if value is not None:
            yield end, float(value)


def _number(metric: Metric, *, sign: str = "") -> str:
    if metric.value is None:
        return "unknown"
    text = f"{metric.value:{sign}.4f}"
    if metric.low is None or metric.high is None:
        return text
    return f"{text} ({metric.low:{sign}.4f} to {metric.high:{sign}.4f})"


def _flatten(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flatten(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        for i, item in enumerate(value):
            yield from _flatten(item, f"{place}.{i}")
    else:
        yield place, value if isinstance(value, str) else to_json(value)


def _public(value: Any) -> Any:
    """Return a copy without passwords in addresses."""
    if isinstance(value, Mapping):
        return {str(k): _public(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_public(v) for v in value]
    return public_uri(value) if isinstance(value, str) else value


def _key(text: str) -> str:
    """Keep to the characters and the length that MLflow allows in names."""
    return re.sub(r"[^\w\-. :/]", "_", text, flags=re.ASCII).strip()[:240]
