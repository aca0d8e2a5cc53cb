"""Presets: planted tables for known questions, each a function of the rows and the seed."""

from __future__ import annotations

from ctrsel.data.synthetic._contract import Part
from ctrsel.data.synthetic.categorical import Noise, Strong, Weak
from ctrsel.data.synthetic.copies import Copy
from ctrsel.data.synthetic.pairs import Xor
from ctrsel.data.synthetic.plain import Rare, RowId
from ctrsel.data.synthetic.render import Texts
from ctrsel.data.synthetic.table import Planted

__all__ = ["peers_table"]


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
