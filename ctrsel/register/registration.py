"""Registration of a run: a version appears with everything it needs, or nothing of it stays."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError, CtrselError, RefusedError, UnreachableError
from ctrsel.core.log import event, logger
from ctrsel.models.model import Model
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.review import Review
from ctrsel.records.run import Registration, Run
from ctrsel.register.contents import Measure, dataset, measures, parameters, review_tags, tags, write_files
from ctrsel.register.log import CHALLENGER, CHAMPION, DECIDED, holder, promotions
from ctrsel.register.package import package
from ctrsel.register.promotion import decision, record, user
from ctrsel.register.proof import prove
from ctrsel.register.reaching import absent
from ctrsel.register.store import Store, public_uri, quiet_mlflow

__all__ = ["find_registration", "register_run"]

_BATCH = 100  # parameters in one call, MLflow's limit; it takes 1,000 metrics


def find_registration(run: Run, *, config: RegisterConfig, out: Path) -> Registration | None:
    """Find the version that an equal run has registered in the same store; None if there is none.

    Args:
        run: The run; times, clocks and the registration itself do not make it another one.
        config: Where it would be registered.
        out: The run's folder.

    Raises:
        ConfigError: If the store cannot be used.
    """
    store, name = Store.of(config, out=Path(out)), _model_name(run, config)
    if store.database_file is not None and not store.database_file.exists():
        return None
    with quiet_mlflow(store.uri):
        client = store.client()
        versions = store.versions(client, name, run_digest=run.digest)
        found = [v for v in versions if DECIDED in v.tags]
        if not found:
            return None
        with promotions(store, client, name), store.told():  # carries out what a process may have been killed before
            version = max(found, key=lambda v: int(v.version))
            if client.get_run(version.run_id).info.status != "FINISHED":  # or FAILED, where undoing was cut off
                client.set_terminated(version.run_id, status="FINISHED")
            return _registration(store, version)


def register_run(
    run: Run,
    *,
    model: Model,
    feature_set: FeatureSet | None,
    report: Path,
    rankings: Sequence[Ranking],
    config: RegisterConfig,
    out: Path,
    example: pl.DataFrame,
    card: str,
    proof: bool = True,
    review: Review | None = None,
) -> Registration:
    """Register a run's chosen model as a new version.

    The version is made last, in one call with its description and tags, after its folder was stored and proven. If
    anything fails or is interrupted, the MLflow run says so, and aliases and versions are as before. The decision is
    written to the promotion log before the aliases move; a process that is killed in between leaves what the next one
    completes.

    Args:
        run: What is said about it.
        model: The chosen model.
        feature_set: The decision that it rests on.
        report: The HTML page.
        rankings: The evidence.
        config: Where it goes, and under which name.
        out: The run's folder.
        example: Synthetic raw rows in the model's columns (see `ctrsel.data.example.example_rows`).
        card: The version's description, Markdown.
        proof: Let a fresh process load the version's folder and predict the example before it is registered.
        review: What it was compared with, and the promotion check; None asks the run's own rules only.

    Raises:
        ConfigError: If the store cannot be used or the name is not allowed.
        UnreachableError: If the store cannot be reached; the same call, after `find_registration`, makes no second version.
        RefusedError: If it refuses access, at the beginning or in the middle; likewise.
        CtrselError: If a fresh process cannot load the version or predicts something else.
    """
    started = time.perf_counter()
    store, name = Store.of(config, out=Path(out)), _model_name(run, config)
    with quiet_mlflow(store.uri), store.told(), tempfile.TemporaryDirectory() as scratch:
        client = store.client()
        experiment = store.experiment(client, run.name)
        with promotions(store, client, name):
            _sweep(client, store, name, run, experiment)
        files, folder = Path(scratch) / "files", Path(scratch) / "version"
        files.mkdir()
        write_files(files, run, report=report, feature_set=feature_set, rankings=rankings, model=model, review=review)
        digests = {"run_digest": run.digest, "table_digest": run.table.digest, "model_digest": model.digest}
        package(folder, model, files=files, example=example, metadata=digests)
        if proof:
            prove(str(folder))
        facts = tags(run, feature_set=feature_set) | review_tags(review)
        shown = {**facts, **_ui_tags(card)}
        run_id = client.create_run(experiment, tags=shown, run_name=f"{run.name} {run.created}").info.run_id
        with _undone_on_failure(client, run_id) as undo:
            model_id = _log(client, run, run_id, experiment, name, files=files, folder=folder, undo=undo, facts=facts)
            with promotions(store, client, name) as log:
                version = _create_version(client, name, run_id, model_id, facts=facts, card=card, undo=undo)
                waits = not config.promote
                entry = decision(client, run, name=name, version=version, run_id=run_id, review=review, waits=waits)
                entry_id, entry = log.begin(entry)
                undo(log.abandon, entry_id)
                undo(client.delete_model_version_tag, name, str(version), DECIDED)
                # From here on the version is whole: a killed process's entry is carried out, not struck out.
                record(client, entry, log=log)
                moved = ((CHALLENGER, not entry.get("late")), (CHAMPION, entry["to"] == version))
                for alias in (a for a, moves in moved if moves):
                    _move_alias(client, name, alias, version, undo)
                log.finish(entry_id)
            client.set_terminated(run_id, status="FINISHED")
        made = _registration(store, client.get_model_version(name, str(version)))
    event("registered", model=name, version=made.version, seconds=time.perf_counter() - started)
    return made


def _ui_tags(card: str) -> dict[str, str]:
    """Return what MLflow's page shows of a run at places of its own: who made it, by what, and its description."""
    return {
        "mlflow.user": user(),
        "mlflow.source.name": "ctrsel",
        "mlflow.source.type": "LOCAL",
        "mlflow.note.content": card,
    }


