"""The crosses: which were considered, what they tell beyond their parts, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence

from ctrsel.records.cross_choice import CrossChoice
from ctrsel.report.numbers import count, p_value, percent, plain
from ctrsel.report.table import Column, Row, Table, number, text

__all__ = ["crosses", "still_read"]


def crosses(choices: Sequence[CrossChoice]) -> Table | None:
    """Return the table of crosses, None where none was considered."""
    if not choices:
        return None
    columns = (
        Column(label="Cross", number=False),
        Column(
            label="Synergy", unit="nats", title="Told together less what each tells alone; negative if they overlap"
        ),
        Column(label="Interaction", unit="nats", title="Told together beyond an additive model of the parts"),
        Column(label="q", title="Share of false discoveries if this cross and all better ones are called signal"),
        Column(label="Values", title="Combinations with a code of their own"),
        Column(label="Covered", unit="training rows", title="Share of the training rows that have one of them"),
        Column(label="Why", number=False),
    )
    return Table(
        caption="Crosses that were considered: the taken ones first, then others in the order of their ranking",
        columns=columns,
        rows=tuple(_row(c) for c in choices),
        sortable=True,
    )


def _row(c: CrossChoice) -> Row:
    badge = ("taken", "good") if c.taken else ("not taken", "plain")
    return Row(
        cells=(
            text(" \u00d7 ".join(c.fields), limit=60, badges=(badge,)),
            number(plain(c.synergy, 5), c.synergy),
            number(plain(c.beyond_additive, 5), c.beyond_additive),
            number(p_value(c.q), c.q),
            number(count(c.values), c.values),
            number("" if c.covered is None else percent(c.covered), c.covered),
            text(c.reason, limit=160),
        )
    )


def still_read(choices: Sequence[CrossChoice], *, kept: set[str]) -> tuple[str, ...]:
    """Return the dropped fields whose columns kept crosses are made of.

    Args:
        choices: All crosses.
        kept: Names of the kept fields.

    Examples:
        >>> cross = CrossChoice(name="a*b", fields=("a", "b"), taken=True, reason="")
        >>> still_read([cross], kept={"a", "a*b"}), still_read([cross], kept={"a"})
        (('b',), ())
    """
    needed = (p for c in choices if c.taken and c.name in kept for p in c.fields)
    return tuple(dict.fromkeys(p for p in needed if p not in kept))
