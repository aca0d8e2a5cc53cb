from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from ctrsel.core.claims import claimed

HOLDS = """
import sys, time
from pathlib import Path
from ctrsel.core.claims import claimed
with claimed(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


def test_one_at_a_time_and_then_the_next(tmp_path):
    with claimed(tmp_path / "work") as mine:
        assert mine
        began = time.monotonic()
        with claimed(tmp_path / "work", seconds=0.2) as second:
            assert not second
            assert time.monotonic() - began >= 0.2
        with claimed(tmp_path / "other") as other:
            assert other
    with claimed(tmp_path / "work") as again:
        assert again


def test_the_claim_of_a_killed_process_ends_with_it(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path / "work")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    with claimed(tmp_path / "work") as mine:
        assert not mine
    killing = threading.Timer(0.3, holder.send_signal, [signal.SIGKILL])
    killing.start()
    with claimed(tmp_path / "work", seconds=None) as mine:
        assert mine
    killing.join()
    holder.wait()
    holder.stdout.close()


def test_an_error_inside_ends_the_claim_and_a_place_that_is_not_there_is_said(tmp_path):
    with pytest.raises(KeyError), claimed(tmp_path / "work"):
        raise KeyError
    with claimed(tmp_path / "work") as mine:
        assert mine
    with pytest.raises(FileNotFoundError), claimed(tmp_path / "no folder" / "work"):
        pass
