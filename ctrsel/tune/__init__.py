"""Tuning: learners and their parameters tried against the clock, each trial in a process of its own."""

from __future__ import annotations

from ctrsel.tune.job import Job, Objective, Scored, score
from ctrsel.tune.search import Search, candidates
from ctrsel.tune.space import Space, read_range
from ctrsel.tune.study import Study

__all__ = ["Job", "Objective", "Scored", "Search", "Space", "Study", "candidates", "read_range", "score"]
