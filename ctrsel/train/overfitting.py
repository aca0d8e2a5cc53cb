"""A warning at the one-epoch overfitting of CTR nets: validation falls off once rows are met for the second time.

Reference: Zhang et al., "Towards understanding the overfitting phenomenon of deep click-through rate models", 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["one_epoch_overfitting"]

_FALL = 0.002  # of AUC: more than epochs of a settled fit differ


def one_epoch_overfitting(history: Sequence[Mapping[str, float]]) -> str | None:
    """Say so where the first epoch was the best and the second fell off while the training loss went on falling.

    Args:
        history: Per epoch `loss`, `valid_auc` and `valid_log_loss`.

    Returns:
        A sentence with the numbers and what may be done, or None.

    Examples:
        >>> first = {"loss": 0.45, "valid_auc": 0.750, "valid_log_loss": 0.46}
        >>> second = {"loss": 0.38, "valid_auc": 0.741, "valid_log_loss": 0.49}
        >>> print(one_epoch_overfitting([first, second]))
        validation AUC fell from 0.7500 to 0.7410 in the second epoch while the training loss fell from 0.4500 to 0.3800: rows \
are learned by heart (one-epoch overfitting); train for one epoch, raise min_count or embedding_l2
        >>> one_epoch_overfitting([first, {**second, "valid_auc": 0.752}]) is None
        True
    """
    if len(history) < 2:
        return None
    first, second = history[0], history[1]
    best = max(h["valid_auc"] for h in history)
    fell = first["valid_auc"] - second["valid_auc"]
    if first["valid_auc"] < best or fell <= _FALL or second["loss"] >= first["loss"]:
        return None
    if second["valid_log_loss"] <= first["valid_log_loss"]:
        return None
    return (
        f"validation AUC fell from {first['valid_auc']:.4f} to {second['valid_auc']:.4f} in the second epoch while the "
        f"training loss fell from {first['loss']:.4f} to {second['loss']:.4f}: rows are learned by heart (one-epoch "
        "overfitting); train for one epoch, raise min_count or embedding_l2"
    )
