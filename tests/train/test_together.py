from __future__ import annotations

import json
import os

import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.launch import Launch
from ctrsel.train.parallel import Processes
from ctrsel.train.together import _JOINED, _present, _rebuilt, everywhere, together

TOLD = {
    "RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "a",
    "MASTER_PORT": "9",
}


def size_of(n, *, of=0, processes):
    return n, of, processes.size


def test_alone_a_program_and_a_function_are_just_called():
    assert together(lambda: 3) == 3
    assert everywhere(size_of, 1, of=2) == (1, 2, 1)


def test_a_program_that_did_not_join_is_told_how(monkeypatch):
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"ctrsel\.together"):
        everywhere(size_of, 1)


def test_a_child_of_a_process_that_joined_is_alone(monkeypatch):
    launch = Launch.of(TOLD)
    told = {
        "rank": 1,
        "size": 4,
        "local_rank": 1,
        "local_size": 2,
        "host": "a",
        "port": 9,
        "hosted": False,
        "attempt": 0,
    }
    monkeypatch.setenv(_JOINED, json.dumps({"process": os.getpid(), **told}))
    assert _present() == launch
    monkeypatch.setenv(_JOINED, json.dumps({"process": os.getppid(), **told}))
    assert _present() is None
    assert everywhere(size_of, 1)[2] == Processes().size


def test_numbers_of_the_environment_must_be_numbers():
    with pytest.raises(ConfigError, match="WORLD_SIZE must be a whole number, got 'two'"):
        Launch.of({**TOLD, "WORLD_SIZE": "two"})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("DataError", DataError), ("KeyboardInterrupt", KeyboardInterrupt), ("Terminated", KeyboardInterrupt)],
)
def test_what_another_process_said_is_raised_as_what_it_was(kind, expected):
    assert type(_rebuilt({"rank": 1, "kind": kind, "text": "t"}, Launch.of(TOLD))) is expected


def test_a_defect_elsewhere_names_its_process():
    error = _rebuilt({"rank": 3, "kind": "KeyError", "text": "'x'"}, Launch.of(TOLD))
    assert (type(error), str(error)) == (RuntimeError, "process 3 of 4: KeyError: 'x'")
