"""Process: a job in a process of its own, which is listened to and can be ended at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ctrsel.core.children import import_path
from ctrsel.tune.job import Job

__all__ = ["Running"]

_TAIL = 2000  # characters of a dead process's own words that are looked at


class Running:
    """One job at work.

    Args:
        job: What to do.
        log: Where the process's own words go.
    """

    def __init__(self, job: Job, *, log: Path) -> None:
        self.job, self.log = job, log
        self.began = time.monotonic()
        self.fd, theirs = os.pipe()
        os.set_blocking(self.fd, False)
        self._rest = b""
        self._closed = False
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("wb") as words:
                # A fresh interpreter: one that is forked after LightGBM or OpenMP ran hangs. A group of its own, so that
                # Ctrl-C reaches the command only, and that whatever a learner starts is ended with it.
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "ctrsel.tune.child", str(theirs), str(os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=words,
                    stderr=words,
                    pass_fds=[theirs],
                    env={**os.environ, "PYTHONPATH": import_path()},
                    start_new_session=True,
                )
        except BaseException:
            os.close(self.fd)
            raise
        finally:
            os.close(theirs)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(json.dumps(job.to_dict()).encode())

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self.began

    @property
    def resident(self) -> int:
        """Bytes that it holds now beside mapped files, 0 if it is gone."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("RssAnon:")), 0)

    def messages(self) -> list[dict[str, Any]]:
        """Return what it told since it was last asked; a process that died says so itself, as the last message."""
        while not self._closed:
            try:
                piece = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                break
            if not piece:
                self._closed = True
            self._rest += piece
        *lines, self._rest = self._rest.split(b"\n")
        found: list[dict[str, Any]] = [json.loads(line) for line in lines]
        if self._closed and not any("done" in m or "error" in m for m in found):
            found.append({"error": self._death()})
        return found

    def end(self) -> None:
        """End it now, with whatever it started, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _death(self) -> str:
        code = self._process.wait()
        words = self.log.read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip().splitlines()
        how = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
        if code == -signal.SIGKILL:
            how += ", perhaps for want of memory"
        return f"its process {how}" + (f": {words[-1]}" if words else "")
