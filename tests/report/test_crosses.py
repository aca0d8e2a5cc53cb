"""Crosses on the page: a table of what was considered, and what dropped columns are still read."""

from __future__ import annotations

import dataclasses

from ctrsel.records.cross_choice import CrossChoice
from ctrsel.report.sections.crosses import crosses

CHOICES = (
    CrossChoice(
        name="city*age",
        fields=("city", "<age>"),
        taken=True,
        reason="number 1 by interactions",
        rank=1,
        synergy=0.0123456,
        beyond_additive=0.01,
        q=0.0004,
        values=1234,
        covered=0.98,
    ),
    CrossChoice(name="a*b", fields=("a", "b"), taken=False, reason="its q-value is above 0.05", q=0.3),
)


def test_table_says_what_became_of_each():
    table = crosses(CHOICES)
    assert table is not None
    first, second = ([c.text for c in row.cells] for row in table.rows)
    assert first == ["city \u00d7 <age>", "0.01235", "0.01000", "0.0004", "1,234", "98.0 %", "number 1 by interactions"]
    assert second[0] == "a \u00d7 b"
    assert second[4:] == [second[1], "", "its q-value is above 0.05"]
    assert [row.cells[0].badges[0][0] for row in table.rows] == ["taken", "not taken"]
    assert crosses(()) is None


def test_page_has_the_table_only_with_crosses(made, tmp_path):
    assert "<h3>Crosses</h3>" not in made.page(tmp_path)
    kept = next(f for f in made.run.fields if f.kept)
    gone = next(f for f in made.run.fields if not f.kept)
    choice = dataclasses.replace(CHOICES[0], name=kept.name, fields=(kept.name, gone.name))
    text = made.with_run(crosses=(choice, CHOICES[1])).page(tmp_path)
    assert "<h3>Crosses</h3>" in text
    assert "number 1 by interactions" in text
    assert "still reads the columns that kept crosses" in text
