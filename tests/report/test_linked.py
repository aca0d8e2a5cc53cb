"""Long tables: 200 rows on the page, all of them in a file beside it, with nothing rare or sensitive in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.memory import anonymous_memory
from ctrsel.records.evidence import Evidence
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.report.linked import cut_tables, frame_of, write_tables
from ctrsel.report.page import LARGEST
from ctrsel.report.sections.facts import Facts
from ctrsel.report.sections.values import values_frame
from ctrsel.report.table import Cell, Column, Row, Table, badge, number, text
from ctrsel.select.account import account

from .wide import HOSTILE, names, selected, wide

SCRIPT = "<script>alert(1)</script>"


@contextmanager
def peak_anonymous() -> Iterator[Callable[[], int]]:
    """Look 50 times a second at the memory that no file holds; the given function tells by how many bytes it grew."""
    before, most, done = anonymous_memory(), [0], threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], anonymous_memory())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield lambda: most[0] - before
    finally:
        done.set()
        watcher.join()


def table(rows: int, caption: str = "Some rows") -> Table:
    columns = (
        Column(label="Name", number=False),
        Column(label="AUC", unit="test"),
        Column(label="State", number=False),
    )
    made = (
        Row(cells=(text(f"{SCRIPT}{i}" + "x" * 100), number("0.5", i / 2, small="0.4 to 0.6"), badge("kept", "good")))
        for i in range(rows)
    )
    return Table(caption=caption, columns=columns, rows=tuple(made))


def test_a_table_of_200_rows_stays_and_one_of_201_is_cut() -> None:
    frames: dict[str, Any] = {}
    whole, cut, same = cut_tables((table(200), {"a": [table(201)]}, table(300)), frames)
    assert whole == table(200)
    assert [len(t.rows) for t in (cut["a"][0], same)] == [200, 200]
    assert (cut["a"][0].file, cut["a"][0].of) == ("report-tables/some-rows.parquet", 201)
    assert same.file == "report-tables/some-rows-2.parquet"
    assert {k: f.height for k, f in frames.items()} == {"some-rows.parquet": 201, "some-rows-2.parquet": 300}


def test_the_file_holds_numbers_as_numbers_and_words_in_full() -> None:
    frame = frame_of(table(3))
    assert frame.columns == ["Name", "AUC, test", "AUC, test: note", "State"]
    assert frame["Name"][2] == f"{SCRIPT}2" + "x" * 100
    assert frame["AUC, test"].to_list() == [0.0, 0.5, 1.0]
    assert frame["State"].to_list() == ["kept"] * 3
    twice = Table(
        caption="c",
        columns=(Column(label="AUC"), Column(label="AUC")),
        rows=(Row(cells=(number("1", 1), Cell(text="no value", muted=True))),),
    )
    assert frame_of(twice).to_dicts() == [{"AUC": 1.0, "AUC (2)": None}]


def test_names_of_files_come_from_captions_and_hold_no_path() -> None:
    frames: dict[str, Any] = {}
    cut_tables([table(201, caption="../../etc/passwd \u0430"), table(201, caption="\u05d0")], frames)
    assert sorted(frames) == ["etc-passwd.parquet", "table.parquet"]


def test_files_of_an_older_page_go_and_those_of_others_stay(tmp_path: Path) -> None:
    page, folder = tmp_path / "report.html", tmp_path / "report-tables"
    write_tables(page, {"a.parquet": pl.DataFrame({"x": [1]})})
    write_tables(page, {"b.parquet": pl.LazyFrame({"x": [1]})})
    assert {p.name for p in folder.iterdir()} == {"b.parquet", "manifest.json"}
    write_tables(page, {})
    assert not folder.exists()
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="would be lost"):
        write_tables(page, {"a.parquet": pl.DataFrame({"x": [1]})})


def test_a_page_of_200_fields_is_small_and_its_values_are_linked(made: Any, tmp_path: Path) -> None:
    """The shape of a wide table: the page stays below 3 MB, the values lie beside it."""
    more, account = wide(made, fields=200, values=20_000)
    page = replace(more, account=account).page(tmp_path)
    assert len(page.encode()) <= LARGEST
    assert 'href="report-tables/values.parquet"' in page
    assert all(h not in page for h in HOSTILE[:1])
    frame = pl.read_parquet(tmp_path / "report-tables" / "values.parquet")
    assert frame["rows"].min() == 20
    assert set(HOSTILE) <= set(frame["value"])
    secret = frame.filter(pl.col("field").is_in(names(200)[9::10]))
    assert secret.height == 20 * 20
    assert secret["value"].str.contains(r"^#[0-9a-f]{8}$").all()
    # Of the other fields, every value of 20 rows or more: half of 100 each.
    assert frame.height - secret.height == 180 * 50


def test_a_page_of_2000_fields_cuts_its_tables(made: Any, tmp_path: Path) -> None:
    more, account = wide(made, fields=700, values=7_000)
    page = replace(more, account=account).page(tmp_path)
    assert len(page.encode()) <= LARGEST
    found = {p.stem: pl.read_parquet(p).height for p in (tmp_path / "report-tables").glob("*.parquet")}
    assert found["fields-in-the-order-of-the-first-ranking-best-first"] == 700
    assert found["what-the-audit-measured-of-each-field"] == 700
    assert page.count("The first 200 of 700 rows") == 2
    assert all(f'href="report-tables/{name}.parquet"' in page for name in found)


def test_a_page_that_would_be_too_large_lists_fewer_values(made: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from ctrsel.report import page as module

    more, account = wide(made, fields=60, values=6_000)
    whole = replace(more, account=account).page(tmp_path)
    monkeypatch.setattr(module, "LARGEST", len(whole.encode()) // 2)
    less = replace(more, account=account).page(tmp_path)
    assert len(less.encode()) <= len(whole.encode()) // 2
    assert "Listed for the first" in less


def test_an_account_that_tells_a_sensitive_value_stops_the_page(made: Any, tmp_path: Path) -> None:
    more, account = wide(made, fields=20, values=2_000)
    told = account.values.with_columns(pl.col("value").fill_null("ann@example.org"))
    wrong = replace(more, account=replace(account, values=told))
    with pytest.raises(DataError, match="sensitive"):
        wrong.page(tmp_path)
    assert not list(tmp_path.iterdir())
    facts = Facts(run=more.run, evidence=Evidence(audit=more.audit, account=wrong.account))
    frame = values_frame(facts)  # and were it among those that the page does not look at, it would not be in the file
    assert frame is not None
    assert "ann@example.org" not in set(frame.collect()["value"])


def test_without_an_account_the_listed_values_are_linked(made: Any, tmp_path: Path) -> None:
    made.page(tmp_path)
    found = pl.read_parquet(tmp_path / "report-tables" / "values.parquet")
    assert "Only nineteen" not in set(found["value"])
    assert {"ann@example.org", "bob@example.org"}.isdisjoint(found["value"])
    assert SCRIPT in set(found["value"])
    wrong = tuple(replace(f, sensitive=True) if f.name == "city" else f for f in made.run.fields)
    with pytest.raises(DataError, match="sensitive"):
        made.with_run(fields=wrong).page(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_page_of_200_fields_and_fifty_million_values(made: Any, tmp_path: Path) -> None:
    """From the vocabularies to the page: why each value stays or goes is told piece by piece, and never held at once."""
    more, _ = wide(made, fields=200, values=20_000)
    table, features = selected(200, 50_000_000, tmp_path)
    with peak_anonymous() as peak:
        account(table, features).save(tmp_path / "account")
    assert peak() < 1 << 30  # 7.5 GB hold them all
    with peak_anonymous() as peak:
        page = replace(more, account=SelectionAccount.load(tmp_path / "account")).page(tmp_path)
    assert peak() < 1 << 30
    assert len(page.encode()) <= LARGEST
    frame = pl.scan_parquet(tmp_path / "report-tables" / "values.parquet")
    rows, least = frame.select(pl.len(), pl.col("rows").min()).collect().row(0)
    assert rows == 180 * 125_000 + 20 * 20
    assert least >= 20
