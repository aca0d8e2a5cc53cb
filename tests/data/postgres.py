"""A PostgreSQL server of the tests' own, in a temporary folder, run by somebody who is not root."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

PASSWORD = "sesame-7f3a/9"


def binaries() -> Path | None:
    """Return the folder of the server's programs, None if it is not installed."""
    found = [p.parent for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    found += [Path(p).parent for p in (shutil.which("initdb"),) if p]
    return next((p for p in reversed(found) if (p / "pg_ctl").exists() and (p / "postgres").exists()), None)


def unprivileged() -> str | None:
    """Return the user to run it as: the one we are, or `postgres` or `nobody` for root, which it refuses."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {p.pw_name for p in pwd.getpwall()}
    return next((n for n in ("postgres", "nobody") if n in names), None)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start a cluster with a password and yield its URI without one: `postgresql://{}@127.0.0.1:port/postgres`."""
    programs, user = binaries(), unprivileged()
    assert programs is not None
    assert user is not None
    folder = Path(tempfile.mkdtemp(prefix="ctrsel-pg-"))
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if os.geteuid() == 0:
        shutil.chown(folder, user)
        shutil.chown(secret, user)
    as_user = {"user": user} if os.geteuid() == 0 else {}

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder, timeout=120, **as_user
        )

    data = str(folder / "data")
    run(
        *(str(programs / "initdb"), "-D", data, "-U", "ctr", "--pwfile", str(secret), "--no-sync"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
    )
    options = f"-k {folder} -h 127.0.0.1 -p {port} -c fsync=off -c shared_buffers=16MB"
    run(str(programs / "pg_ctl"), "-D", data, "-w", "-t", "60", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://ctr:{{}}@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
