"""The stage cache: what makes a stage run again, damaged results, kills and the lock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ctrsel.api.cache import StageCache, exclusive
from ctrsel.core.artifact import MANIFEST, atomic_folder, read_manifest
from ctrsel.core.errors import ConfigError


def save(value: int, path: Path) -> None:
    with atomic_folder(path, manifest={"format": "number", "version": 1, "value": value}):
        pass


def load(path: Path) -> int:
    return int(read_manifest(path, format="number", version=1)["value"])


class Counted:
    """A stage that knows how often it was computed."""

    def __init__(self, folder: Path) -> None:
        self.cache = StageCache(folder=folder, version="1")
        self.calls = 0

    def get(self, *, name="stage", version=1, program="1", **inputs) -> int:
        self.cache.version = program

        def compute() -> int:
            self.calls += 1
            return self.calls

        return self.cache.get(name, version=version, inputs=inputs, compute=compute, save=save, load=load)


def test_the_same_inputs_are_not_computed_again(tmp_path):
    stage = Counted(tmp_path)
    assert [stage.get(a=1), stage.get(a=1), Counted(tmp_path).get(a=1)] == [1, 1, 1]
    assert stage.calls == 1
    assert [(s["name"], s["reused"]) for s in stage.cache.stages] == [("stage", False), ("stage", True)]


@pytest.mark.parametrize(
    "change", [{"a": 2}, {"b": 1}, {"name": "stage/x"}, {"version": 2}, {"program": "2"}], ids=lambda c: next(iter(c))
)
def test_each_part_of_the_key_counts(tmp_path, change):
    stage = Counted(tmp_path)
    assert stage.get(**{"a": 1}) == 1
    assert stage.get(**{"a": 1, **change}) == 2
    assert stage.get(**{"a": 1}) == 1, "the earlier result is still there"


def test_the_order_of_inputs_does_not_count(tmp_path):
    stage = Counted(tmp_path)
    assert stage.get(a=1, b=2) == stage.get(b=2, a=1) == 1


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"format": "number"}', '{"format": "other", "version": 1}', '{"format": "number", "version": 1}'],
)
def test_a_result_that_cannot_be_read_is_made_again(tmp_path, content):
    stage = Counted(tmp_path)
    stage.get(a=1)
    (folder,) = tmp_path.iterdir()
    (folder / MANIFEST).write_text(content)
    assert stage.get(a=1) == 2
    assert stage.get(a=1) == 2
    assert [s["reused"] for s in stage.cache.stages] == [False, False, True]


def test_a_damaged_ranking_is_made_again(tmp_path):
    # Its parquet file raises an error of polars, not one of ours.
    from ctrsel.api.functions import rank_fields
    from ctrsel.records.ranking import Ranking
    from ctrsel.testing.tables import tiny_table

    ranking = rank_fields(tiny_table())
    calls = []

    def compute() -> Ranking:
        calls.append(1)
        return ranking

    def get() -> Ranking:
        cache = StageCache(folder=tmp_path, version="1")
        return cache.get("rank", version=1, inputs={}, compute=compute, save=Ranking.save, load=Ranking.load)

    get()
    (file,) = tmp_path.rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:40])
    assert get().digest == ranking.digest
    assert len(calls) == 2


def test_a_stage_that_fails_leaves_nothing(tmp_path):
    cache = StageCache(folder=tmp_path, version="1")

    def fail(value: int, path: Path) -> None:
        with atomic_folder(path, manifest={"format": "number", "version": 1}) as folder:
            (folder / "part").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("stage", version=1, inputs={}, compute=lambda: 1, save=fail, load=load)
    assert list(tmp_path.iterdir()) == []
    assert cache.stages == []


KILLED = r"""
    import os, signal, sys
    from pathlib import Path
    from ctrsel.api.cache import StageCache, exclusive
    from ctrsel.core.artifact import atomic_folder, read_manifest

    out, kill = Path(sys.argv[1]), sys.argv[2] == "kill"
    log = open(out.parent / "log", "a", buffering=1)

    def save(value, path):
        with atomic_folder(path, manifest={"format": "number", "version": 1, "value": value}) as folder:
            (folder / "large").write_bytes(b"x" * 4096)
            if kill and value == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    def load(path):
        return read_manifest(path, format="number", version=1)["value"]

    def stage(value):
        def compute():
            log.write(f"{value}\n")
            return value
        return cache.get(f"stage/{value}", version=1, inputs={}, compute=compute, save=save, load=load)

    with exclusive(out):
        cache = StageCache(folder=out / "stages", version="1")
        cache.sweep()
        assert [stage(1), stage(2), stage(3)] == [1, 2, 3]
"""


def test_after_a_kill_the_same_command_goes_on(tmp_path):
    script, out = tmp_path / "command.py", tmp_path / "out"
    script.write_text(textwrap.dedent(KILLED))

    def command(*how: str) -> int:
        return subprocess.run([sys.executable, str(script), str(out), *how], check=False).returncode

    assert command("kill") == -signal.SIGKILL
    finished = [p.name for p in (out / "stages").iterdir() if not p.name.startswith(".")]
    assert len(finished) == 1
    assert finished[0].startswith("stage.1-")
    assert [p.name for p in (out / "stages").iterdir() if p.name.startswith(".stage.2")], "the half stage lies beside"
    assert command("on") == 0
    assert (tmp_path / "log").read_text().split() == ["1", "2", "2", "3"]
    assert sorted(p.name.split("-")[0] for p in (out / "stages").iterdir()) == ["stage.1", "stage.2", "stage.3"]


def test_half_written_files_beside_the_stages_are_swept_too(tmp_path):
    (tmp_path / ".report.html.partial-0a").write_text("half")
    (tmp_path / ".model.partial-1-0a").mkdir()
    (tmp_path / ".model.old-0a").mkdir()
    (tmp_path / "report.html").write_text("whole")
    (tmp_path / ".other").mkdir()
    with exclusive(tmp_path):
        assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", ".other", "report.html"]


HOLDER = """
    import sys, time
    from pathlib import Path
    from ctrsel.api.cache import exclusive

    with exclusive(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(600)
"""


def test_the_lock_excludes_a_second_process_and_ends_with_the_first(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match="another run is at work in"), exclusive(tmp_path):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait(120)
        with exclusive(tmp_path):
            pass
    finally:
        process.kill()
        process.wait(120)
        process.stdout.close()


def test_the_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), exclusive(tmp_path):
        raise RuntimeError("inside")
    with exclusive(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_a_config_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match=r"out: the folder .*file cannot be written: File exists"),
        exclusive(tmp_path / "file"),
    ):
        pass


def test_seconds_are_told(tmp_path):
    cache = StageCache(folder=tmp_path, version="1")

    def slow() -> int:
        time.sleep(0.02)
        return 1

    cache.get("stage", version=1, inputs={}, compute=slow, save=save, load=load)
    assert cache.stages[0]["seconds"] >= 0.02
    assert json.loads(json.dumps(cache.stages)) == cache.stages
