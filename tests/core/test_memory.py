from __future__ import annotations

import subprocess
import sys

import numpy as np
import psutil
import pytest

from ctrsel.core.memory import anonymous_memory, available_memory


def written(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def system(tmp_path):
    """A process in no group, of 100 bytes."""
    written(tmp_path / "proc" / "self", cgroup="0::/\n", status="Name:\tpython\nVmSize:\t 100 kB\nRssAnon:\t 7 kB\n")
    (tmp_path / "groups").mkdir()
    return {"proc": tmp_path / "proc", "groups": tmp_path / "groups"}


def free() -> int:
    return psutil.virtual_memory().available


def test_without_limits_it_is_the_machine(system):
    before, found, after = free(), available_memory(**system), free()  # other processes take and give meanwhile
    assert 0.8 * min(before, after) <= found <= 1.2 * max(before, after)
    assert available_memory(proc=system["proc"] / "none", groups=system["groups"] / "none") > 0


def test_the_second_kind_of_groups_and_those_above(system):
    own = system["groups"] / "job" / "step"
    written(system["proc"] / "self", cgroup="0::/job/step\n")
    written(own, memory__max="max\n", memory__current="500\n", memory__stat="anon 300\ninactive_file 150\n")
    assert available_memory(**system) > 10**6
    written(own.parent, memory__max="2000\n", memory__current="900\n", memory__stat="active_file 100\n")
    assert available_memory(**system) == 2000 - 900 + 100
    written(own, memory__max="700\n")
    assert available_memory(**system) == 700 - 500 + 150
    written(own, memory__current="5000\n")
    assert available_memory(**system) == 0


def test_the_first_kind_of_groups_and_a_container_that_sees_the_hosts_path(system):
    written(system["proc"] / "self", cgroup="7:cpu,cpuacct:/x\n4:memory:/docker/abc\n")
    root = system["groups"] / "memory"
    written(root, memory__limit_in_bytes="9223372036854771712\n", memory__usage_in_bytes="5\n")
    assert available_memory(**system) > 10**6
    written(
        root, memory__limit_in_bytes="4000\n", memory__usage_in_bytes="1500\n", memory__stat="total_active_file 1\n"
    )
    assert available_memory(**system) == 4000 - 1500 + 1


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_shell_is_met(limit):
    code = f"""
import resource
resource.setrlimit(resource.{limit}, (6 << 30, 6 << 30))
from ctrsel.core.memory import available_memory
import psutil, numpy
free = lambda: psutil.virtual_memory().available
print(free(), available_memory(), free())
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    before, left, after = map(int, done.stdout.split())  # other processes take and give meanwhile
    assert 1 << 30 < left < 6 << 30 or 0.9 * min(before, after) <= left <= 1.1 * max(before, after)


def test_anonymous_memory_grows_by_what_is_filled(system):
    assert anonymous_memory(**{"proc": system["proc"]}) == 7 * 1024
    assert anonymous_memory(proc=system["proc"] / "none") == 0
    before = anonymous_memory()
    kept = np.ones(64 << 17)
    assert anonymous_memory() - before == pytest.approx(kept.nbytes, rel=0.1)
