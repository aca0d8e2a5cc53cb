"""Paths: what a path, a glob or a URI names, and which format its name tells."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ctrsel.core.errors import ConfigError, DataError, unknown_name

__all__ = [
    "DATASETS",
    "GROUP_ROWS",
    "TEXT_FORMATS",
    "dataset_files",
    "expand",
    "guess_format",
    "is_delta",
    "is_uri",
    "source_paths",
]

GROUP_ROWS = 1 << 17  # of a copy in parquet: a chunk of a column is read by whole groups
DATASETS = Path(__file__).parent / "datasets"
TEXT_FORMATS = ("csv", "tsv", "ndjson", "libsvm", "libfm")
_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "ipc",
    ".libsvm": "libsvm",
    ".svm": "libsvm",
    ".libfm": "libfm",
}


def dataset_files(name: str) -> dict[str, str]:
    """Return the files of a dataset that ships with the package, by split.

    Raises:
        ConfigError: If there is no such dataset.
    """
    folder = DATASETS / name
    known = [p.name for p in DATASETS.iterdir() if p.is_dir() and not p.name.startswith("_")]
    if name not in known:
        raise unknown_name("dataset", name, known, place="data.dataset")
    return {p.stem: str(p) for p in sorted(folder.glob("*.parquet"))}


def is_uri(pattern: str) -> bool:
    """Whether it names something behind a protocol rather than a file of this machine.

    Examples:
        >>> is_uri("s3://bucket/day-*.parquet"), is_uri("C:/clicks.csv"), is_uri("clicks.csv")
        (True, False, False)
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", pattern) is not None


def is_delta(pattern: str) -> bool:
    """Whether it is a folder of this machine that holds a Delta table."""
    return not is_uri(pattern) and (Path(os.path.expandvars(pattern)).expanduser() / "_delta_log").is_dir()


def guess_format(path: str) -> str:
    """Guess a file's format by its name ("clicks.csv.gz" is csv).

    Raises:
        ConfigError: If the ending is not known.

    Examples:
        >>> guess_format("logs/day-*.csv.gz")
        'csv'
    """
    if is_delta(path):
        return "delta"
    place = path.split("?", 1)[0] if is_uri(path) else path
    name = Path(place).name.lower().removesuffix(".gz").removesuffix(".zst")
    suffix = Path(name).suffix
    if suffix not in _BY_SUFFIX:
        raise ConfigError(
            f"{path}: the ending {suffix!r} says no format; set data.format to one of: {', '.join(sorted(set(_BY_SUFFIX.values())))}"
        )
    return _BY_SUFFIX[suffix]


def expand(pattern: str) -> str:
    """Replace `$NAME` and `${NAME}` by environment variables.

    Raises:
        ConfigError: If a variable is not set.

    Examples:
        >>> expand("s3://clicks/day-*.parquet")
        's3://clicks/day-*.parquet'
    """
    whole = os.path.expandvars(pattern)
    unset = re.search(r"\$\{?(\w+)", whole)
    if unset is not None and (is_uri(whole) or not Path(whole).expanduser().exists()):
        raise ConfigError(f"{pattern}: the environment variable {unset[1]} is not set")
    return whole


def source_paths(pattern: str) -> list[Path]:
    """Return the files that a path or glob names, in the order of their names; `~` and `$NAME` are expanded.

    Raises:
        DataError: If there is none, or one is a folder or empty.
        ConfigError: If a variable is not set.
    """
    whole = Path(expand(pattern)).expanduser()
    if set("*?[") & set(str(whole)) and not whole.exists():
        parts = whole.parts[1:] if whole.is_absolute() else whole.parts
        paths = sorted(Path(whole.anchor).glob(str(Path(*parts))))
        if not paths:
            raise DataError(f"{pattern}: no file matches this pattern")
    else:
        paths = [whole]
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file")
        if path.is_dir():
            raise DataError(f"{path}: is a folder; name its files by a pattern such as {path}/*.parquet")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
    return paths
