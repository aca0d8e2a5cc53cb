"""Presets: planted tables for known questions, each a function of the rows and the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ctrsel.core.errors import unknown_name
from ctrsel.data.synthetic.categorical import Noise, Signal, Strong, Weak
from ctrsel.data.synthetic.copies import Copy, Derived
from ctrsel.data.synthetic.leaks import FilledAfter, GroupLeak, LabelCopy, OrderedId, TargetEncoding, ValueLeak
from ctrsel.data.synthetic.lists import History, Tags
from ctrsel.data.synthetic.numeric import Numeric
from ctrsel.data.synthetic.outcome import Conversion
from ctrsel.data.synthetic.pairs import Xor
from ctrsel.data.synthetic.part import Drift, Part
from ctrsel.data.synthetic.plain import Rare, RowId
from ctrsel.data.synthetic.render import Texts
from ctrsel.data.synthetic.setting import Clock, Sessions
from ctrsel.data.synthetic.table import Planted

__all__ = [
    "FAULTS",
    "PRESETS",
    "audit_table",
    "drift_table",
    "funnel_table",
    "peers_table",
    "sequence_table",
    "session_table",
    "value_table",
]


def peers_table(*, rows: int, seed: int = 0, texts: Texts = "names") -> Planted:
    """Return 40 fields: 6 strong, 2 weak and 2 redundant ones, 4 pairs that count together only, 22 of noise.

    Names begin with the kind: `s_` strong, `w_` weak, `r_` redundant (of the strong field with the same number of
    values), `x0a` and `x0b` a pair, `nu_` uniform noise, `nz_` skewed noise, `n_const`, `n_rare` and `n_rowid`. The
    ten fields with information of their own (`s_`, `w_`, `r_`) should be a ranking's first ten.

    Examples:
        >>> table = peers_table(rows=1000)
        >>> len(table.schema.fields), len(table.truth.named()), round(table.truth.bayes_auc, 2)
        (40, 18, 0.83)
    """
    parts: list[Part] = [Strong(name=f"s_{v}", values=v) for v in (2, 10, 100, 1_000, 10_000, 100_000)]
    parts[0] = Strong(name="s_2", values=2, skew=0.0)
    parts += [Weak(name=f"w_{v}", values=v) for v in (10, 1_000)]
    parts += [Xor(left=f"x{i}a", right=f"x{i}b", values=v) for i, v in enumerate((2, 10, 100, 1_000))]
    parts += [Copy(name="r_100", source="s_100", noise=0.1), Copy(name="r_1000", source="s_1000")]
    uniform = (2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000)
    parts += [Noise(name=f"nu_{v}", values=v) for v in uniform]
    parts += [Noise(name=f"nz_{v}", values=v, skew=1.05) for v in (10, 100, 1_000, 10_000, 100_000, 1_000_000)]
    parts += [Noise(name="n_const", values=1), Rare(name="n_rare"), RowId(name="n_rowid")]
    return Planted(parts=tuple(parts), rows=rows, seed=seed, texts=texts, shuffle=True)


FAULTS: Mapping[str, tuple[Part, ...]] = {
    "constant": (Noise(name="constant", values=1),),
    "nearly constant": (Rare(name="nearly_constant", share=1e-4),),
    "row number": (RowId(name="row_number"),),
    "rising row number": (RowId(name="rising_row_number", rising=True),),
    "mostly missing": (Noise(name="mostly_missing", values=50, missing=0.98),),
    "duplicate": (Copy(name="duplicate", source="site"),),
    "near duplicate": (Copy(name="near_duplicate", source="ad", noise=0.02),),
    "functional dependency": (Derived(name="country", source="city", values=12),),
    "label copy": (LabelCopy(name="label_copy", noise=0.001),),
    "filled after": (FilledAfter(name="filled_after"),),
    "value leak": (ValueLeak(name="value_leak", share=0.03),),
    "target encoding": (TargetEncoding(name="target_encoding", source="cookie"),),
    "ordered id": (OrderedId(name="ordered_id"),),
    "group leak": (GroupLeak(name="order_id"),),
    "popularity drift": (Noise(name="popularity_drift", values=30, skew=1.05, drift=Drift(popularity=0.9)),),
    "new values": (Noise(name="new_values", values=200, skew=1.05, drift=Drift(popularity=0.9, new=True)),),
    "vanishes": (Noise(name="vanishes", values=20, drift=Drift(until=0.7)),),
    "appears": (Noise(name="appears", values=20, drift=Drift(since=0.7)),),
    "numbers move": (Numeric(name="numbers_move", effect=0.0, shift=2.0),),
    "effect turns": (Strong(name="effect_turns", values=20, drift=Drift(effect=-1.0)),),
    "base rate drift": (),
    "repeated rows": (),
}
"""What `audit_table` can plant, by name: the parts of each; the last two are settings of the table."""


def audit_table(*, rows: int, seed: int = 0, faults: Sequence[str] | None = None, texts: Texts = "names") -> Planted:
    """Return an honest table in the order of time, with some faults planted in it.

    The honest fields are `site`, `ad`, `city`, `hour` (numbers), `cookie` (noise of many values) and `user`, the group,
    who has an effect of their own and comes in sessions. A fault's column has the fault's name, but for `country`
    and `order_id`.

    Args:
        rows: N.
        seed: Of the table.
        faults: Names in `FAULTS`; None = all, () = none.
        texts: As in `Planted`.

    Raises:
        ConfigError: If a fault is not known.

    Examples:
        >>> table = audit_table(rows=1000, faults=["label copy"])
        >>> [(leak.column, leak.how) for leak in table.truth.leaks]
        [('label_copy', 'label copy')]
    """
    chosen = tuple(FAULTS) if faults is None else tuple(faults)
    for name in chosen:
        if name not in FAULTS:
            raise unknown_name("fault", name, FAULTS)
    honest: tuple[Part, ...] = (
        Strong(name="site", values=40),
        Strong(name="ad", values=1_000),
        Signal(name="city", values=300, effect=0.2),
        Signal(name="user", values=5_000, effect=0.4, stick=1.0),
        Numeric(name="hour", effect=0.2, shape="wave", log=False),
        Noise(name="cookie", values=20_000, skew=0.5),
    )
    return Planted(
        parts=honest + tuple(p for name in chosen for p in FAULTS[name]),
        rows=rows,
        seed=seed,
        rate=0.1,
        clock=Clock(rate=0.8 if "base rate drift" in chosen else 0.0),
        sessions=Sessions(rows=5.0),
        group="user",
        repeated=0.02 if "repeated rows" in chosen else 0.0,
        texts=texts,
    )


def drift_table(*, rows: int, seed: int = 0, texts: Texts = "names") -> Planted:
    """Return a table in which everything moves: popularity, effects, fields, numbers and the label's rate.

    Examples:
        >>> [(d.column, d.what) for d in drift_table(rows=100).truth.drifts][:3]
        [('crowd', 'popularity'), ('launches', 'new values'), ('fading', 'effect')]
    """
    parts: tuple[Part, ...] = (
        Strong(name="steady", values=100),
        Strong(name="crowd", values=100, drift=Drift(popularity=0.6)),
        Strong(name="launches", values=100, drift=Drift(popularity=0.5, new=True)),
        Strong(name="fading", values=100, drift=Drift(effect=0.0)),
        Strong(name="turning", values=100, drift=Drift(effect=-1.0)),
        Strong(name="appearing", values=100, drift=Drift(since=0.5)),
        Strong(name="vanishing", values=100, drift=Drift(until=0.5)),
        Numeric(name="moving", effect=0.3, shift=1.0),
        Noise(name="noise", values=100),
        Noise(name="moving_noise", values=100, skew=1.05, drift=Drift(popularity=0.6)),
    )
    return Planted(parts=parts, rows=rows, seed=seed, clock=Clock(rate=0.5), texts=texts)


def session_table(*, rows: int, seed: int = 0, texts: Texts = "names") -> Planted:
    """Return rows in sessions of 20, in which the label and some noise stay as they are: rows are no independent draws.

    `frozen_` noise is constant in a session, `sticky_` noise stays with probability 0.9, `free_` noise is drawn anew.

    Examples:
        >>> table = session_table(rows=100)
        >>> table.truth.session_rows, table.truth.fields["frozen_50"].information
        (20.0, 0.0)
    """
    parts: list[Part] = [
        Signal(name="user", values=2_000, effect=0.3, stick=1.0),
        Strong(name="site", values=50, stick=0.5),
        Weak(name="ad", values=500),
    ]
    for values in (2, 50, 1_000):
        parts += [
            Noise(name=f"frozen_{values}", values=values, stick=1.0),
            Noise(name=f"sticky_{values}", values=values, stick=0.9),
            Noise(name=f"free_{values}", values=values),
        ]
    sessions = Sessions(rows=20.0, effect=1.0)
    return Planted(
        parts=tuple(parts), rows=rows, seed=seed, clock=Clock(), sessions=sessions, group="user", texts=texts
    )


def funnel_table(*, rows: int, seed: int = 0, texts: Texts = "names") -> Planted:
    """Return a table of clicks and of conversions, which follow some of them two days later on average.

    Examples:
        >>> table = funnel_table(rows=100)
        >>> sorted(table.truth.conversion.effects)
        ['age', 'both', 'buys']
    """
    parts: tuple[Part, ...] = (
        Strong(name="clicks", values=100),
        Signal(name="both", values=100, effect=0.45, conversion=0.45),
        Signal(name="buys", values=100, effect=0.0, conversion=0.6),
        Numeric(name="age", effect=0.0, conversion=0.4, shape="valley"),
        Xor(left="left", right="right", values=10),
        Noise(name="noise", values=1_000),
    )
    return Planted(
        parts=parts,
        rows=rows,
        seed=seed,
        clock=Clock(days=14.0),
        conversion=Conversion(delay=2.0),
        weight=0.3,
        texts=texts,
    )


def sequence_table(*, rows: int, seed: int = 0, texts: Texts = "names") -> Planted:
    """Return a table with two histories, one whose order matters and one in which it does not, and a list of tags.

    Examples:
        >>> truth = sequence_table(rows=100).truth
        >>> {name: field.recent for name, field in truth.fields.items() if field.kind == "sequence"}
        {'seen': None, 'bought': 1}
    """
    parts: tuple[Part, ...] = (
        History(item="item", history="seen", length=8, item_effect=0.3),
        History(item="product", history="bought", length=12, recent=1),
        Tags(name="tags", values=30, active=5),
        Tags(name="noisy_tags", values=30, effect=0.0),
        Noise(name="noise", values=100),
    )
    return Planted(parts=parts, rows=rows, seed=seed, texts=texts)


def value_table(*, rows: int, seed: int = 0, texts: Texts = "names") -> Planted:
    """Return fields of which few values matter, or whose values fall into groups that cannot be told apart.

    Examples:
        >>> truth = value_table(rows=100).truth
        >>> truth.value_frame("few")["effect"].n_unique(), truth.value_frame("groups")["group"].n_unique()
        (6, 4)
    """
    parts: tuple[Part, ...] = (
        Strong(name="few", values=100, active=5),
        Strong(name="few_of_many", values=10_000, active=20),
        Strong(name="groups", values=100, groups=4),
        Strong(name="city", values=500, groups=20),
        Derived(name="country", source="city"),
        Strong(name="all", values=100),
        Tags(name="tags", values=30, active=5),
        Noise(name="noise", values=100),
    )
    return Planted(parts=parts, rows=rows, seed=seed, texts=texts)


PRESETS: Mapping[str, Callable[..., Planted]] = {
    "audit": audit_table,
    "drift": drift_table,
    "funnel": funnel_table,
    "peers": peers_table,
    "sequences": sequence_table,
    "sessions": session_table,
    "values": value_table,
}
"""The presets by name."""
