"""Loading: a registered version, or a file of an MLflow run, as the model that it is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ctrsel.core.artifact import MANIFEST
from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError
from ctrsel.models.model import Model
from ctrsel.register.reaching import public_uri, raise_told, reason
from ctrsel.register.store import Store, quiet_mlflow

__all__ = ["is_registered", "load_registered"]


def is_registered(name: str) -> bool:
    """Tell whether a name is MLflow's for a model.

    Examples:
        >>> is_registered("models:/clicks@champion"), is_registered("runs/clicks")
        (True, False)
    """
    return name.startswith(("models:/", "runs:/"))


def load_registered(uri: str, *, config: RegisterConfig, out: Path) -> Model:
    """Load `models:/<name>@<alias>`, `models:/<name>/<version>` or `runs:/<id>/<path>`.

    Args:
        uri: The version.
        config: Where versions are registered.
        out: The run's folder, where the store is if neither the config nor `MLFLOW_TRACKING_URI` names one.

    Raises:
        ConfigError: If the store cannot be used, or holds no such model of ours.
        UnreachableError: If it cannot be reached.
    """
    store = Store.of(config, out=out)
    if store.database_file is not None and not store.database_file.exists():
        raise ConfigError(f"{uri}: nothing is registered in {public_uri(store.uri)}, which is not there")
    with quiet_mlflow(store.uri), tempfile.TemporaryDirectory(prefix="ctrsel-") as folder:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        def fetch() -> Path:
            try:
                return Path(download_artifacts(artifact_uri=uri, dst_path=folder))
            except (MlflowException, OSError) as error:
                raise_told(error, store.uri)
                raise ConfigError(f"{uri}: cannot be loaded from {public_uri(store.uri)}: {reason(error)}") from error

        store.client()  # a database that is down is said to be so
        place = store.patiently(fetch)
        found = next((p for p in (place / "artifacts" / "model", place) if (p / MANIFEST).is_file()), None)
        if found is None:
            raise ConfigError(f"{uri}: holds no model that ctrsel has registered")
        return Model.load(found)  # what is mapped stays readable when its files are gone
