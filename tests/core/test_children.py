from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ctrsel.core.children import import_path


def test_a_child_finds_this_package_and_not_a_part_of_it_that_stands_first_on_the_path(tmp_path, monkeypatch):
    (tmp_path / "ctrsel").mkdir()
    (tmp_path / "ctrsel" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import ctrsel.records.ranking"],
        env={**os.environ, "PYTHONPATH": import_path()},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0


def test_a_child_does_not_outlive_who_started_it():
    sleeps = (
        "from ctrsel.core.children import die_with; import sys, time; "
        "die_with(int(sys.argv[1])); print(1, flush=True); time.sleep(600)"
    )
    starts = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {sleeps!r}, str(os.getpid())], stdout=subprocess.PIPE)\n"
        "child.stdout.read(1); print(child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 120
    while alive(child):
        assert time.monotonic() < until
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_child_whose_parent_went_before_it_asked_ends_at_once():
    code = "from ctrsel.core.children import die_with; die_with(1); print('lives')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
