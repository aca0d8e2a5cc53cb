"""Splits: which rows train, which choose (valid), and which are read once at the end (test)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ctrsel.core.config import SplitConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import uniform_hash

__all__ = ["assign"]


def assign(
    origin: Mapping[str, slice],
    config: SplitConfig,
    *,
    seed: int,
    positive: np.ndarray,
    time: np.ndarray | None,
    group: np.ndarray | None,
    usable: np.ndarray | None = None,
    carve: Collection[str] | None = None,
    first_row: int = 0,
    checked: bool = True,
) -> dict[str, np.ndarray]:
    """Assign each row to train, valid or test.

    Rows of a file that was given for valid or test stay there. What no file gives is carved out of the training rows
    by `config.use`: a seeded hash of the row number, the same within each label (stratified), the last rows in time,
    or a seeded hash of the group, so that no group stands on two sides.

    Args:
        origin: Rows of the given files ("train" always; "valid" and "test" where given).
        config: The rule and its shares.
        seed: Of the hash.
        positive: Boolean `[N]`.
        time: `[N]`, needed by "time".
        group: `[N]`, needed by "group".
        usable: Boolean `[N]`: rows that may be in a split at all; None for all.
        carve: Which of "valid" and "test" to carve out of the training rows; those that no file gives if None.
        first_row: Number of row 0 in the source, where these are further rows of it.
        checked: Whether each split must hold rows of both labels.

    Returns:
        Row numbers by split in the order train, valid, test, each ascending.

    Raises:
        ConfigError: If the rule lacks what it needs.
        DataError: If a split comes out without rows of both labels.

    Examples:
        >>> parts = assign({"train": slice(0, 1000)}, SplitConfig(use="hash"), seed=1, positive=np.arange(1000) % 2 == 0,
        ...                time=None, group=None)
        >>> [k for k in parts], abs(len(parts["valid"]) - 100) < 40
        (['train', 'valid', 'test'], True)
    """
    for name, share in (("valid", config.valid), ("test", config.test)):
        if not 0 < share < 1 and name not in origin:
            raise ConfigError(
                f"split.{name}: must be a share between 0 and 1 where no {name} file is given, got {share}"
            )
    parts = {name: np.arange(s.start, s.stop) for name, s in origin.items()}
    if usable is not None:
        parts = {name: rows[usable[rows]] for name, rows in parts.items()}
    carve = [name for name in ("test", "valid") if (name not in parts if carve is None else name in carve)]
    empty = np.zeros(0, dtype=np.int64)
    parts = {name: parts.get(name, empty) for name in ("train", "valid", "test")}
    if carve and config.use == "files":
        raise ConfigError(
            f"split.use: 'files' needs a {carve[-1]} file in data.{carve[-1]}; give one or choose hash, stratified, time or group"
        )
    rows = parts["train"]
    # Shares are of all rows that a split is carved from, so valid keeps its share after test was taken.
    shares = {"test": config.test if "test" in carve else 0.0, "valid": config.valid if "valid" in carve else 0.0}
    if sum(shares.values()) >= 1:
        raise ConfigError(
            f"split: the shares of valid and test must leave rows for training, got {shares['valid']} and {shares['test']}"
        )
    place = np.zeros(0)
    if carve:
        place = _place(config.use, rows, seed=seed, positive=positive, time=time, group=group, first_row=first_row)
    upper = 1.0
    for name in carve:
        lower = upper - shares[name]
        taken = (place >= lower) & (place < upper)
        parts[name] = np.sort(np.concatenate([parts[name], rows[taken]]))
        upper = lower
    if carve:
        parts["train"] = rows[place < upper]
    ordered = {name: parts[name] for name in ("train", "valid", "test")}
    for name, found in ordered.items() if checked else ():
        labels = positive[found]
        if not len(found) or labels.all() or not labels.any():
            what = "no rows" if not len(found) else f"{len(found)} rows of one label only"
            raise DataError(f"split {name!r} ({config.use}) must hold rows of both labels, got {what}")
    return ordered


def _place(
    use: str,
    rows: np.ndarray,
    *,
    seed: int,
    positive: np.ndarray,
    time: np.ndarray | None,
    group: np.ndarray | None,
    first_row: int,
) -> np.ndarray:
    """Give each row a place in [0, 1): the first shares train, the last is test."""
    if use == "hash":
        return uniform_hash(rows + first_row, seed=seed)
    if use == "stratified":
        place = np.empty(len(rows))
        noise = uniform_hash(rows + first_row, seed=seed)
        for value in (False, True):
            of = np.flatnonzero(positive[rows] == value)
            place[of[np.argsort(noise[of], kind="stable")]] = np.arange(len(of)) / max(len(of), 1)
        return place
    if use == "group":
        if group is None:
            raise ConfigError("split.use: 'group' needs schema.group, the column whose rows must stay together")
        return uniform_hash(group[rows], seed=seed)
    if time is None:
        raise ConfigError("split.use: 'time' needs schema.time, the column that orders the rows")
    # Rows of one moment share a place, so that a moment is never on two sides.
    moments, where, counts = np.unique(time[rows], return_inverse=True, return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place_of_moment: np.ndarray = before / max(len(rows), 1)
    return place_of_moment[where] if len(moments) else np.zeros(0)
