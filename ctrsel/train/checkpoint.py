"""Checkpoint: where a fit stood, written every few minutes so that one that was killed goes on to the same weights."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrsel.core.artifact import MANIFEST, atomic_folder, read_manifest
from ctrsel.core.errors import CtrselError
from ctrsel.core.log import event, logger
from ctrsel.train.tensor_files import load_tensors, save_tensors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint", "Saved"]

_FORMAT = "ctrsel.checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What was saved.

    Attributes:
        facts: Plain values.
        tensors: By "part/name".
    """

    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @staticmethod
    def of(facts: Mapping[str, Any], parts: Mapping[str, Mapping[str, Tensor]]) -> Saved:
        """Put parts behind each other."""
        return Saved(facts=facts, tensors={f"{p}/{k}": t for p, named in parts.items() for k, t in named.items()})

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """Return the tensors by part; a part without any is not there."""
        found: dict[str, dict[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            part, _, key = name.partition("/")
            found.setdefault(part, {})[key] = tensor
        return found

    def with_more(self, facts: Mapping[str, Any], parts: Mapping[str, Mapping[str, Tensor]]) -> Saved:
        """Return both."""
        more = Saved.of(facts, parts)
        return Saved(facts={**self.facts, **more.facts}, tensors={**self.tensors, **more.tensors})


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    """The newest state of one fit in one folder.

    Attributes:
        folder: Where it lies; it appears whole or not at all.
        key: Digest of all that the fit's outcome depends on: the state of another fit is not gone on from.
        minutes: From one saving to the next.
    """

    folder: Path
    key: str
    minutes: float
    _last: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._last >= 60 * self.minutes

    def save(self, saved: Saved) -> None:
        """Write the state in place of the one before."""
        began = time.perf_counter()
        manifest = {"format": _FORMAT, "version": 1, "key": self.key, "facts": dict(saved.facts)}
        with atomic_folder(self.folder, manifest=manifest) as folder:
            save_tensors(saved.tensors, folder)
        self._last = time.monotonic()
        event("checkpoint", seconds=time.perf_counter() - began)

    def load(self) -> Saved | None:
        """Return the state that was saved by a fit of the same key, None without one.

        A state of another fit is removed; so is one that cannot be read, with a warning.
        """
        if not (self.folder / MANIFEST).is_file():
            return None
        try:
            manifest = read_manifest(self.folder, format=_FORMAT, version=1)
            if manifest["key"] == self.key:
                return Saved(facts=manifest["facts"], tensors=load_tensors(self.folder))
        except (CtrselError, OSError, ValueError, KeyError) as error:
            reason = f"{type(error).__name__}: {error}"
            logger().warning("a checkpoint cannot be read; the fit starts again", extra={"facts": {"reason": reason}})
        shutil.rmtree(self.folder)
        return None
