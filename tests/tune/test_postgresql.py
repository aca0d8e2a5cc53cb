"""A study in PostgreSQL, for commands on several machines; a server of its own is started where PostgreSQL is there."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctrsel.tune.space import Space
from ctrsel.tune.study import Study

SPACE = Space(learners={"trees": {"use": "boosted"}})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="the extra 'postgresql' is not installed")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    programs = folders[-1] if folders else Path(shutil.which("initdb") or "/nowhere/initdb").parent
    if not (programs / "initdb").exists():
        pytest.skip("PostgreSQL is not installed")
    user = None
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")

    def run(*argv: str) -> None:
        subprocess.run(argv, check=True, capture_output=True, user=None if user is None else user.pw_uid, cwd="/")

    with tempfile.TemporaryDirectory(prefix="pg-") as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        folder = Path(name)
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir()
        if user is not None:
            os.chown(data, user.pw_uid, user.pw_gid)
        run(str(programs / "initdb"), "-D", str(data), "-U", "tuner", "--auth=trust")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data}"
        run(
            str(programs / "pg_ctl"),
            "-D",
            str(data),
            "-w",
            "-t",
            "300",
            "-o",
            options,
            "-l",
            str(data / "log"),
            "start",
        )
        try:
            yield f"postgresql+psycopg://tuner@127.0.0.1:{port}/postgres"
        finally:
            run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


@pytest.mark.slow
def test_two_commands_on_one_study(server, tmp_path):
    a, b = (Study("config/study", journal=tmp_path / name, storage=server) for name in ("a", "b"))
    a.begin(SPACE)
    b.begin(SPACE)
    first, second = a.ask(SPACE), b.ask(SPACE)
    assert {first.number, second.number} == {0, 1}
    assert first.spec != second.spec
    assert not a.report(first.number, 1, 0.7)
    a.breathe()
    a.finish(first.number, "done", score=0.8, valid={"auc": 0.8, "log_loss": 0.4}, seconds=1.5)
    b.finish(second.number, "failed", reason="the loss is no number")
    b.set_again(0, 2, 0.79)
    lines = {t.number: t for t in b.trials(command=str, seeds=(2,))}
    assert (lines[0].score, lines[0].again, lines[0].steps) == (0.8, (0.79,), 1)
    assert lines[1].reason == "the loss is no number"
    assert not (tmp_path / "a").exists()
    a.close()
    b.close()
