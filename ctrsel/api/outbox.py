"""The outbox: finished runs that an unreachable or refusing registry did not take, each delivered once, oldest first.

An entry is a folder that appears whole or not at all and holds what a registration needs: the run, its model, its evidence
and the raw rows of its test window, so that it can be compared with the champion of the day of its delivery although the
source has moved on. An entry goes only after its version is decided, and a version is found by the run's digest before one
is made: a process that is killed anywhere in between leaves no second version (a transactional outbox with an idempotent
receiver; Hohpe and Woolf, "Enterprise integration patterns", 2003).
"""

from __future__ import annotations

import datetime
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.api.cache import StageCache, exclusive
from ctrsel.api.registering import PAGE, register_reviewed, review_of, time_span
from ctrsel.api.window import Window, test_window
from ctrsel.core.artifact import MANIFEST, atomic_folder, read_array, read_manifest
from ctrsel.core.building import build
from ctrsel.core.config import RunConfig
from ctrsel.core.durations import seconds
from ctrsel.core.errors import CtrselError, DataError, UnreachableError
from ctrsel.core.log import event, logger
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.evidence import Evidence
from ctrsel.records.review import Review
from ctrsel.records.run import Registration, Run
from ctrsel.register import find_registration
from ctrsel.register.reaching import patiently
from ctrsel.report.page import write_report

__all__ = ["Delivered", "deliver", "keep", "waiting"]

_FORMAT, _VERSION = "ctrsel.outbox", 2
_ARRAYS = ("labels", "weight", "group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of the entries.

    Attributes:
        registrations: Of those that are registered now, oldest run first.
        failed: Entries that stay for another reason than that nothing can be reached, and the reason.
    """

    registrations: tuple[Registration, ...]
    failed: tuple[tuple[Path, CtrselError], ...] = ()


def waiting(out: Path) -> tuple[Path, ...]:
    """Return the entries of a run's folder, oldest run first."""
    found = [p for p in _outbox(out).glob("*") if not p.name.startswith(".") and (p / MANIFEST).is_file()]
    return tuple(sorted(found, key=lambda p: (_created(p), p.name)))


def deliver(config: RunConfig | None, *, out: str | Path) -> tuple[Registration, ...]:
    """Register what waits in a run's folder, oldest first, each exactly once.

    Each is compared with the champion of now on its own test rows. One that is older than the champion's run is
    registered and refused.

    Args:
        config: Names the registry and the patience; None for what each run's own config says.
        out: The run's folder.

    Raises:
        UnreachableError: If the registry cannot be reached; what was not delivered is kept.
        ConfigError: If another process is at work in the folder, or the registry refused an entry, which stays; the others
            are delivered before.
        CtrselError: Likewise, if an entry cannot be registered for another reason.
    """
    folder = Path(out)
    if not waiting(folder):
        return ()
    with exclusive(folder):
        done = _deliver(config, out=folder)
    for place, error in done.failed[:1]:
        raise type(error)(f"{place}: stays in the outbox, since {error}") from error
    return done.registrations


def _deliver(config: RunConfig | None, *, out: Path) -> Delivered:
    """Do as `deliver`, for callers that hold the folder's lock; what cannot be registered is logged and told."""
    StageCache(folder=_outbox(out), version="").sweep()
    made: list[Registration] = []
    failed: list[tuple[Path, CtrselError]] = []
    for place in waiting(out):
        try:
            run, registration, review = _patiently_registered(place, config, out=out)
        except UnreachableError as error:
            left = len(waiting(out)) - len(failed)
            raise type(error)(f"{error}; {left} finished run(s) wait in {_outbox(out)}") from error
        except CtrselError as error:
            logger().warning("not delivered", extra={"facts": {"entry": str(place), "reason": str(error)}})
            failed.append((place, error))
            continue
        _note(out, run, registration, review, evidence=place / "evidence")
        _remove(place)
        event("delivered", model=registration.model_name, version=registration.version, run=run.created)
        made.append(registration)
    return Delivered(registrations=tuple(made), failed=tuple(failed))


def keep(
    run: Run,
    *,
    config: RunConfig,
    model: Model,
    table: Table,
    evidence: Evidence,
    logits: np.ndarray,
    out: Path,
) -> Path:
    """Put a finished run into its folder's outbox, unless an equal one waits there already; return the entry.

    Args: as for `ctrsel.api.registering.register_reviewed`.
    """
    place = _outbox(out) / run.digest
    if (place / MANIFEST).is_file():
        return place
    window = _window(config, table)
    manifest: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "name": run.name,
        "digest": run.digest,
        "created": run.created,
        "kept": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": asdict(config),
        "dates": time_span(table),
        "window": {
            **{k: getattr(window, k) for k in ("source", "first", "last", "young")},
            "notes": list(window.notes),
            "arrays": [k for k in _ARRAYS if getattr(window, k) is not None],
        },
    }
    with atomic_folder(place, manifest=manifest) as folder:
        folder.chmod(0o700)  # it holds raw rows
        run.save(folder / "run")
        model.save(folder / "model")
        evidence.save(folder / "evidence")
        np.save(folder / "logits.npy", logits, allow_pickle=False)
        window.rows.write_parquet(folder / "rows.parquet")
        for name in manifest["window"]["arrays"]:
            np.save(folder / f"{name}.npy", getattr(window, name), allow_pickle=False)
    event("kept for a later delivery", entry=str(place))
    return place


