"""Serving: score raw rows with a saved model, in memory and file by file; nothing here trains or registers."""

from __future__ import annotations

from ctrsel.serve.score import ScoreSummary, score_file
from ctrsel.serve.serving_model import Scored, ServingModel

__all__ = ["ScoreSummary", "Scored", "ServingModel", "score_file"]
