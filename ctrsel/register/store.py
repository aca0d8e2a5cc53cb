"""Where registrations go: the tracking store, its artifacts, and MLflow without its noise and its global state."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ctrsel.core.config import RegisterConfig
from ctrsel.core.durations import seconds
from ctrsel.core.errors import ConfigError
from ctrsel.register.reaching import PatientClient, patiently, public_uri, raise_told, reason

__all__ = ["Store", "public_uri", "quiet_mlflow"]

T = TypeVar("T")

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # MLflow repeats a call four minutes long, one that makes a version too; see `reaching` for what is repeated here.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}
_TIMEOUT_NAME = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_TIMEOUT = 30  # seconds until a server must answer a call, unless the environment says otherwise

_KIND = "custom_model_development"  # so that MLflow's page does not take it for an experiment with language models


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An MLflow store.

    Attributes:
        uri: Tracking and registry address, never relative to the working directory.
        artifacts: Where a new experiment keeps its files; None where a server decides.
        patience: Seconds for which a call that cannot reach it is tried again.
    """

    uri: str
    artifacts: str | None
    patience: float = 60.0

    @staticmethod
    def of(config: RegisterConfig, *, out: Path) -> Store:
        """Find the store: the config's, else `MLFLOW_TRACKING_URI`, else SQLite in the run's folder.

        Raises:
            ConfigError: If the address is a folder: MLflow has given up its file store.
        """
        given = config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        uri = given or f"sqlite:///{out.absolute() / 'mlflow.db'}"
        patience = seconds(config.patience, place="register.patience")
        place = "register.tracking_uri" if config.tracking_uri else "MLFLOW_TRACKING_URI"
        if "://" not in uri or uri.startswith("file:"):
            raise ConfigError(
                f"{place}: must be a database or a server (sqlite:///..., postgresql://..., http://...), "
                f"since MLflow no longer opens folders, got {public_uri(uri)!r}"
            )
        if uri.startswith(("http://", "https://")):
            return Store(uri=uri.rstrip("/"), artifacts=None, patience=patience)
        if uri.startswith("sqlite:///"):
            file = Path(uri.removeprefix("sqlite:///")).expanduser().absolute()
            files = (file.parent / "mlartifacts").as_uri()
            return Store(uri=f"sqlite:///{file}", artifacts=files, patience=patience)
        return Store(uri=uri, artifacts=(out.absolute() / "mlartifacts").as_uri(), patience=patience)

    @property
    def database_file(self) -> Path | None:
        """The SQLite file, None for another store."""
        return Path(self.uri.removeprefix("sqlite:///")) if self.uri.startswith("sqlite:///") else None

    def ui_command(self, *, model_name: str, version: int) -> str:
        """Return the one command that shows a version in a browser."""
        if self.artifacts is None:
            return f"python -m webbrowser {shlex.quote(f'{public_uri(self.uri)}/#/models/{model_name}/versions/{version}')}"
        shown = shlex.quote(self.uri) if public_uri(self.uri) == self.uri else '"$MLFLOW_TRACKING_URI"'
        return f"mlflow ui --backend-store-uri {shown} --port 5000"

    def client(self) -> Any:
        """Return MLflow's client for this store; to be called inside `quiet_mlflow`.

        Raises:
            ConfigError: If the store cannot be opened.
            UnreachableError: If it cannot be reached, here and in any call of the client.
        """
        from mlflow import MlflowClient

        if self.database_file is not None:
            with self.told():
                self.database_file.parent.mkdir(parents=True, exist_ok=True)
        elif self.artifacts is not None:
            self.patiently(self._knock)
        made = self.patiently(lambda: MlflowClient(tracking_uri=self.uri, registry_uri=self.uri))
        return PatientClient(made, uri=self.uri, patience=self.patience)

    def patiently(self, action: Callable[[], T]) -> T:
        """Do something with the store that may be repeated; what keeps it from being done is said in one sentence.

        Raises:
            ConfigError: If the store cannot be used.
            UnreachableError: If it could not be reached for as long as the config says.
        """

        def once() -> T:
            with self.told():
                return action()

        return patiently(once, patience=self.patience)

    def _knock(self) -> None:
        """Open a database once and close it: MLflow itself would try a hundred seconds before it says that it cannot."""
        import sqlalchemy

        wait = {"connect_timeout": _TIMEOUT} if self.uri.startswith(("postgresql", "mysql")) else {}
        engine = sqlalchemy.create_engine(self.uri, poolclass=sqlalchemy.NullPool, connect_args=wait)
        with engine.connect():
            pass

    def reach(self, client: Any) -> None:
        """Make sure that the store answers.

        Raises:
            ConfigError: If it cannot be used.
            UnreachableError: If it does not answer.
        """
        with self.told():
            client.search_registered_models(max_results=1)

    def experiment(self, client: Any, name: str) -> str:
        """Return the id of an experiment, which is made if there is none; its artifacts lie at an absolute place.

        Raises:
            ConfigError: If the store cannot be reached, or the experiment was deleted.
        """
        with self.told():
            found = client.get_experiment_by_name(name)
            if found is None:
                tags = {"mlflow.experimentKind": _KIND}
                return str(client.create_experiment(name, artifact_location=self.artifacts, tags=tags))
        if found.lifecycle_stage == "deleted":
            raise ConfigError(
                f"register: the experiment {name!r} is in the trash of {public_uri(self.uri)}; restore it or rename the run"
            )
        return str(found.experiment_id)

    def versions(self, client: Any, name: str, *, run_digest: str) -> list[Any]:
        """Return the versions of a registered model that a run with this digest has made.

        Raises:
            ConfigError: If the store cannot be reached.
        """
        with self.told():
            return list(client.search_model_versions(f"name='{name}' and tags.run_digest='{run_digest}'"))

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Say in one sentence that the store cannot be used, or not be reached."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise_told(error, self.uri)
            raise ConfigError(
                f"register.tracking_uri: {public_uri(self.uri)} cannot be used: {reason(error)}"
            ) from error


@contextlib.contextmanager
def quiet_mlflow(uri: str) -> Iterator[None]:
    """Use MLflow with one address, no telemetry, no progress bars and no advice; everything is as before afterwards.

    MLflow's SQL registry reads the global tracking address, so it has to be set for the time of the calls.
    """
    before = dict(os.environ)
    os.environ.update(_QUIET)
    os.environ.setdefault(_TIMEOUT_NAME, str(_TIMEOUT))
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [log.level for log in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        is_set: Any = mlflow.is_tracking_uri_set  # untyped
        own = mlflow.get_tracking_uri() if is_set() else None
        for log in loggers:
            log.setLevel(logging.CRITICAL)  # errors are raised as well; a locked database would be a page each try
        mlflow.set_tracking_uri(uri)
        try:
            yield
        finally:
            from_environment = own is None or own == before.get("MLFLOW_TRACKING_URI")
            reset: Any = None if from_environment else own  # MLflow takes None, though its annotation says otherwise
            mlflow.set_tracking_uri(reset)
            for log, level in zip(loggers, levels, strict=True):
                log.setLevel(level)
            for name in {*_QUIET, _TIMEOUT_NAME, "MLFLOW_TRACKING_URI"}:
                if name in before:
                    os.environ[name] = before[name]
                else:
                    os.environ.pop(name, None)
