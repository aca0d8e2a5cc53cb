import json
import os
from pathlib import Path

import polars as pl
import pytest

from ctrsel.core.config import IngestConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.append import append
from ctrsel.data.ingest import ingest
from ctrsel.data.store import read_facts, table_place
from ctrsel.data.table import Table
from ctrsel.data.tally import STORE

SCHEMA = SchemaConfig(label=LabelConfig(name="y"), time="t")


def frame(rows: int = 200, *, start: int = 0) -> pl.DataFrame:
    at = range(start, start + rows)
    return pl.DataFrame({"y": [i % 2 for i in at], "t": list(at), "a": [f"a{i % 7 * (i % 3)}" for i in at]})


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_a_table_takes_the_place_of_a_table_only(tmp_path: Path, monkeypatch) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    assert table_place(mine) == mine  # it is empty
    (mine / "thesis.txt").write_text("years of work")
    for wrong, why in ((mine, "holds other files, such as 'thesis.txt'"), (mine / "thesis.txt", "is a file")):
        with pytest.raises(ConfigError, match=why):
            ingest(frame(), schema=SCHEMA, out=wrong)
    with pytest.raises(ConfigError, match="out: name a folder"):
        ingest(frame(), schema=SCHEMA, out="")
    monkeypatch.chdir(mine)
    for inside in (".", tmp_path):
        with pytest.raises(ConfigError, match="is the folder that this runs in"):
            ingest(frame(), schema=SCHEMA, out=inside)
    assert names(mine) == ["thesis.txt"]
    ingest(frame(), schema=SCHEMA, out="../store")
    assert ingest(frame(100), schema=SCHEMA, out=tmp_path / "store").n_rows == 100
    assert names(tmp_path) == ["mine", "store"]


def test_a_store_behind_a_link_stays_there(tmp_path: Path) -> None:
    ingest(frame(), schema=SCHEMA, out=tmp_path / "disk" / "store")
    link = tmp_path / "store"
    link.symlink_to(tmp_path / "disk" / "store")
    append(link, frame(50, start=200))
    assert link.is_symlink()
    assert Table.load(tmp_path / "disk" / "store").n_rows == 250
    assert names(tmp_path) == ["disk", "store"]
    assert names(tmp_path / "disk") == ["store"]


def test_home_is_known(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    ingest(frame(), schema=SCHEMA, out="~/store")
    assert append("~/store", frame(50, start=200)).n_rows == 250
    assert names(tmp_path) == ["home"]


def test_a_mistyped_store_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tore: expected a saved ctrsel\.table, but there is no manifest\.json in it"):
        append(tmp_path / "tpyo" / "store", frame())
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"ingest\.json: expected JSON, got Expecting value"),
        ('{"delay": null', r"ingest\.json: expected JSON, got "),
        ("[1]", "expected what ingest wrote, but 'label_values' is missing"),
        ("less", "expected what ingest wrote, but 'until' is missing; the file was changed"),
    ],
)
def test_damaged_facts_are_refused(tmp_path: Path, text: str, why: str) -> None:
    ingest(frame(), schema=SCHEMA, out=tmp_path / "store")
    file = tmp_path / "store" / STORE
    if text == "less":
        text = json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "until"})
    file.write_text(text)
    with pytest.raises(DataError, match=r"expected what ingest wrote|expected JSON|expected the row counts"):
        append(tmp_path / "store", frame(50, start=200))
    with pytest.raises(DataError, match=why):
        read_facts(tmp_path / "store")


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"max_cell": 0}, "max_cell: must be at least 1 character, got 0"),
        ({"growth": -1}, "growth: must be at least 0 values, got -1"),
        ({"memory_gb": float("nan")}, "memory_gb: must be a number above 0, got nan"),
        ({"memory_gb": float("inf")}, "memory_gb: must be a number above 0, got inf"),
    ],
)
def test_settings_of_nothing_are_refused(tmp_path: Path, setting, why: str) -> None:
    with pytest.raises(ConfigError, match=f"ingest.{why}"):
        ingest(frame(), schema=SCHEMA, settings=IngestConfig(**setting))
    ingest(frame(), schema=SCHEMA, out=tmp_path / "store")
    with pytest.raises(ConfigError, match=f"ingest.{why}"):
        append(tmp_path / "store", frame(50, start=200), settings=IngestConfig(**setting))


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """Also beside a store whose name is a pattern, and never what a living process is filling."""
    gone = next(p for p in range(2**22, 1, -1) if not Path(f"/proc/{p}").exists())
    for name in (f".s[1].partial-{gone}-ab", f".s[1].scratch-{gone}-cd", f".s[1].partial-{os.getpid()}-ef"):
        (tmp_path / name).mkdir()
    ingest(frame(), schema=SCHEMA, out=tmp_path / "s[1]")
    assert names(tmp_path) == [f".s[1].partial-{os.getpid()}-ef", "s[1]"]
