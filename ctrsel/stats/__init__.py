"""Counts, information, ranking metrics, intervals, tests and drift: plain functions on numpy arrays.

Everything is computed in float64 on the arrays it is given; nothing here knows about tables, fields or models. Each
module is imported by its own name (``from ctrsel.stats.auc import auc``), so that the metrics do not load the compiled
counting kernels.
"""
