"""Holder: the model that answers now, and how another one takes its place without a request being lost.

A new model is loaded and tried beside the old one, in a thread of its own; then one reference changes. A request keeps the
model that it began with. What cannot be loaded changes nothing: the old model goes on, and the reason is told.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ctrsel.core.artifact import MANIFEST
from ctrsel.core.errors import DataError
from ctrsel.core.log import event, logger
from ctrsel.data.example import example_rows
from ctrsel.models.model import Model
from ctrsel.serve.serving_model import ServingModel

__all__ = ["FolderSource", "Holder", "Loaded", "Source"]


class Source(Protocol):
    """Where a model comes from, and how one sees that another one stands there."""

    @property
    def name(self) -> str:
        """For people, without passwords."""
        ...

    def stamp(self) -> str:
        """Return a text that changes when the model does; cheap."""
        ...

    def load(self) -> Model:
        """Load the model that stands there now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """A saved model's folder, or a run's; a link is followed anew each time."""

    path: Path

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    def stamp(self) -> str:
        """Return what the manifest's file is; a saved folder takes another one's place with a new one."""
        for file in (self.path / MANIFEST, self.path / "model" / MANIFEST):
            if file.is_file():
                at = file.stat()
                return f"{at.st_dev}-{at.st_ino}-{at.st_mtime_ns}-{at.st_size}"
        raise DataError(f"{self.path}: holds no saved model")

    def load(self) -> Model:
        """Load it; the digest tells a folder that changes meanwhile."""
        return Model.load(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that answers.

    Attributes:
        serving: The model.
        digest: Of the model.
        stamp: What its source said.
        since: When it began to answer, seconds since 1970.
        number: How many came before it.
    """

    serving: ServingModel
    digest: str
    stamp: str
    since: float
    number: int


class Holder:
    """The model that answers now.

    Args:
        source: Where it comes from.

    Attributes:
        now: The model; read once a request.
        trouble: Why the source could not be read when it was last looked at; empty if it could.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.trouble = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.now = self._load(source.stamp(), number=0)

    def check(self) -> bool:
        """Look at the source; take a new model if there is one, and say whether that was so."""
        try:
            stamp = self.source.stamp()
            if stamp == self.now.stamp:
                self._fine()
                return False
            made = self._load(stamp, number=self.now.number + 1)
        except Exception as error:  # whatever it is, the old model goes on answering
            said = (str(error).strip() or type(error).__name__).splitlines()[0][:500]
            if said != self.trouble:
                logger().warning("reload failed", extra={"facts": {"model": self.source.name, "reason": said}})
            self.trouble = said
            return False
        before, self.now = self.now, made
        self._fine()
        event("reload", model=self.source.name, digest=made.digest, before=before.digest, stamp=stamp)
        return True

    def watch(self, seconds: float) -> None:
        """Look at the source again and again, in a thread, until `close`."""

        def run() -> None:
            while not self._stop.wait(seconds):
                self.check()

        self._thread = threading.Thread(target=run, name="ctrsel-reload", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _fine(self) -> None:
        if self.trouble:
            event("reload is possible again", model=self.source.name)
        self.trouble = ""

    def _load(self, stamp: str, *, number: int) -> Loaded:
        model = self.source.load()
        serving = ServingModel(model=model)
        # The first rows are slow: dictionaries and queries are made; and a model that cannot score must not answer.
        for rows in (1, 50):
            serving.score(example_rows(model.encoder, rows, seed=1))
        return Loaded(serving=serving, digest=model.digest, stamp=stamp, since=time.time(), number=number)
