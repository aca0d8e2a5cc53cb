"""The final table fits a terminal; the card is sound markdown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.report.summary import model_card, summary_table


def test_the_table_fits_and_says_what_to_do_next(made: Any) -> None:
    text = summary_table(made.run, report=Path("runs/click_demo/report.html"))
    assert max(map(len, text.splitlines())) <= 120
    (marked,) = [line for line in text.splitlines() if line.startswith("*")]
    assert marked.split("  ")[0] == "* net, OptFS gates"
    assert "0.7510 [0.7410, 0.7610]" in marked
    for needed in (
        "one seed (1): indicative",
        "ACCEPT.",
        "runs/click_demo/report.html",
        "click_demo, version 3",
        "mlflow ui",
    ):
        assert needed in text


def test_columns_stand_under_their_heads(made: Any) -> None:
    lines = summary_table(made.run).splitlines()[2:]
    table = [lines[0], *lines[2 : 2 + len(made.run.contenders)]]
    assert len({len(line) for line in table}) == 1
    end = table[0].index("values") + len("values")
    assert [line[:end].split()[-1] for line in table[1:]] == [f"{c.values:,}" for c in made.run.contenders]


def test_a_long_name_is_shortened_and_a_failed_rule_is_said(made: Any) -> None:
    long = replace(made.run.contenders[0], name="n" * 300)
    verdict = replace(made.run.verdict, promoted=False, reasons=("FAILED: too slow", "passed: small"))
    text = summary_table(
        replace(made.run, contenders=(long, *made.run.contenders[1:]), verdict=verdict, registration=None)
    )
    assert max(map(len, text.splitlines())) <= 120
    assert "REFUSE." in text
    assert "Too slow" in text
    assert "mlflow" not in text


def test_the_card_has_the_table_the_change_and_the_digest(made: Any) -> None:
    card = model_card(made.run)
    assert card.startswith("**Accept.**")
    assert "\u22120.0010 (95 %, paired: \u22120.0030 to +0.0010)" in card
    assert "`0123456789abcdef`" in card
    assert "`city`, `odd`, `user`" in card
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(made.run.contenders)
    assert rows[2].startswith("| **net, OptFS gates** | 0.7510 |")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(max_size=500))
def test_no_text_breaks_table_or_card(made: Any, words: str) -> None:
    chosen = replace(made.run.chosen, name=words)
    run = replace(
        made.run,
        contenders=(made.run.contenders[1], chosen),
        verdict=replace(made.run.verdict, chosen=words, headline=words),
        fields=(replace(made.run.fields[0], name=words),),
    )
    card = model_card(run)
    assert len(card) <= 5000
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {10}
    assert len(summary_table(run).splitlines()) < 40
