"""Records of a wide, sparse table, made without training: many fields, millions of values, long hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.data.encoder import Encoder
from ctrsel.data.table import Table
from ctrsel.data.texts import SortedTexts
from ctrsel.data.vocabulary import Vocabulary
from ctrsel.records.audit import Audit, Finding
from ctrsel.records.evaluation import Metric
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet
from ctrsel.records.run import FieldSummary
from ctrsel.records.schema import Field, Label, Schema
from ctrsel.records.selection_account import VALUE_COLUMNS, FieldAccount, SelectionAccount
from ctrsel.report.redact import shown_values

HOSTILE = ("<script>alert(1)</script>", "=cmd()|' /C calc'!A0", "@SUM(A1)", "+1+1", "&<>\"'" * 60)


def names(fields: int) -> list[str]:
    return [f"f{i:04d}_of_a_rather_descriptive_column_name" for i in range(fields)]


def wide(made: Any, *, fields: int, values: int, text: str = "") -> tuple[Any, SelectionAccount]:
    """Return the records of `made` with so many fields and values in all, and the account of the selection.

    Every tenth field is sensitive. Half of a field's values have 20 rows or more. `text` is part of every value.
    """
    each = values // fields
    n = min(each, 60)
    rows = np.maximum(1000 - np.arange(n) * 10, 20)
    summaries, accounts = [], []
    for i, name in enumerate(names(fields)):
        secret, kept = i % 10 == 9, i % 3 != 2
        texts = [HOSTILE[j] if j < len(HOSTILE) and not i else f"{text}{name}={j}" for j in range(n)]
        shown = shown_values(texts, rows, rows // 5, np.arange(n) % 2 == 0, sensitive=secret, salt="s")
        summaries.append(
            FieldSummary(
                name=name,
                kind="categorical",
                sensitive=secret,
                values=each,
                values_kept=each // 4 if kept else 0,
                kept=kept,
                traffic_kept=0.9 if kept else 0.0,
                scores={"mutual_information": 1 / (i + 1)},
                ranks={"mutual_information": i + 1},
                q=0.01,
                attribution=0.1 if kept else None,
                attribution_error=0.01 if kept else None,
                shown_values=shown,
            )
        )
        accounts.append(
            FieldAccount(
                name=name, kind="categorical", sensitive=secret, kept=kept, reason="kept" if kept else "below_cut",
                why="some of its values are kept" if kept else "the best of its values scores too low", score=1.0,
                values=each, values_kept=each // 4 if kept else 0, values_merged=0, covered=0.9, rare=0.1,
                auc_lost=Metric(value=0.01, low=0.005, high=0.015),
            )
        )  # fmt: skip
    column = [s.name for s in summaries]
    frame = pl.DataFrame(
        {"field": column, "score": np.linspace(1, 0, fields), "rank": np.arange(1, fields + 1)}
        | {k: np.linspace(1, 0, fields) for k in ("mi_minus_expected", "ami", "z", "q", "held_out_gain")}
    )
    tree = pl.DataFrame({"field": column, "score": np.linspace(1, 0, fields), "rank": np.arange(1, fields + 1)})
    findings = tuple(
        Finding(rule="drift", field=n, severity="warn", number=0.3, evidence="PSI " + "0.3 " * 30, advice="Look. " * 20)
        for n in column[: fields // 2]
    )
    facts = {
        n: {"values": each, "auc_alone": 0.5, "missing_train": 0.1, "unseen_test": 0.1, "psi_test": 0.1} for n in column
    }
    run = replace(
        made.run,
        fields=tuple(summaries),
        config={**made.run.config, "schema": {"fields": {n: {"kind": "categorical", "min_count": 2} for n in column}}},
    )
    rankings = (
        replace(made.rankings[0], frame=frame, refused={}),
        *(replace(made.rankings[1], method=f"model_{i}", frame=tree) for i in range(4)),
    )
    more = replace(made, run=run, audit=Audit(findings=findings, facts=facts), rankings=rankings)
    return more, SelectionAccount(
        method="toy", cut=0.5, fields=tuple(accounts), values=_values(summaries, each, text).lazy()
    )


def _values(summaries: list[FieldSummary], each: int, text: str) -> pl.DataFrame:
    parts = []
    place = pl.int_range(each, eager=True)
    for i, f in enumerate(summaries):
        words = (
            pl.lit(None, dtype=pl.String) if f.sensitive else pl.lit(f"{text}{f.name}=") + pl.col("j").cast(pl.String)
        )
        if not i:
            words = pl.coalesce(*(pl.when(pl.col("j") == j).then(pl.lit(h)) for j, h in enumerate(HOSTILE)), words)
        rows = pl.when(pl.col("j") < each // 2).then(20 + (each - pl.col("j")) // 100).otherwise(19)
        given = {
            "field": pl.lit(f.name),
            "value": words,
            "rows": rows,
            "outcome": pl.when(pl.col("j") % 2 == 0).then(pl.lit("kept")).otherwise(pl.lit("dropped")),
            "reason": pl.when(pl.col("j") % 2 == 0).then(pl.lit("kept")).otherwise(pl.lit("below_cut")),
            "why": pl.lit("its score is below 2, the lowest that is kept at this size"),
            "into": pl.lit(None, dtype=pl.String),
            "score": pl.col("j").cast(pl.Float64),
        }
        parts.append(pl.DataFrame({"j": place}).select(given[k].cast(t).alias(k) for k, t in VALUE_COLUMNS.items()))
    return pl.concat(parts)


def selected(fields: int, values: int, folder: Path) -> tuple[Table, FeatureSet]:
    """Return a table of so many fields and values, its vocabularies in files, and a selection of a quarter of these.

    As in `wide`, every tenth field is sensitive and half of a field's values have 20 rows or more. The first half of the
    kept ones have codes of their own, the others are merged in pairs.
    """
    each = values // fields
    vocabularies, scores, remaps = {}, {}, {}
    for name in names(fields):
        vocabularies[name] = Vocabulary(
            name=name,
            values=SortedTexts.write(_texts(name, each), folder / f"{name}.arrow"),
            codes=np.arange(RESERVED, RESERVED + each, dtype=np.uint32),
            counts=np.r_[5, 3, 0, np.arange(each) % 40].astype(np.int64),
        )
        score = np.r_[np.nan, np.nan, np.nan, np.arange(each) % 40]
        keep = score >= 30
        number, half = np.cumsum(keep), int(keep.sum()) // 2
        code = np.where(number <= half, number, half + (number - half + 1) // 2)
        scores[name] = score
        remaps[name] = np.where(keep, RESERVED - 1 + code, OTHER).astype(np.uint32)
        remaps[name][:RESERVED] = np.arange(RESERVED)
    schema = Schema(
        labels=(Label(name="click"),),
        fields=tuple(
            Field(name=n, kind="categorical", vocabulary=n, sensitive=i % 10 == 9) for i, n in enumerate(names(fields))
        ),
    )
    encoder = Encoder(schema=schema, vocabularies=vocabularies, edges={}, moments={})
    rows = 40
    table = Table(
        encoder=encoder,
        columns={n: np.arange(rows, dtype=np.uint32) for n in names(fields)},
        labels=(np.arange(rows) % 2).astype(np.float32)[:, None],
        row=np.arange(rows),
        splits={"train": (0, rows)},
    )
    features = FeatureSet(
        fields=tuple(n for i, n in enumerate(names(fields)) if i % 3 != 2), remaps=remaps, other="learned",
        method="toy", params={}, encoder=encoder.digest, scores=scores,
    )  # fmt: skip
    return table, features


def _texts(name: str, each: int) -> Iterator[pl.Series]:
    """Yield a field's texts, in their order."""
    for begin in range(0, each, 1 << 18):
        numbers = pl.DataFrame({"j": pl.int_range(begin, min(begin + (1 << 18), each), eager=True)})
        yield numbers.select(pl.lit(f"{name}=") + pl.col("j").cast(pl.String).str.zfill(9)).to_series()
