"""A PostgreSQL server of Debian's packages, in a folder of its own, that can be stopped and started again."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PostgreSQL", "missing"]


def missing() -> str | None:
    """Return why no server can be started here; None if one can."""
    if not (_programs() / "initdb").exists():
        return "PostgreSQL is not installed"
    if os.getuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgreSQL:
    """A server that runs or not.

    Attributes:
        data: Its folder.
        port: Where it listens, at 127.0.0.1.
    """

    data: Path
    port: int

    @property
    def uri(self) -> str:
        """Address for SQLAlchemy, by psycopg."""
        return f"postgresql+psycopg://tuner@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data}"
        self._control("-w", "-t", "120", "-o", options, "-l", str(self.data / "log"), "start")

    def stop(self) -> None:
        """Stop it as a power cut would."""
        self._control("-m", "immediate", "stop")

    def _control(self, *argv: str) -> None:
        _run(str(_programs() / "pg_ctl"), "-D", str(self.data), *argv)

    @staticmethod
    @contextlib.contextmanager
    def running() -> Iterator[PostgreSQL]:
        """Make a server and start it; all of it is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="pg-") as name:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            folder = Path(name)
            folder.chmod(0o755)
            data = folder / "data"
            data.mkdir()
            user = _user()
            if os.getuid() == 0 and user is not None:
                os.chown(data, user.pw_uid, user.pw_gid)
            _run(str(_programs() / "initdb"), "-D", str(data), "-U", "tuner", "--auth=trust")
            server = PostgreSQL(data=data, port=port)
            server.start()
            try:
                yield server
            finally:
                with contextlib.suppress(subprocess.CalledProcessError):  # it may be stopped already
                    server.stop()


def _programs() -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else Path(shutil.which("initdb") or "/nowhere/initdb").parent


def _user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


def _run(*argv: str) -> None:
    user = _user() if os.getuid() == 0 else None  # the server refuses to run as root
    subprocess.run(argv, check=True, capture_output=True, user=None if user is None else user.pw_uid, cwd="/")
