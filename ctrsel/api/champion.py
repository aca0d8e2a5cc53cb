"""Champion: the registered model that is in use, with a copy beside the run for times when the registry cannot be reached."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from ctrsel.core.artifact import MANIFEST, atomic_text, to_json
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import ConfigError, UnreachableError
from ctrsel.core.log import event, logger
from ctrsel.models.model import Model
from ctrsel.register.versions import champion_of, load_version

__all__ = ["Champion", "champion_model", "has_champion", "model_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """The model in use.

    Attributes:
        name: The registered model.
        version: Its number.
        model: Ready to predict.
        stale: Whether the registry could not be asked, so that this is the last one that it named.
    """

    name: str
    version: int
    model: Model
    stale: bool = False


def model_name(config: RunConfig) -> str:
    """Return the name under which a config's models are registered."""
    return config.register.model_name or config.name


def has_champion(config: RunConfig, *, out: Path) -> bool:
    """Whether there is a champion, or was one when the registry could last be reached."""
    try:
        return champion_of(model_name(config), config=config.register, out=out) is not None
    except UnreachableError:
        return _known(out / "champion", model_name(config)) is not None


def champion_model(config: RunConfig, *, out: Path) -> Champion:
    """Load the champion of a config's registered model.

    It is copied to `<out>/champion/<version>` when it is first met; while the registry cannot be reached the last copy is
    used, with a warning.

    Args:
        config: Where models are registered, and under which name.
        out: The run's folder.

    Raises:
        ConfigError: If there is no champion.
        UnreachableError: If the registry cannot be reached and no copy is there.
    """
    name, folder = model_name(config), out / "champion"
    try:
        version = champion_of(name, config=config.register, out=out)
        if version is None:
            raise ConfigError(f"{name}: has no champion yet; promote a version first")
        place = folder / str(version)
        if not (place / MANIFEST).is_file():
            load_version(name, version, config=config.register, out=out).save(place)
            event("champion copied", model=name, version=version)
        atomic_text(folder / "champion.json", to_json({"name": name, "version": version}) + "\n")
        for old in folder.iterdir():
            if old.is_dir() and old.name.isdecimal() and old != place:
                shutil.rmtree(old, ignore_errors=True)
        return Champion(name=name, version=version, model=Model.load(place))
    except UnreachableError as error:
        known = _known(folder, name)
        if known is None:
            raise
        logger().warning(
            "the registry cannot be reached; its last known champion is used",
            extra={"facts": {"model": name, "version": known, "why": str(error)}},
        )
        return Champion(name=name, version=known, model=Model.load(folder / str(known)), stale=True)


def _known(folder: Path, name: str) -> int | None:
    file = folder / "champion.json"
    if not file.is_file():
        return None
    given = json.loads(file.read_text(encoding="utf-8"))
    version = int(given["version"])
    return version if given["name"] == name and (folder / str(version) / MANIFEST).is_file() else None
