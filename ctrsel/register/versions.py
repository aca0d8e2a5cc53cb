"""Versions: what the registry says of one, found by `MODEL`, `MODEL@alias` or `MODEL/version`."""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.models.model import Model
from ctrsel.records.check import Check
from ctrsel.records.review import Review
from ctrsel.records.run import Registration
from ctrsel.register.loading import load_registered
from ctrsel.register.log import CHALLENGER, CHAMPION, DECIDED, holder
from ctrsel.register.proof import prove
from ctrsel.register.store import Store, public_uri, quiet_mlflow

__all__ = [
    "VersionFacts",
    "champion_of",
    "find_version",
    "load_version",
    "open_store",
    "prove_version",
    "stored_review",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """A version as the registry has it.

    Attributes:
        name: The registered model.
        version: Its number.
        aliases: That it holds.
        champion: The version that holds the alias champion, None if none does.
        tags: Of the version.
        description: Markdown.
        run_id: MLflow's run, None where it is unknown.
        check: The promotion check that was stored with it; None of a version that was made without one.
        created: When, seconds since 1970; None where it is unknown.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    champion: int | None
    tags: Mapping[str, str]
    description: str
    run_id: str | None
    check: Check | None
    created: float | None = None


def open_store(place: str | Path | None) -> tuple[RegisterConfig, Path]:
    """Say where versions are: an address, or the folder of a run that keeps its own; None for `MLFLOW_TRACKING_URI`.

    Raises:
        ConfigError: If the folder holds no store.

    Examples:
        >>> open_store("http://mlflow:5000")[0].tracking_uri
        'http://mlflow:5000'
    """
    if place is None:
        return RegisterConfig(), Path()
    if "://" in str(place):
        return RegisterConfig(tracking_uri=str(place)), Path()
    file = Path(place).expanduser() / "mlflow.db" if Path(place).expanduser().is_dir() else Path(place).expanduser()
    if not file.is_file():
        raise ConfigError(f"--store: must be an address or a run's folder with its mlflow.db, got {str(place)!r}")
    return RegisterConfig(tracking_uri=f"sqlite:///{file.absolute()}"), file.parent


def find_version(name: str, *, config: RegisterConfig, out: Path) -> VersionFacts:
    """Find a version.

    Args:
        name: `MODEL` (its newest version), `MODEL@alias` or `MODEL/version`.
        config: Where versions are registered.
        out: The folder of the store, where the config names none.

    Raises:
        ConfigError: If there is no such model, alias or version; known ones are named.
    """
    with _client(config, out) as client:
        from mlflow.exceptions import MlflowException

        model, alias, number = _parts(name)
        try:
            client.get_registered_model(model)
        except MlflowException as error:
            known = [m.name for m in client.search_registered_models(max_results=100)]
            raise unknown_name("model", model, known) from error
        versions = {int(v.version): v for v in client.search_model_versions(f"name='{model}'")}
        if alias is not None:
            held = holder(client, model, alias)
            if held is None:
                aliases = client.get_registered_model(model).aliases
                raise unknown_name("alias", alias, aliases, place=model)
            number = held
        elif number is None:
            number = holder(client, model, CHALLENGER) or max(versions, default=0)
        if number not in versions:
            raise ConfigError(
                f"{model}: has no version {number}; known: {', '.join(map(str, sorted(versions))) or 'none'}"
            )
        found = client.get_model_version(model, str(number))
        check = found.tags.get("check")
        return VersionFacts(
            name=model,
            version=number,
            aliases=tuple(sorted(found.aliases)),
            champion=holder(client, model, CHAMPION),
            tags=dict(found.tags),
            description=found.description or "",
            run_id=found.run_id,
            check=None if check is None else Check.from_dict(json.loads(check)),
            created=None if found.creation_timestamp is None else found.creation_timestamp / 1000,
        )


def champion_of(name: str, *, config: RegisterConfig, out: Path) -> int | None:
    """Return the champion's version; None if there is none, or nothing is registered yet."""
    store = Store.of(config, out=out)
    if store.database_file is not None and not store.database_file.exists():
        return None
    with quiet_mlflow(store.uri):
        return holder(store.client(), name, CHAMPION)


def refusal_of(made: Registration, *, config: RegisterConfig, out: Path) -> str | None:
    """Return the first rule by which a version was refused when it was registered; None if it was promoted."""
    facts = find_version(f"{made.model_name}/{made.version}", config=config, out=out)
    entry = json.loads(facts.tags[DECIDED])
    if entry["decision"] == "promoted":
        return None
    return next((str(w) for w in entry["why"] if w.startswith("FAILED")), "FAILED: a rule")


def load_version(name: str, version: int, *, config: RegisterConfig, out: Path) -> Model:
    """Load a version's model."""
    return load_registered(f"models:/{name}/{version}", config=config, out=out)


def stored_review(facts: VersionFacts, *, config: RegisterConfig, out: Path) -> Review | None:
    """Return the review that was stored with a version; None if there is none any more."""
    if facts.run_id is None:
        return None
    with _client(config, out) as client, tempfile.TemporaryDirectory(prefix="ctrsel-") as folder:
        from mlflow.exceptions import MlflowException

        try:
            file = Path(client.download_artifacts(facts.run_id, "review/review.json", folder))
        except (MlflowException, OSError):
            return None
        return Review.from_dict(json.loads(file.read_text(encoding="utf-8")))


def prove_version(name: str, version: int, *, config: RegisterConfig, out: Path) -> float:
    """Let a fresh process load a version and predict its stored example; return the largest difference.

    Raises:
        CtrselError: If it cannot be loaded, or predicts something else.
    """
    with _client(config, out), tempfile.TemporaryDirectory(prefix="ctrsel-") as folder:
        from mlflow.artifacts import download_artifacts

        fetch = functools.partial(download_artifacts, artifact_uri=f"models:/{name}/{version}", dst_path=folder)
        return prove(str(Path(Store.of(config, out=out).patiently(fetch)).resolve()))


@contextlib.contextmanager
def _client(config: RegisterConfig, out: Path) -> Iterator[Any]:
    store = Store.of(config, out=out)
    if store.database_file is not None and not store.database_file.exists():
        raise ConfigError(f"nothing is registered in {public_uri(store.uri)}, which is not there; name it with --store")
    with quiet_mlflow(store.uri):
        client = store.client()
        store.reach(client)
        yield client


def _parts(name: str) -> tuple[str, str | None, int | None]:
    bare = name.removeprefix("models:/")
    if "@" in bare:
        model, _, alias = bare.partition("@")
        return model, alias, None
    model, slash, number = bare.partition("/")
    if slash and not number.isdecimal():
        raise ConfigError(f"a version is named MODEL, MODEL@alias or MODEL/number, got {name!r}")
    return model, None, int(number) if slash else None
