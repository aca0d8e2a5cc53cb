"""Splits: which rows train, which choose (valid), and which are read once at the end (test)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ctrsel.core.config import SplitConfig
from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.core.seeds import uniform_hash

__all__ = ["assign", "check_labels"]

_RULES = ("files", "hash", "stratified", "time", "group", "none")
_PIECE = 1 << 20  # rows looked at together


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
    or a seeded hash of the group, so that no group stands on two sides. By "none" all rows of the training files train,
    for a table that is divided later, such as day by day.

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
    if config.use not in _RULES:
        raise unknown_name("rule", config.use, _RULES, place="split.use")
    for name, share in (("valid", config.valid), ("test", config.test)):
        if not 0 < share < 1 and name not in origin and config.use != "none":
            raise ConfigError(
                f"split.{name}: must be a share between 0 and 1 where no {name} file is given, got {share}"
            )
    parts = {name: _between(span, usable) for name, span in origin.items()}
    carve = [name for name in ("test", "valid") if (name not in parts if carve is None else name in carve)]
    if config.use == "none":
        carve = []
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
    if carve:
        lowers, upper = [], 1.0
        for name in carve:
            upper -= shares[name]
            lowers.append(upper)
        side = _sides(
            config.use, rows, lowers, seed=seed, positive=positive, time=time, group=group, first_row=first_row
        )
        for i, name in enumerate(carve):
            taken = rows[side == i]
            parts[name] = np.sort(np.concatenate([parts[name], taken])) if len(parts[name]) else taken
        parts["train"] = rows[side == len(carve)]
    ordered = {name: parts[name] for name in ("train", "valid", "test")}
    if checked:
        check_labels(ordered, positive, use=config.use)
    return ordered


def check_labels(rows: Mapping[str, np.ndarray], positive: np.ndarray, *, use: str, after: str = "") -> None:
    """Refuse splits without rows of both labels; by the rule "none" only training rows need be there.

    Args:
        rows: Of each split.
        positive: Boolean `[N]`.
        use: The rule that they come from.
        after: What happened to them, for the message.

    Raises:
        DataError: Naming the split and the rule.
    """
    for name, found in rows.items():
        if use == "none" and not len(found) and name != "train":
            continue
        labels = positive[found]
        if not len(found) or labels.all() or not labels.any():
            what = "no rows" if not len(found) else f"{len(found)} rows of one label only"
            hint = "; rows of one moment are never divided, so a larger share or a finer time may help"
            raise DataError(
                f"split {name!r} ({use}) must hold rows of both labels{after}, got {what}{hint if use == 'time' else ''}"
            )


def _between(span: slice, usable: np.ndarray | None) -> np.ndarray:
    if usable is None:
        return np.arange(span.start, span.stop)
    rows = np.flatnonzero(usable[span])
    rows += span.start
    return rows


def _sides(
    use: str,
    rows: np.ndarray,
    lowers: Sequence[float],
    *,
    seed: int,
    positive: np.ndarray,
    time: np.ndarray | None,
    group: np.ndarray | None,
    first_row: int,
) -> np.ndarray:
    """Put each row at a place in [0, 1) and say below how many bounds it lies, uint8 `[n]`; nothing larger is kept."""
    side = np.zeros(len(rows), dtype=np.uint8)
    pieces = [slice(start, start + _PIECE) for start in range(0, len(rows), _PIECE)]

    def noise(piece: slice) -> np.ndarray:
        return uniform_hash(rows[piece] + first_row, seed=seed)

    if use in ("hash", "group"):
        if use == "group" and group is None:
            raise ConfigError("split.use: 'group' needs schema.group, the column whose rows must stay together")
        for piece in pieces:
            place = noise(piece) if group is None or use == "hash" else uniform_hash(group[rows[piece]], seed=seed)
            for lower in lowers:
                side[piece] += place < lower
        return side
    if use == "stratified":
        for value in (False, True):
            whole = np.empty(sum(int((positive[rows[piece]] == value).sum()) for piece in pieces))
            filled = 0
            for piece in pieces:
                some = noise(piece)[positive[rows[piece]] == value]
                whole[filled : filled + len(some)] = some
                filled += len(some)
            for bound, ties in _bounds(whole, lowers):
                left = ties
                for piece in pieces:
                    of = positive[rows[piece]] == value
                    place = noise(piece)
                    side[piece] += of & (place < bound)
                    equal = np.flatnonzero(of & (place == bound))[:left]
                    side[piece.start + equal] += 1
                    left -= len(equal)
        return side
    if time is None:
        raise ConfigError("split.use: 'time' needs schema.time, the column that orders the rows")
    # Rows of one moment share the place of the first of them, so that a moment is never on two sides.
    for bound, _ in _bounds(time[rows], lowers):
        for piece in pieces:
            side[piece] += time[rows[piece]] <= bound
    return side


def _bounds(whole: np.ndarray, lowers: Sequence[float]) -> list[tuple[Any, int]]:
    """Return, per bound on ranks, the last value below it, and how many of those that equal it are: at least one.

    The place of a value is its rank divided by how many there are. Bounds below which nothing lies are left out.

    Args:
        whole: `[n]`; its order is lost.
        lowers: In [0, 1].
    """
    n = len(whole)
    out: list[tuple[Any, int]] = []
    for lower in lowers:
        rank = min(max(int(lower * n), 0), n)
        while rank and (rank - 1) / n >= lower:
            rank -= 1
        while rank < n and rank / n < lower:
            rank += 1
        if not rank:
            continue
        whole.partition(rank - 1)
        bound = whole[rank - 1]
        out.append((bound, rank - int((whole < bound).sum())))
    return out
