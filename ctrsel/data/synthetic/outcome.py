"""Outcomes: labels drawn from the log-odds of a block, and the truth of a second label that follows the first.

A conversion happens only where the first label is positive, and some time later (exponential delays: Chapelle, "Modeling
delayed feedback in display advertising", 2014, section 4). A log ends at some moment, so its young rows look negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.data.synthetic.block import Block, Floats
from ctrsel.data.synthetic.lattice import Lattice, area, expit, log_loss_of
from ctrsel.data.synthetic.part import Prepared
from ctrsel.data.synthetic.solve import moments, own_spread
from ctrsel.data.synthetic.truth import ConversionTruth

__all__ = ["Conversion", "Outcome", "draw_outcomes", "solve_conversion"]

_STEP = 0.05  # log-odds; the lattice has two directions


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A second label, positive in some of the rows where the first one is.

    Attributes:
        name: The column's name.
        base: Log-odds, given the first label, of a row to which nothing is added.
        delay: Mean time from the row to the conversion, days.
    """

    name: str = "conversion"
    base: float = -1.0
    delay: float = 2.0

    def __post_init__(self) -> None:
        if self.delay < 0.0:
            raise ConfigError(f"conversion.delay: must not be negative, got {self.delay:g}")

    def seen(self, t: Floats, days: float) -> Floats:
        """Probability that a conversion of a row at this moment is in the log when it ends."""
        if self.delay == 0.0:
            return np.ones_like(t)
        return -np.expm1(-(1.0 - t) * days / self.delay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How labels come from what is added up.

    Attributes:
        label: The first label.
        base: Its log-odds where nothing is added.
        slope: Log-odds added at the end of the time.
        hidden: Standard deviation of what a session adds.
        edges: Spans of time in which nothing changes by much, from 0 to 1.
        conversion: The second label.
        days: How long the table lasts.
    """

    label: str
    base: float
    slope: float
    hidden: float
    edges: tuple[float, ...]
    conversion: Conversion | None
    days: float


def draw_outcomes(block: Block, outcome: Outcome) -> None:
    """Draw the labels of a block whose parts have been drawn; what no log shows goes into `block.unseen`."""
    name = outcome.label
    logit: Floats = np.full(block.rows, outcome.base)
    if name in block.logits:
        logit = logit + block.logits[name]
    if outcome.slope != 0.0:
        logit = logit + outcome.slope * block.time
    block.unseen["logit"] = logit
    if outcome.hidden != 0.0:
        drawn = block.rng("session effect").normal(size=block.rows)
        block.unseen["session"] = outcome.hidden * drawn[block.session]
        logit = logit + block.unseen["session"]
    block.labels[name] = block.rng("label").random(block.rows) < expit(logit)
    second = outcome.conversion
    if second is None:
        return
    rng = block.rng("conversion")
    logit = second.base + block.logits.get(second.name, np.zeros(block.rows))
    converted = block.labels[name] & (rng.random(block.rows) < expit(logit))
    delay = second.delay * rng.exponential(size=block.rows)
    block.unseen |= {"conversion_logit": logit, "converted": converted, "delay": np.where(converted, delay, np.nan)}
    block.labels[second.name] = converted & (block.time + delay / outcome.days <= 1.0)


def solve_conversion(parts: Sequence[Prepared], outcome: Outcome) -> ConversionTruth | None:
    """Return what is so about the second label, on a lattice of the log-odds of both.

    Args:
        parts: All of them.
        outcome: How labels are drawn.
    """
    second = outcome.conversion
    if second is None:
        return None
    labels = (outcome.label, second.name)
    times = moments(outcome.edges)
    lattice = _lattice(parts, labels, outcome.hidden, [t for t, _ in times])
    x = lattice.log_odds
    session = np.exp(-0.5 * (x / outcome.hidden) ** 2) if outcome.hidden > 0.0 else (x == 0.0).astype(np.float64)
    rate = expit(second.base + x)
    mass, seen = np.zeros(lattice.points), 0.0
    passed = 0.0
    for t, length in times:
        click = lattice.rate(session / session.sum(), outcome.base + outcome.slope * t)(x)
        # Mass of clicked rows by what is added to the log-odds of a conversion.
        clicked = click @ _density(lattice, parts, labels, t)
        mass += clicked * length
        fine = second.seen(passed + length * (np.arange(256) + 0.5) / 256, outcome.days)
        passed += length
        seen += float(fine.mean()) * float(clicked @ rate) * length
    return ConversionTruth(
        label=second.name,
        rate=float(mass @ rate / mass.sum()),
        observed=float(seen / mass.sum()),
        bayes_auc=area(np.stack([mass * (1 - rate), mass * rate], axis=1)),
        bayes_log_loss=log_loss_of(mass, rate),
        effects={c.column: c.conversion for p in parts for c in p.claims() if c.conversion != 0.0},
    )


def _lattice(parts: Sequence[Prepared], labels: tuple[str, str], hidden: float, times: list[float]) -> Lattice:
    spread = largest = 0.0
    for label, extra in zip(labels, (hidden, 0.0), strict=True):
        for t in times:
            own = [own_spread(p, label, t) for p in parts]
            spread = max(spread, float(np.sqrt(extra**2 + sum(v for v, _ in own))))
            largest = max([largest, *(m for _, m in own)])
    return Lattice.spanning(spread, largest, step=_STEP)


def _density(lattice: Lattice, parts: Sequence[Prepared], labels: tuple[str, str], t: float) -> Floats:
    """Joint masses `[M, M]` of what is added to the log-odds of both labels."""
    size = lattice.points
    total = np.ones((size, size // 2 + 1), dtype=np.complex128)
    for root in (r for p in parts for r in p.roots(t)):
        first, second = (root.log_odds.get(label) for label in labels)
        if second is None and first is not None:
            total *= np.fft.fft(np.fft.ifftshift(lattice.place(first, root.mass)))[:, None]
        elif second is not None:
            pairs = lattice.place_pairs(np.zeros_like(second) if first is None else first, second, root.mass)
            total *= np.fft.rfft2(np.fft.ifftshift(pairs))
    return np.asarray(np.fft.fftshift(np.fft.irfft2(total, s=(size, size))))