def _patiently_registered(
    place: Path, config: RunConfig | None, *, out: Path
) -> tuple[Run, Registration, Review | None]:
    m = read_manifest(place, format=_FORMAT, version=_VERSION)
    own = build(RunConfig, m["config"], place=f"{place.name}/{MANIFEST}")
    if config is not None:  # the registry may have moved; names, rules and margins are those of the run
        now = config.register
        own = replace(own, register=replace(own.register, tracking_uri=now.tracking_uri, patience=now.patience))
    patience = seconds(own.register.patience, place="register.patience")
    run = Run.load(place / "run")

    def register() -> tuple[Run, Registration, Review | None]:
        registration = _register(place, run, m, config=own, out=out)
        return run, registration, review_of(run, registration, config=own.register, out=out)

    return patiently(register, patience=patience)


def _register(place: Path, run: Run, m: dict[str, Any], *, config: RunConfig, out: Path) -> Registration:
    """Find or make the version; done again, it finds what it has made before an answer was lost."""
    found = find_registration(run, config=config.register, out=out)
    if found is not None:
        return found
    return register_reviewed(
        run,
        config=config,
        model=Model.load(place / "model"),
        table=None,
        evidence=Evidence.load(place / "evidence"),
        logits=read_array(place / "logits.npy"),
        report=place / PAGE,
        out=out,
        window=_load_window(place, m["window"]),
        dates=m["dates"],
    )


def _window(config: RunConfig, table: Table) -> Window:
    """Return the raw test rows; where the source has gone by now, what the codes tell of them, which the window notes."""
    try:
        return test_window(config, table)
    except (CtrselError, OSError) as error:
        logger().warning("the test rows are told back from codes", extra={"facts": {"reason": str(error)}})
        return test_window(replace(config, data=replace(config.data, store="gone")), table)


def _load_window(place: Path, facts: dict[str, Any]) -> Window:
    try:
        rows = pl.read_parquet(place / "rows.parquet")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{place / 'rows.parquet'}: cannot be read: {str(error).splitlines()[0][:200]}") from error
    arrays: dict[str, Any] = {name: read_array(place / f"{name}.npy") for name in facts["arrays"]}
    told = {k: facts[k] for k in ("source", "first", "last", "young")}
    return Window(rows=rows, **arrays, **told, notes=tuple(facts["notes"]))


def _note(out: Path, run: Run, registration: Registration, review: Review | None, *, evidence: Path) -> None:
    """Let the run's folder and its page tell of the version, if no other run has been there since."""
    try:
        last = Run.load(out / "run")
    except DataError:
        return
    if last.digest != run.digest:
        return
    told = replace(last, registration=registration)
    told.save(out / "run")
    if review is not None:
        review.save(out / "review")
    write_report(told, evidence=Evidence.load(evidence), review=review, path=out / PAGE)


def _remove(place: Path) -> None:
    """Take an entry away in one step: half an entry would look like a damaged one."""
    aside = place.with_name(f".{place.name}.old-{uuid.uuid4().hex[:8]}")
    place.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _created(place: Path) -> str:
    try:
        return str(read_manifest(place, format=_FORMAT, version=_VERSION)["created"])
    except (DataError, KeyError):
        return ""


def _outbox(out: Path) -> Path:
    return Path(out) / "outbox"
