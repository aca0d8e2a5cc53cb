"""A small table as files, and the program called in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ctrsel.cli import main
from ctrsel.testing.tables import tiny_frame


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON object that it must be."""
        return json.loads(self.out)


@pytest.fixture
def ctrsel(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def call(*argv: object) -> Ended:
        capsys.readouterr()
        code = main([str(a) for a in argv])
        said = capsys.readouterr()
        return Ended(code=code, out=said.out, err=said.err)

    return call


@pytest.fixture(scope="session")
def clicks() -> pl.DataFrame:
    return tiny_frame(rows=1500)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clicks: pl.DataFrame) -> Path:
    """A working folder with clicks.parquet and clicks.csv."""
    monkeypatch.chdir(tmp_path)
    clicks.write_parquet("clicks.parquet")
    clicks.write_csv("clicks.csv")
    return tmp_path


SMALL_RUN = """
name: small
data: {train: clicks.parquet}
schema: {label: {name: click}, ignore: [id]}
rank: [{use: mutual_information}]
learners:
  boosted: {use: boosted, rounds: 20}
  net: {use: net, batch_size: 32, max_epochs: 2, width: 4, backbone: {use: deepfm, hidden: [8]}}
select:
  size: 0.8
  selectors: [{use: gated, gate: {use: optfs, epochs: 3}}]
explain: {max_rows: 50, net_rows: 10, background: 4}
"""


@pytest.fixture
def small_run(here: Path) -> Path:
    """A config of a whole run that takes seconds."""
    path = here / "small.yaml"
    path.write_text(SMALL_RUN)
    return path
