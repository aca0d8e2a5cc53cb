"""Planted tables: rows drawn from a description, and the truth about them, for tests, benchmarks and teaching."""

from __future__ import annotations

from ctrsel.data.synthetic._contract import Drift, Part
from ctrsel.data.synthetic.block import BLOCK_ROWS
from ctrsel.data.synthetic.categorical import Noise, Signal, Strong, Weak
from ctrsel.data.synthetic.copies import Copy, Derived
from ctrsel.data.synthetic.pairs import Xor
from ctrsel.data.synthetic.plain import Rare, RowId
from ctrsel.data.synthetic.presets import peers_table
from ctrsel.data.synthetic.table import Clock, Planted, Sessions
from ctrsel.data.synthetic.truth import (
    ConversionTruth,
    DriftTruth,
    FieldTruth,
    LeakTruth,
    PairTruth,
    Truth,
    ValueTruth,
)

__all__ = [
    "BLOCK_ROWS",
    "Clock",
    "ConversionTruth",
    "Copy",
    "Derived",
    "Drift",
    "DriftTruth",
    "FieldTruth",
    "LeakTruth",
    "Noise",
    "PairTruth",
    "Part",
    "Planted",
    "Rare",
    "RowId",
    "Sessions",
    "Signal",
    "Strong",
    "Truth",
    "ValueTruth",
    "Weak",
    "Xor",
    "peers_table",
]
