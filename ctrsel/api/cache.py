"""The stage cache: a stage whose version, parameters, inputs and seed have not changed is not run again.

Only the run knows it; stages are plain functions. A stage's result is a folder that appears whole or not at all, so
after a kill the same command goes on from the last finished stage.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ctrsel.core.artifact import MANIFEST, digest_json
from ctrsel.core.claims import claimed
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event, logger

__all__ = ["StageCache", "exclusive"]

T = TypeVar("T")


@dataclass(kw_only=True)
class StageCache:
    """Results of stages in one folder.

    Attributes:
        folder: Where they lie, as `<stage>-<key>`.
        version: Of the program; a new version runs everything again.
        stages: What was run or reused so far: name, seconds, reused.
    """

    folder: Path
    version: str
    stages: list[dict[str, Any]] = field(default_factory=list)

    def get(
        self,
        name: str,
        *,
        version: int,
        inputs: Mapping[str, Any],
        compute: Callable[[], T],
        save: Callable[[T, Path], None],
        load: Callable[[Path], T],
        fresh: bool = False,
    ) -> T:
        """Return a stage's result: loaded if it is there for exactly these inputs, else computed and saved.

        The result is loaded again after it was saved, so that a fresh run and a resumed one go on with the same thing.

        Args:
            name: The stage and its item ("train/net").
            version: Of the stage's code; raise it when its result changes.
            inputs: All that the result depends on, as plain values.
            compute: Makes the result.
            save: Writes it to a path, whole or not at all.
            load: Reads what `save` wrote.
            fresh: Compute it in any case, since `inputs` cannot say whether what it depends on has changed.
        """
        started = time.perf_counter()
        key = digest_json([name, version, self.version, dict(inputs)])
        path = self.folder / f"{name.replace('/', '.')}-{key}"
        reused = (path / MANIFEST).is_file() and not fresh
        if reused:
            try:
                result = load(path)
            except (
                Exception
            ) as error:  # each library has its own for a damaged file; whatever it is, the work is done again
                logger().warning(
                    "a saved stage cannot be read and is made again",
                    extra={"facts": {"stage": name, "reason": f"{type(error).__name__}: {error}"}},
                )
                shutil.rmtree(path)
                reused = False
        if not reused:
            event(f"{name} ...")
            save(compute(), path)
            result = load(path)
        seconds = time.perf_counter() - started
        self.stages.append({"name": name, "seconds": round(seconds, 3), "reused": reused})
        event(name, result="reused, nothing it depends on has changed" if reused else "done", seconds=round(seconds, 2))
        return result

    @contextlib.contextmanager
    def working(self, name: str) -> Iterator[Path]:
        """Give a stage a folder for what it would go on from after a kill; it is removed when the stage is done.

        What lies there must say itself what it is of: the folder is the same for all inputs of a stage.
        """
        folder = self.folder / f".{name.replace('/', '.')}.working"
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed run left half-written."""
        _sweep(self.folder)


@contextlib.contextmanager
def exclusive(folder: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold a run's folder alone, without what a killed run left half-written there.

    The lock ends with the process, however it ends.

    Args:
        folder: The run's.
        wait: Seconds for which another process may still hold it.

    Raises:
        ConfigError: If another process holds it, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mine = stack.enter_context(claimed(folder / ".lock", seconds=wait))
        except OSError as error:
            raise ConfigError(f"out: the folder {folder} cannot be written: {error.strerror}") from error
        if not mine:
            raise ConfigError(f"out: another run is at work in {folder}; wait for it, or choose another folder")
        _sweep(folder)
        yield


def _sweep(folder: Path) -> None:
    for stale in (*folder.glob(".*.partial-*"), *folder.glob(".*.old-*")):
        if stale.is_dir():
            shutil.rmtree(stale, ignore_errors=True)
        else:
            stale.unlink(missing_ok=True)
