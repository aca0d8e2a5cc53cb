"""Ranking: fields in order of what they tell about the label, by several methods side by side."""

from __future__ import annotations

from ctrsel.core.catalog import Catalog
from ctrsel.rank._contract import CountRanker, ModelRanker, Ranker
from ctrsel.rank.counts import FieldCounts, TableCounts
from ctrsel.rank.driver import count, rank
from ctrsel.rank.rows import CodedRows

__all__ = [
    "CATALOG",
    "CodedRows",
    "CountRanker",
    "FieldCounts",
    "ModelRanker",
    "Ranker",
    "TableCounts",
    "count",
    "rank",
]

CATALOG: Catalog[Ranker] = Catalog(__name__, Ranker, "ranker")