def _log(
    client: Any,
    run: Run,
    run_id: str,
    experiment: str,
    name: str,
    *,
    files: Path,
    folder: Path,
    undo: Callable[..., object],
    facts: dict[str, str],
) -> str:
    """Log everything about the run, store the model's folder, and return the logged model's id."""
    from mlflow.entities import Dataset, DatasetInput, LoggedModelOutput, Metric, Param

    given = [Param(k, v) for k, v in parameters(run).items()]
    for start in range(0, len(given), _BATCH):
        client.log_batch(run_id, params=given[start : start + _BATCH])
    data = dataset(run)
    client.log_inputs(run_id, datasets=[DatasetInput(Dataset(**data))])
    logged = client.create_logged_model(
        experiment, name=name, source_run_id=run_id, tags=facts, params={"chosen": run.verdict.chosen}, model_type="ctr"
    )
    undo(client.delete_logged_model, logged.model_id)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    now = int(time.time() * 1000)

    def metric(m: Measure) -> Any:
        link = {"model_id": logged.model_id, "dataset_name": data["name"], "dataset_digest": data["digest"]}
        return Metric(m.key, m.value, now, m.step, run_id=run_id, **(link if m.of_model else {}))

    found = [metric(m) for m in measures(run)]
    for start in range(0, len(found), 10 * _BATCH):
        client.log_batch(run_id, metrics=found[start : start + 10 * _BATCH])
    client.log_artifacts(run_id, str(files))
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


def _create_version(
    client: Any, name: str, run_id: str, model_id: str, *, facts: dict[str, str], card: str, undo: Callable[..., object]
) -> int:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if not absent(error):
            raise
        client.create_registered_model(name, description="Registered by ctrsel; each version holds its report.")
        undo(client.delete_registered_model, name)
    version = client.create_model_version(
        name, source=f"models:/{model_id}", run_id=run_id, tags=facts, description=card, model_id=model_id
    )
    undo(client.delete_model_version, name, str(version.version))
    return int(version.version)


def _move_alias(client: Any, name: str, alias: str, version: int, undo: Callable[..., object]) -> None:
    before = holder(client, name, alias)
    if before is None:
        undo(client.delete_registered_model_alias, name, alias)
    else:
        undo(client.set_registered_model_alias, name, alias, str(before))
    client.set_registered_model_alias(name, alias, str(version))


@contextlib.contextmanager
def _undone_on_failure(client: Any, run_id: str) -> Iterator[Callable[..., object]]:
    """Yield `undo(function, *arguments)`; on any failure or interruption what was noted is done, last first."""
    with contextlib.ExitStack() as stack:
        gone: list[CtrselError] = []

        def attempt(function: Callable[..., Any], *arguments: Any) -> None:
            if gone:  # what is left is what a killed process leaves: the next one completes or removes it
                return
            try:
                function(*arguments)
            except Exception as error:  # the failure that led here is the one to be told
                gone.extend([error] if isinstance(error, UnreachableError | RefusedError) else [])
                logger().warning("a failed registration could not be undone", extra={"facts": {"reason": str(error)}})

        try:
            yield lambda function, *arguments: stack.callback(attempt, function, *arguments)
        except BaseException as error:
            stack.callback(
                attempt, client.set_terminated, run_id, "FAILED" if isinstance(error, Exception) else "KILLED"
            )
            raise
        stack.pop_all()


def _sweep(client: Any, store: Store, name: str, run: Run, experiment: str) -> None:
    """Remove what a killed process left of this same run: incomplete versions, and runs that seem to be going on."""
    for version in store.versions(client, name, run_digest=run.digest):
        if DECIDED not in version.tags:
            client.delete_model_version(name, str(version.version))
    stale = client.search_runs([experiment], f"tags.run_digest = '{run.digest}' and attributes.status = 'RUNNING'")
    for old in stale:
        for model in client.search_logged_models([experiment], f"source_run_id = '{old.info.run_id}'"):
            client.delete_logged_model(model.model_id)
        client.set_terminated(old.info.run_id, status="KILLED")


def _registration(store: Store, version: Any) -> Registration:
    number = int(version.version)
    return Registration(
        tracking_uri=public_uri(store.uri),
        model_name=version.name,
        version=number,
        run_id=version.run_id,
        model_uri=f"models:/{version.name}/{number}",
        ui_command=store.ui_command(model_name=version.name, version=number),
    )


def _model_name(run: Run, config: RegisterConfig) -> str:
    name = config.model_name or run.name
    if not name.strip() or set(name) & set("/:'\"`\\"):
        place = "register.model_name" if config.model_name else "name"
        raise ConfigError(
            f"{place}: a registered model's name holds no / : \\ or quotes and is not empty, got {name!r}"
        )
    return name
