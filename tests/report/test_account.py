"""The account of the selection on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ctrsel.core.errors import DataError
from ctrsel.records.evaluation import Metric
from ctrsel.records.evidence import Evidence
from ctrsel.records.selection_account import VALUE_COLUMNS, FieldAccount, SelectionAccount
from ctrsel.report.page import write_report

SCRIPT = "<script>alert(1)</script>"


def field(name: str, **facts: Any) -> FieldAccount:
    given: dict[str, Any] = {
        "kind": "categorical", "sensitive": False, "kept": True, "reason": "kept", "why": "3 of 8 values are kept",
        "score": 1.5, "values": 8, "values_kept": 3, "values_merged": 2, "covered": 0.75, "rare": 0.1,
    }  # fmt: skip
    return FieldAccount(name=name, **{**given, **facts})


def value(of: str, text: str | None, rows: int, **facts: Any) -> dict[str, Any]:
    given = {"outcome": "dropped", "reason": "below_cut", "why": "its score is below 2", "into": None, "score": 1.0}
    return {"field": of, "value": text, "rows": rows, **given, **facts}


def account(fields: list[FieldAccount], values: list[dict[str, Any]]) -> SelectionAccount:
    frame = pl.DataFrame(values, schema=dict(VALUE_COLUMNS))
    return SelectionAccount(method="toy", cut=2.0, fields=tuple(fields), values=frame.lazy())


@pytest.fixture
def page(made: Any, tmp_path: Path):
    def write(found: SelectionAccount) -> str:
        path = write_report(
            made.run,
            evidence=Evidence(
                audit=made.audit,
                rankings=made.rankings,
                explanations=made.explanations,
                evaluations=made.evaluations,
                feature_set=made.feature_set,
                account=found,
            ),
            path=tmp_path / "report.html",
        )
        return path.read_text(encoding="utf-8")

    return write


def test_reasons_and_worth(page) -> None:
    lost = Metric(value=0.0123, low=0.01, high=0.015, method="delong, paired")
    fields = [
        field("city", auc_lost=lost),
        field(SCRIPT, kept=False, reason="below_cut", why=f"its score {SCRIPT} is too low"),
        field("user", sensitive=True),
        field("gone", kept=False, reason="never_use", why="select.never_use names it"),
    ]
    values = [
        value("city", SCRIPT, 500),
        value("city", "merged one", 400, outcome="merged", reason="merged", into="lead one", why="not told"),
        value("city", "too rare", 19),
        value("city", "still kept", 900, outcome="kept", reason="kept"),
        value("user", None, 700),
        value("city", None, 800, reason="rare"),
    ]
    source = page(account(fields, values))
    assert SCRIPT not in source
    assert "is too low" in source
    assert "+0.0123" in source
    assert "0.0100 to 0.0150" in source
    assert "merged into lead one" in source
    assert "too rare" not in source
    assert "still kept" not in source
    assert "select.never_use names it" not in source


def test_values_of_sensitive_fields_stop_the_page(page) -> None:
    with pytest.raises(DataError, match="'user' is sensitive"):
        page(account([field("user", sensitive=True)], [value("user", "ann", 300)]))


def test_many_fields_are_folded(page) -> None:
    fields = [field(f"f{i}", kept=i % 2 == 0, why=f"why {i}") for i in range(80)]
    source = page(account(fields, []))
    assert "25 more dropped fields" in source
    assert "25 more kept fields" in source
    assert all(f"why {i}<" in source for i in range(80))


def test_nothing_to_tell(page) -> None:
    assert "What each kept field is worth" not in page(account([field("a", kept=False, reason="silent")], []))
