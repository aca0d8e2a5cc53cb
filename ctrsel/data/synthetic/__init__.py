"""Planted tables: rows drawn from a description, and the truth about them, for tests, benchmarks and teaching."""

from __future__ import annotations

from ctrsel.data.synthetic.block import BLOCK_ROWS
from ctrsel.data.synthetic.categorical import Noise, Signal, Strong, Weak
from ctrsel.data.synthetic.copies import Copy, Derived
from ctrsel.data.synthetic.leaks import FilledAfter, GroupLeak, LabelCopy, OrderedId, TargetEncoding, ValueLeak
from ctrsel.data.synthetic.lists import History, Tags
from ctrsel.data.synthetic.numeric import Numeric
from ctrsel.data.synthetic.outcome import Conversion
from ctrsel.data.synthetic.pairs import Xor
from ctrsel.data.synthetic.part import Drift, Part
from ctrsel.data.synthetic.plain import Rare, RowId
from ctrsel.data.synthetic.presets import (
    FAULTS,
    PRESETS,
    audit_table,
    drift_table,
    funnel_table,
    peers_table,
    sequence_table,
    session_table,
    value_table,
)
from ctrsel.data.synthetic.setting import Clock, Sessions
from ctrsel.data.synthetic.table import Planted
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
    "FAULTS",
    "PRESETS",
    "Clock",
    "Conversion",
    "ConversionTruth",
    "Copy",
    "Derived",
    "Drift",
    "DriftTruth",
    "FieldTruth",
    "FilledAfter",
    "GroupLeak",
    "History",
    "LabelCopy",
    "LeakTruth",
    "Noise",
    "Numeric",
    "OrderedId",
    "PairTruth",
    "Part",
    "Planted",
    "Rare",
    "RowId",
    "Sessions",
    "Signal",
    "Strong",
    "Tags",
    "TargetEncoding",
    "Truth",
    "ValueLeak",
    "ValueTruth",
    "Weak",
    "Xor",
    "audit_table",
    "drift_table",
    "funnel_table",
    "peers_table",
    "sequence_table",
    "session_table",
    "value_table",
]
