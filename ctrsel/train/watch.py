"""Watching: who trains says how validation goes after each epoch, and whoever watches may end it.

A learner calls `report`; it neither knows nor needs anybody who listens. The listener is set for a block of code by
`watching`, in a context variable, so that learners inside learners are heard too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

__all__ = ["Stopped", "report", "watching"]

Listener = Callable[[int, float, float], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


class Stopped(Exception):  # noqa: N818  # no error: the listener has heard enough
    """Raised by a listener to end a fit; nothing of the fit is kept."""


def report(step: int, *, auc: float, log_loss: float) -> None:
    """Say how the validation split is scored after an epoch, or after some trees.

    Args:
        step: Epochs or trees so far, rising from 1.
        auc: Of the validation split.
        log_loss: Of the validation split, nats per row.
    """
    listener = _LISTENER.get()
    if listener is not None:
        listener(step, auc, log_loss)


@contextlib.contextmanager
def watching(listener: Listener) -> Iterator[None]:
    """Let a listener hear the reports of what is fitted in a block.

    Args:
        listener: Called with step, AUC and log-loss; it may raise `Stopped`.

    Examples:
        >>> heard = []
        >>> with watching(lambda step, auc, log_loss: heard.append((step, auc))):
        ...     report(1, auc=0.7, log_loss=0.5)
        >>> report(2, auc=0.8, log_loss=0.4)  # nobody listens
        >>> heard
        [(1, 0.7)]
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
