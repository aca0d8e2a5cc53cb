"""Searching: run a selector once for several sizes, measure its time and memory, and keep what it found.

The time is the wall-clock time of the search and of the rankings that it asks for. The memory is the most that the process
held while it searched less what it held at the start, so libraries and the mapped table do not count. A process of its own
makes both clean, and can be ended when the time is over; a search in this process is measured in the same way, but memory
that was freed before may be used again without showing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import MANIFEST, atomic_folder, atomic_text, digest_json, read_manifest, to_json
from ctrsel.core.children import import_path
from ctrsel.core.claims import TakenError, claimed
from ctrsel.core.errors import CtrselError
from ctrsel.core.log import event
from ctrsel.data.table import Table
from ctrsel.rank import CATALOG as RANKERS
from ctrsel.rank import rank
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.select import CATALOG as SELECTORS
from ctrsel.select import Problem, Size
from ctrsel.train import CATALOG as LEARNERS

__all__ = ["Search", "Searched", "Searches", "measured"]

_SAMPLE = 0.01  # seconds between two looks at the memory
_BROKEN = ".broken"  # ending of the file that says why a search broke down


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched with; as plain values, so that it can be told to another process.

    Attributes:
        selector: `{use: ..., parameters}`.
        learner: What the selector trains, likewise.
        sizes: All that will be asked for.
        seed: Of the search.
        always_keep: Fields of which every value is kept.
        groups: Fields that are kept or dropped together.
    """

    selector: Mapping[str, Any]
    learner: Mapping[str, Any]
    sizes: tuple[Size, ...]
    seed: int
    always_keep: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "selector": dict(self.selector),
            "learner": dict(self.learner),
            "sizes": [[s.number, s.of] for s in self.sizes],
            "seed": self.seed,
            "always_keep": list(self.always_keep),
            "groups": [list(g) for g in self.groups],
        }

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Search:
        """Read what `to_dict` returned."""
        return Search(
            selector=given["selector"],
            learner=given["learner"],
            sizes=tuple(Size(number=n, of=of) for n, of in given["sizes"]),
            seed=given["seed"],
            always_keep=tuple(given["always_keep"]),
            groups=tuple(tuple(g) for g in given["groups"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What came of a search.

    Attributes:
        sets: By size what is kept.
        refusals: By size why nothing could be kept.
        refused: Why there was no search at all, in a sentence; None if there was.
        seconds: Wall-clock time, that of rankings included.
        peak: Bytes beyond those at the start; None where the system does not tell.
    """

    sets: Mapping[Size, FeatureSet] = field(default_factory=dict)
    refusals: Mapping[Size, str] = field(default_factory=dict)
    refused: str | None = None
    seconds: float = 0.0
    peak: int | None = None

    def save(self, path: Path) -> None:
        """Save as a folder with a feature set per size."""
        manifest = {
            "format": "ctrsel.searched",
            "version": 1,
            "sets": [[s.number, s.of] for s in self.sets],
            "refusals": [[s.number, s.of, why] for s, why in self.refusals.items()],
            "refused": self.refused,
            "seconds": self.seconds,
            "peak": self.peak,
        }
        with atomic_folder(path, manifest=manifest) as folder:
            for i, features in enumerate(self.sets.values()):
                features.save(folder / f"set_{i}")

    @staticmethod
    def load(path: Path) -> Searched:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.searched", version=1)
        sizes = [Size(number=n, of=of) for n, of in m["sets"]]
        return Searched(
            sets={s: FeatureSet.load(Path(path) / f"set_{i}") for i, s in enumerate(sizes)},
            refusals={Size(number=n, of=of): why for n, of, why in m["refusals"]},
            refused=m["refused"],
            seconds=m["seconds"],
            peak=m["peak"],
        )


class _Rankings(Mapping[str, Ranking]):
    """Rankings of a table by any ranker's name, each made when it is asked for."""

    def __init__(self, table: Table, seed: int) -> None:
        self._table, self._seed = table, seed
        self._made: dict[str, Ranking] = {}

    def __getitem__(self, name: str) -> Ranking:
        if name not in RANKERS.names():
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = rank(self._table, (RANKERS.create(name),), seed=self._seed)[0]
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(RANKERS.names())

    def __len__(self) -> int:
        return len(RANKERS.names())


def measured(table: Table, search: Search, *, work: Path | None = None) -> Searched:
    """Search in this process.

    Args:
        table: Without its test split.
        search: With what.
        work: A folder from which a fit that was killed goes on.

    Returns:
        What came of it; a selector that refuses the table or the sizes is told of in `refused`.
    """
    try:
        selector = SELECTORS.create(search.selector, place="select")
        learner = LEARNERS.create(search.learner, place="learner")
        selector.check(search.sizes[0])
        problem = Problem(
            table=table,
            learner=learner,
            rankings=_Rankings(table, search.seed),
            always_keep=search.always_keep,
            groups=search.groups,
            work=work,
        )
        began = time.perf_counter()
        with _watched() as peak:
            found = selector.search(problem, sizes=search.sizes, seed=search.seed)
        seconds = time.perf_counter() - began
    except CtrselError as error:
        return Searched(refused=str(error))
    sets, refusals = {}, {}
    for size in search.sizes:
        try:
            # What a method thought of each value is large, and takes no part in a comparison.
            sets[size] = replace(found.at(size), scores=None, field_scores=None)
        except CtrselError as error:
            refusals[size] = str(error)
    return Searched(sets=sets, refusals=refusals, seconds=seconds, peak=peak[0] if peak else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searches:
    """Searches of one table that are kept in a folder; what is in it is not searched again.

    Attributes:
        folder: Where.
        apart: Whether each search has a process of its own.
    """

    folder: Path
    apart: bool = True

    def place(self, table: Table, search: Search) -> Path:
        """Return where a search is kept."""
        return self.folder / digest_json([table.digest, search.to_dict()])

    def find(self, table: Table, search: Search) -> Searched | None:
        """Return a search that is known."""
        place = self.place(table, search)
        if (place / MANIFEST).is_file():
            return Searched.load(place)
        broken = place.with_name(f"{place.name}{_BROKEN}")
        return Searched(refused=broken.read_text(encoding="utf-8")) if broken.is_file() else None

    def tidy(self) -> None:
        """Remove what killed processes left half-written, and let searches that broke down begin anew; nobody searches now."""
        for file in self.folder.glob(f"*{_BROKEN}"):
            file.unlink()
        for partial in self.folder.glob(".*.partial-*"):
            shutil.rmtree(partial, ignore_errors=True)

    def get(self, table: Table, search: Search, *, seconds: float | None = None, wait: bool = True) -> Searched | None:
        """Return a known search, or search and keep it.

        Args:
            table: Without its test split.
            search: With what.
            seconds: How long it may take, which a process of its own keeps to; None = as long as it takes.
            wait: Whether to wait where another process searches the same.

        Returns:
            None where the time was over; the next call goes on where a net's training was. A search that broke down is told
            of, and begins anew after `tidy`.

        Raises:
            TakenError: If another process searches the same and is not to be waited for.
        """
        known = self.find(table, search)
        if known is not None:
            return known
        if seconds is not None and seconds <= 0:
            return None
        until = None if seconds is None else time.monotonic() + seconds
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self.folder / f"{self.place(table, search).name}.claim"
        with claimed(lock, seconds=seconds if wait else 0.0) as mine:
            if not mine and not wait:
                raise TakenError(lock.name)
            known, left = self.find(table, search), None if until is None else until - time.monotonic()
            if known is not None or not mine or (left is not None and left <= 0):
                return known
            return self._begin(table, search, seconds=left)

    def _begin(self, table: Table, search: Search, *, seconds: float | None) -> Searched | None:
        place = self.place(table, search)
        work = place.with_name(f"{place.name}.working")
        work.mkdir(parents=True, exist_ok=True)
        event("search", selector=search.selector["use"], seed=search.seed)
        if self.apart:
            found = self._apart(table, search, place=place, work=work, seconds=seconds)
        else:
            found = measured(table, search, work=work)
            found.save(place)
        if found is not None:
            shutil.rmtree(work, ignore_errors=True)
        return found

    def saved(self, table: Table) -> Path:
        """Return the folder from which another process can map the table; it is written once."""
        rows = self.folder / f"table-{table.digest}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with claimed(rows.with_name(f"{rows.name}.claim"), seconds=None):
            if not (rows / MANIFEST).is_file():
                table.save(rows)
        return rows

    def _apart(
        self, table: Table, search: Search, *, place: Path, work: Path, seconds: float | None
    ) -> Searched | None:
        rows = self.saved(table)
        job = work / "job.json"
        atomic_text(job, to_json({"table": str(rows), "out": str(place), "work": str(work), **search.to_dict()}))
        words = work / "words.txt"
        with words.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "ctrsel.api.search_child", str(job), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, "PYTHONPATH": import_path()},
            )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code == 0:
            return Searched.load(place)
        lines = words.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        refused = f"the search ended with code {code}: {lines[-1] if lines else 'it said nothing'}"
        atomic_text(place.with_name(f"{place.name}{_BROKEN}"), refused)
        return Searched(refused=refused)


@contextlib.contextmanager
def _watched() -> Iterator[list[int]]:
    """Yield a list that holds, at the end, the most bytes that this process held beyond those at the start."""
    import psutil

    process, found = psutil.Process(), list[int]()
    start, before = int(process.memory_info().rss), _high_water()
    most, done = [start], threading.Event()

    def look() -> None:
        while not done.wait(_SAMPLE):
            most.append(max(most.pop(), int(process.memory_info().rss)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        after = _high_water()
        # The system knows the very peak, but of the process's whole life: it counts if it has risen.
        known = after if before is not None and after is not None and after > before else 0
        found.append(max(most[0], known, start) - start)


def _high_water() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
