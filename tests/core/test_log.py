import json
import logging
import sys

import pytest

from ctrsel.core import log


@pytest.fixture(autouse=True)
def _restored():
    """Put the package's logger back as it was; `configure` itself is called in each test, once output is captured."""
    logger = log.logger()
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate


def test_a_library_adds_no_handler(capsys) -> None:
    assert log.logger().handlers == []
    log.event("quiet", rows=3)
    assert capsys.readouterr() == ("", "")


def test_json_lines_parse_and_nothing_is_printed(capsys) -> None:
    log.configure(as_json=True)
    log.event("rank", fields=40, seconds=0.8, name="x", bad=float("nan"), path=__import__("pathlib").Path("a"))
    log.logger().warning("careful")
    try:
        raise ValueError("why")
    except ValueError:
        log.logger().exception("failed")
    out, err = capsys.readouterr()
    assert out == ""
    first, second, third = map(json.loads, err.splitlines())
    assert first["event"] == "rank"
    assert (first["fields"], first["seconds"], first["name"], first["bad"], first["path"]) == (40, 0.8, "x", None, "a")
    assert first["level"] == "info"
    assert (second["event"], second["level"]) == ("careful", "warning")
    assert "ValueError: why" in third["error"]


def test_text_lines(capsys) -> None:
    log.configure()
    log.event("rank", fields=40, seconds=0.81234)
    log.logger().warning("careful")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0][9:] == "rank  fields=40 seconds=0.8123"
    assert lines[1][9:] == "warning: careful"


def test_quiet(capsys) -> None:
    log.configure(quiet=True)
    log.event("rank")
    log.logger().warning("careful")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_configure_twice_logs_once(capsys) -> None:
    log.configure()
    log.configure()
    log.event("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_progress_prints_a_line_at_most_every_ten_seconds(capsys, monkeypatch) -> None:
    log.configure()
    now = 0.0
    monkeypatch.setattr(log.time, "monotonic", lambda: now)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with log.progress("train", 100, unit="batches") as bar:
        for step in range(100):
            now = step * 1.0
            bar.advance(1, loss=0.5, done="odd")
    out, err = capsys.readouterr()
    assert out == ""
    assert 8 <= len(err.splitlines()) <= 10
    assert "train  loss=0.5 done=11 of=100 unit=batches" in err.splitlines()[0]


def test_progress_on_a_terminal_is_a_bar_on_standard_error(capsys, monkeypatch) -> None:
    log.configure()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with log.progress("train", 3) as bar:
        bar.advance(2, auc=0.75)
    assert capsys.readouterr().out == ""


def test_progress_without_configuration_is_silent(capsys) -> None:
    with log.progress("train", 3) as bar:
        bar.advance(3)
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("ctrsel") is log.logger()
