"""Run: one complete pass from the raw table to the registered model, as plain numbers and digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctrsel.core.artifact import atomic_folder, digest_json, read_manifest
from ctrsel.records.cross_choice import CrossChoice
from ctrsel.records.evaluation import Metric

__all__ = ["REPORT_TABLES", "Contender", "FieldSummary", "Registration", "Run", "TableFacts", "Verdict"]

REPORT_TABLES = "report-tables"  # the folder beside a report, wherever it travels, with the tables too long for it

Role = Literal["reference", "full", "selected", "control"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One model of the run's final table.

    Attributes:
        name: As the user sees it ("net, all values", "net, OptFS gates").
        role: reference (LightGBM), full (the net on everything), selected, or control.
        learner: The learner's name in the config.
        selector: The selector's name, None for no selection.
        seed: The seed it was trained with.
        fields: Kept fields.
        values: Kept values.
        parameters: Trainable numbers.
        bytes: The saved model folder's size.
        milliseconds: Median time to score 1,000 raw rows, one thread.
        seconds: Training time, search included.
        metrics: On the test split (see Evaluation.metrics).
        valid: On the validation split: auc and log_loss.
        epochs: How many training epochs were run until the early stop, None for boosted trees.
        model: Digest of the model.
        feature_set: Digest of the feature set, None for no selection.
    """

    name: str
    role: Role
    learner: str
    selector: str | None
    seed: int
    fields: int
    values: int
    parameters: int | None
    bytes: int
    milliseconds: float
    seconds: float
    metrics: Mapping[str, Metric]
    valid: Mapping[str, float]
    epochs: int | None = None
    model: str = ""
    feature_set: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSummary:
    """What the report says of one field: rankings, values before and after, and its top values where they may be shown.

    Attributes:
        values_kept: Values with a row of their own; merged ones count once.
        values_merged: Values that share a row with others.
        scores: Score by ranking method.
        ranks: Rank by ranking method.
        shown_values: Up to 20 rows of `{"value", "rows", "rate", "low", "high", "kept"}`; values of at least 20 rows
            only, salted hashes for a sensitive field.
    """

    name: str
    kind: str
    sensitive: bool
    values: int
    values_kept: int
    kept: bool
    traffic_kept: float
    scores: Mapping[str, float]
    ranks: Mapping[str, int]
    q: float | None
    attribution: float | None
    attribution_error: float | None
    shown_values: tuple[Mapping[str, Any], ...] = ()
    values_merged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """Rows and base rates by split, fields and values of the ingested table, and where it came from."""

    source: str
    digest: str
    rows: Mapping[str, int]
    base_rate: Mapping[str, float]
    fields: int
    values: int
    label: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer that a reviewer reads first.

    Attributes:
        promoted: Whether the chosen small model passed the promotion rule.
        chosen: Name of the chosen contender.
        headline: One sentence with the numbers.
        reasons: One sentence per rule that was checked, passed or not.
        delta_auc: Chosen minus full net, paired DeLong interval.
    """

    promoted: bool
    chosen: str
    headline: str
    reasons: tuple[str, ...]
    delta_auc: Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The registered model version."""

    tracking_uri: str
    model_name: str
    version: int
    run_id: str
    model_uri: str
    ui_command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that a report or a registration says about a run.

    Attributes:
        config: The resolved configuration as plain values.
        versions: Library versions.
        stages: Per stage `{"name", "seconds", "reused"}`.
        contenders: The final table.
        fields: One summary per field, best rank first.
        digests: Of the records of the run by name.
        selection_history: Per search epoch `{"epoch", "tau", "kept", "valid_auc", ...}` of the gated search.
        crosses: What became of each cross that was considered.
    """

    name: str
    config: Mapping[str, Any]
    seed: int
    created: str
    versions: Mapping[str, str]
    stages: tuple[Mapping[str, Any], ...]
    table: TableFacts
    contenders: tuple[Contender, ...]
    fields: tuple[FieldSummary, ...]
    verdict: Verdict
    digests: Mapping[str, str] = field(default_factory=dict)
    selection_history: tuple[Mapping[str, float], ...] = ()
    registration: Registration | None = None
    crosses: tuple[CrossChoice, ...] = ()

    def contender(self, name: str) -> Contender:
        """Return a contender by name."""
        return next(c for c in self.contenders if c.name == name)

    @property
    def chosen(self) -> Contender:
        """The contender that the verdict is about."""
        return self.contender(self.verdict.chosen)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        found = asdict(self)
        if not self.crosses:  # a run without them is what it always was
            del found["crosses"]
        return found

    @property
    def digest(self) -> str:
        """Digest of what was found, without times, clocks and the registration."""
        found = self.to_dict()
        for key in ("created", "stages", "registration"):
            found.pop(key)
        for contender in found["contenders"]:
            contender.pop("milliseconds")
            contender.pop("seconds")
        return digest_json(found)

    def save(self, path: Path) -> None:
        """Save as a folder with one manifest."""
        with atomic_folder(path, manifest={"format": "ctrsel.run", "version": 1, **self.to_dict()}):
            pass

    @staticmethod
    def load(path: Path) -> Run:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.run", version=1)
        m = {k: v for k, v in m.items() if k not in ("format", "version")}
        contenders = tuple(
            Contender(**{**c, "metrics": {k: Metric(**v) for k, v in c["metrics"].items()}})
            for c in m.pop("contenders")
        )
        fields = tuple(FieldSummary(**{**f, "shown_values": tuple(f["shown_values"])}) for f in m.pop("fields"))
        verdict = m.pop("verdict")
        registration = m.pop("registration")
        table = m.pop("table")
        crosses = tuple(CrossChoice(**{**c, "fields": tuple(c["fields"])}) for c in m.pop("crosses", ()))
        return Run(
            contenders=contenders,
            fields=fields,
            verdict=Verdict(
                **{**verdict, "reasons": tuple(verdict["reasons"]), "delta_auc": Metric(**verdict["delta_auc"])}
            ),
            registration=Registration(**registration) if registration else None,
            table=TableFacts(**{**table, "notes": tuple(table["notes"])}),
            stages=tuple(m.pop("stages")),
            selection_history=tuple(m.pop("selection_history")),
            crosses=crosses,
            **m,
        )
