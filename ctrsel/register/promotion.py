"""Promotion: the aliases of a registered model, and a log of every decision that is only ever appended to."""

from __future__ import annotations

import datetime
import getpass
import json
from dataclasses import asdict
from typing import Any

from ctrsel.core.artifact import to_json
from ctrsel.records.run import Run

__all__ = ["CHALLENGER", "CHAMPION", "DECIDED", "decision", "history", "holder", "record", "user"]

CHALLENGER = "challenger"  # the newest version
CHAMPION = "champion"  # the newest version that was promoted
DECIDED = "promotion"  # the tag with a version's entry, its last: a version without it is what a killed process left


def holder(client: Any, name: str, alias: str) -> int | None:
    """Return the version that holds an alias, None if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return int(client.get_model_version_by_alias(name, alias).version)
    except MlflowException:
        return None


def decision(client: Any, run: Run, *, name: str, version: int, run_id: str) -> dict[str, Any]:
    """Return the log's entry about a new version: who, when, from which version to which, why, and what it changes.

    The old champion's AUC is put beside the new one's only as it was recorded, with a note whether both were measured on
    the same table.
    """
    before = holder(client, name, CHAMPION)
    old = client.get_model_version(name, str(before)).tags if before is not None else {}
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "who": user(),
        "decision": "promoted" if run.verdict.promoted else "refused",
        "candidate": version,
        "from": before,
        "to": version if run.verdict.promoted else before,
        "why": list(run.verdict.reasons),
        "delta_auc_to_full_net": asdict(run.verdict.delta_auc),
        "test_auc": run.chosen.metrics["auc"].value,
        "champion_test_auc": old.get("test_auc"),
        "same_table_as_champion": old.get("table_digest") == run.table.digest if old else None,
        "run_id": run_id,
        "run_digest": run.digest,
    }


def history(client: Any, name: str) -> list[dict[str, Any]]:
    """Return all entries of a registered model's log, oldest first."""
    versions = client.search_model_versions(f"name='{name}'")
    found = [json.loads(v.tags[DECIDED]) for v in versions if DECIDED in v.tags]
    return sorted(found, key=lambda entry: entry["candidate"])


def record(client: Any, entry: dict[str, Any], *, name: str, version: int) -> None:
    """Append an entry: the whole log to the MLflow run's files, and then the entry as the version's tag."""
    log = [*history(client, name), entry]
    client.log_text(entry["run_id"], to_json(log, indent=1) + "\n", "promotion/log.json")
    client.set_model_version_tag(name, str(version), DECIDED, to_json(entry))


def user() -> str:
    """Return the name of whoever runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
