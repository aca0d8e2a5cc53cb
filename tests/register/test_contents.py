"""What is written for a reviewer."""

from __future__ import annotations

import dataclasses

import polars as pl

from ctrsel.records.ranking import Ranking
from ctrsel.register.contents import shown_ranking
from ctrsel.testing.runs import tiny_run


def test_a_ranking_of_values_leaves_out_the_texts_of_sensitive_fields(table, net):
    run = tiny_run(table, net)
    fields = tuple(dataclasses.replace(f, sensitive=f.name == "ad") for f in run.fields)
    run = dataclasses.replace(run, fields=fields)
    frame = pl.DataFrame(
        {
            "field": ["ad", fields[0].name if fields[0].name != "ad" else "site", "gone"],
            "value": ["secret", "open", "unknown"],
            "score": [3.0, 2.0, 1.0],
            "rank": [1, 2, 3],
        }
    )
    values = Ranking(method="value_log_odds", params={}, unit="nats", null=None, frame=frame, item="value")
    assert shown_ranking(values, run)["value"].to_list() == [None, "open", None]
    whole = Ranking(method="toy", params={}, unit="nats", null=None, frame=frame.drop("value"))
    assert shown_ranking(whole, run).equals(frame.drop("value"))
