"""What is said on standard output."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import typer

from ctrsel.cli.speak import Say, aligned, plain
from ctrsel.core.errors import DataError


def test_plain_makes_json():
    value = {"a": np.float64(1.5), "b": [np.int64(2), math.nan, math.inf], "c": Path("x"), 1: (np.arange(2),)}
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "a": 1.5,
        "b": [2, None, None],
        "c": "x",
        "1": [[0, 1]],
    }


def test_aligned_keeps_a_row_in_a_line():
    assert (
        aligned(["field", "kept"], [["new\nline\x1b[2J", True]]) == "field         kept\nnew\u00b7line\u00b7[2J   yes"
    )


def test_aligned_empty():
    assert aligned(["a", "bb"], []) == "a  bb"


def test_session_says_one_object_even_on_errors(capsys):
    with pytest.raises(typer.Exit) as stop, Say(as_json=True).session():
        raise DataError("bad")
    assert stop.value.exit_code == 3
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": "bad", "exit_code": 3}
    assert said.err == "error: bad\n"


def test_session_after_the_result_says_no_second_object(capsys):
    def command():
        with Say(as_json=True).session() as speaker:
            speaker.show({"a": 1}, "text")
            raise DataError("bad")

    with pytest.raises(typer.Exit):
        command()
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_a_defect_shows_its_traceback(capsys):
    with pytest.raises(typer.Exit) as stop, Say().session():
        raise ZeroDivisionError("x")
    assert stop.value.exit_code == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "defect" in err
