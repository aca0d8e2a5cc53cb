"""Configuration: YAML to frozen dataclasses, where an unknown key is an error that names the nearest known one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctrsel.core.building import Spec, build
from ctrsel.core.errors import ConfigError
from ctrsel.core.pipelines_config import MonitorConfig, PipelinesConfig

__all__ = [
    "AuditConfig",
    "CheckConfig",
    "CrossesConfig",
    "DataConfig",
    "ExplainConfig",
    "FieldConfig",
    "IngestConfig",
    "LabelConfig",
    "MonitorConfig",
    "PipelinesConfig",
    "RegisterConfig",
    "RunConfig",
    "SchemaConfig",
    "SelectConfig",
    "SplitConfig",
    "TuneConfig",
    "load_config",
    "override",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """The outcome: a column with two values, and which of them is the positive one."""

    name: str
    positive: str | None = None  # inferred for 0/1, -1/1, booleans and yes/no; needed for other texts
    delay: str | None = None  # how long an outcome may take ("7d", "12h"; a number in the time column's own unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldConfig:
    """How one column is read; what is not given is inferred from the data."""

    kind: Literal["categorical", "numeric", "multivalued", "sequence"] | None = None
    bucket: Literal["log2", "quantile", "none"] | None = None  # numeric only; log2 = floor(ln(x)^2), none = a float
    bins: int | None = None  # quantile only
    vocabulary: str | None = None  # the field whose vocabulary this one shares
    min_count: int | None = None
    hash_buckets: int | None = None  # values share so many codes by a hash, in place of a vocabulary
    max_length: int | None = None  # sequence: how many last events are kept
    cost: float | None = None  # of acquiring the field when serving
    available_at: Literal["before", "after"] = "before"  # "after" the outcome means a leak
    sensitive: bool | None = None  # shown as salted hashes only


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaConfig:
    """What the columns are."""

    label: LabelConfig
    fields: dict[str, FieldConfig] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()  # columns that are not fields
    infer: bool = True  # columns that are not named become fields
    time: str | None = None
    group: str | None = None
    weight: str | None = None
    sampling_rate: float = 1.0  # share of the negatives that was kept when the table was made


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where the rows are: a shipped dataset, files (paths, globs, URIs), queries, or a store that `ingest` wrote."""

    dataset: str | None = None
    store: str | None = None  # a table's folder, to which `ctrsel ingest --append` may add rows
    train: str | None = None
    valid: str | None = None
    test: str | None = None
    format: Literal[
        "auto",
        "csv",
        "tsv",
        "ndjson",
        "parquet",
        "ipc",
        "libsvm",
        "libfm",
        "delta",
        "sql",
        "criteo",
        "avazu",
        "kdd12",
        "movielens",
        "frappe",
        "openbandit",
    ] = "auto"
    encoding: str = "utf-8"  # of text files
    connection: str | None = None  # sql: the environment variable that holds the database's URI
    as_of: str | None = None  # rows after this time do not exist yet, for backfills; needs schema.time
    newest: str | None = (
        None  # train on the newest training rows only, those of the last "1d", or of a number where time is one
    )
    rows: int | None = None  # read at most this many rows for each of train, valid and test, to try things out


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """How rows become train, valid and test where the files do not say."""

    use: Literal["files", "hash", "stratified", "time", "group", "none"] = "stratified"  # none: all rows train
    valid: float = 0.1
    test: float = 0.1  # ignored where a test file is given


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """How values become codes."""

    min_count: int = 1
    numeric_bucket: Literal["log2", "quantile", "none"] = "quantile"
    bins: int = 32
    max_length: int = 50
    tolerance: float = 0.0  # at most this share of the rows may be rejected; they are written to a file with reasons
    max_cell: int = 1_000_000  # characters; a row with a longer cell is rejected
    growth: int | None = None  # append: at most so many new values a vocabulary and increment; None = no limit
    memory_gb: float | None = None  # what ingest may hold; an eighth of the free memory


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """What the audit may let pass."""

    accept: tuple[str, ...] = ()  # fields whose suspected leak is known and accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossesConfig:
    """Which crosses become fields: those that are named, and the best of a ranking of crosses."""

    use: tuple[tuple[str, ...], ...] = ()  # taken whatever a ranking says
    top: int = 0  # of the ranking, at most so many
    ranker: Spec = field(default_factory=lambda: {"use": "interactions"})  # asked where `top` is above 0
    max_q: float = 0.05  # crosses of the ranking with a larger q-value are not taken
    min_count: int = 5  # combinations in fewer training rows become `other`
    compare: bool = True  # also train the full net without crosses, for the final table


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectConfig:
    """How fields and values are chosen."""

    learner: str = "net"
    selectors: tuple[Spec, ...] = ()
    size: Any = 0.5  # a share of the values (0.2, "20%"), {fields: 12}, or "auto"
    always_keep: tuple[str, ...] = ()
    never_use: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()  # kept or dropped together


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainConfig:
    """How many rows are explained, and against how many background rows."""

    max_rows: int = 2000
    net_rows: int = 256
    background: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """When a new version may become champion: margins against the present champion, both scored on the same rows."""

    auc_margin: float = 0.005  # the paired interval of the AUC's difference must end above minus this
    interval: Literal["delong", "bootstrap"] = "delong"  # weighted rows are always drawn again
    log_loss_margin: float | None = None  # nats; likewise for the log-loss, which may rise by less than this
    min_calibration: float = 0.9  # predicted / observed
    max_calibration: float = 1.1
    latency_factor: float = 1.5  # at most so many times the champion's milliseconds, measured side by side
    max_milliseconds: float | None = None  # per 1,000 raw rows on one thread
    segments: tuple[str, ...] = ()  # fields by whose values both are compared as well


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterConfig:
    """Where the chosen model is registered, and when it may be promoted."""

    enabled: bool = True
    model_name: str | None = None  # the run's name
    tracking_uri: str | None = None  # MLFLOW_TRACKING_URI, else SQLite in the run's folder
    max_auc_loss: float = 0.005  # promoted only if the small model's test AUC is at most this much below the full net's
    promote: bool = True  # False: a version waits as challenger for 'ctrsel promote' or pipelines.promote
    require_promotion: bool = False  # exit code 4 when the promotion is refused
    patience: str = (
        "1min"  # how long a server or storage that cannot be reached is tried again; then the run waits in its outbox
    )
    check: CheckConfig = field(default_factory=CheckConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneConfig:
    """What `ctrsel tune` tries, and by which score it prefers; a run itself does not read it."""

    learners: tuple[str, ...] = ()  # of the config, or of the catalogue; none named = all of the config
    objective: Literal["auc", "log_loss"] = "auc"  # on the validation rows
    fixed: Spec = field(default_factory=dict)  # not tried: "net.width: 10"
    ranges: Spec = field(default_factory=dict)  # in place of declared ones: a list, or {low, high, log}
    top: int = 3  # the best so many, and the best as given, are trained with other seeds too
    seeds: int = 2  # how many other seeds
    prune: Literal["median", "none"] = "median"  # end a trial that is worse than half of its learner's were by then
    log: int = 5  # the best so many are logged to MLflow


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """One run, from the raw table to the registered model."""

    name: str
    data: DataConfig
    schema: SchemaConfig
    seed: int = 1
    out: str | None = None  # runs/<name>
    start: str | None = None  # a model to go on from: models:/<name>@champion, or a saved model's or a run's folder
    split: SplitConfig = field(default_factory=SplitConfig)
    ingest: IngestConfig = field(default_factory=IngestConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    crosses: CrossesConfig | None = None
    rank: tuple[Spec, ...] = ({"use": "mutual_information"}, {"use": "boosted_shap"})
    learners: dict[str, Spec] = field(default_factory=lambda: {"boosted": {"use": "boosted"}, "net": {"use": "net"}})
    select: SelectConfig = field(default_factory=SelectConfig)
    explain: ExplainConfig = field(default_factory=ExplainConfig)
    register: RegisterConfig = field(default_factory=RegisterConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    pipelines: PipelinesConfig = field(default_factory=PipelinesConfig)


def load_config(path: str | Path, *, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a YAML file into a `RunConfig`.

    Args:
        path: The YAML file.
        overrides: Dotted keys and their values, applied over the file ("data.rows": 1000).

    Raises:
        ConfigError: If the file is missing or not YAML, or a key or value is not allowed.
    """
    import yaml

    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: no such config file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as UTF-8 text: {error}") from error
    try:
        given = yaml.safe_load(text)
    # Beside its own errors YAML lets those of Python through, for a date in month 13 or a thousand brackets.
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ConfigError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{file}: expected keys and values, got {type(given).__name__}")
    override(given, overrides or {}, place=str(file))
    return build(RunConfig, given, place=file.name)


def override(given: dict[str, Any], overrides: Mapping[str, Any], *, place: str) -> None:
    """Set dotted keys in plain values, in place; a number in a key counts the items of a list.

    Raises:
        ConfigError: If a key leads into a single value, or past the end of a list.

    Examples:
        >>> given = {"data": {"train": "a.csv"}, "rank": [{"use": "mutual_information"}]}
        >>> override(given, {"data.rows": 10, "rank.0.use": "boosted_shap"}, place="run.yaml")
        >>> given
        {'data': {'train': 'a.csv', 'rows': 10}, 'rank': [{'use': 'boosted_shap'}]}
    """
    for key, value in overrides.items():
        at: Any = given
        *parents, last = key.split(".")
        for part, after in zip(parents, [*parents, last][1:], strict=True):
            at = _inside(at, part, key, place)
            if not isinstance(at, dict | list):
                raise ConfigError(f"{key}: {part!r} is a single value in {place}, so it has no {after!r}")
        if isinstance(at, list):
            at[_index(at, last, key, place)] = value
        else:
            at[last] = value


def _inside(at: Any, part: str, key: str, place: str) -> Any:
    if isinstance(at, list):
        return at[_index(at, part, key, place)]
    if at.get(part) is None:  # a key without a value stands for an empty group
        at[part] = {}
    return at[part]


def _index(items: list[Any], part: str, key: str, place: str) -> int:
    if not part.isdecimal() or int(part) >= len(items):
        raise ConfigError(f"{key}: {place} has a list there, whose items are 0 to {len(items) - 1}, got {part!r}")
    return int(part)
