"""Promotion: what is decided about a new version, and the champion moved by a person with a reason."""

from __future__ import annotations

import datetime
import getpass
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import to_json
from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError, PromotionRefusedError
from ctrsel.core.log import event
from ctrsel.records.review import Review
from ctrsel.records.run import Run
from ctrsel.register.log import CHAMPION, DECIDED, PromotionLog, holder, now, promotions
from ctrsel.register.reaching import absent
from ctrsel.register.store import Store, quiet_mlflow

__all__ = [
    "decision",
    "deltas",
    "is_later",
    "promote_version",
    "promotion_log",
    "record",
    "roll_back",
    "user",
]

_REASON = 1000  # characters


def decision(
    client: Any,
    run: Run,
    *,
    name: str,
    version: int,
    run_id: str,
    review: Review | None = None,
    waits: bool = False,
) -> dict[str, Any]:
    """Return the log's entry about a new version: who, when, from which version to which, why, and what it changes.

    Args:
        client: MLflow's.
        run: The run.
        name: The registered model.
        version: The new version.
        run_id: MLflow's run.
        review: With the promotion check, where one was made; a version is promoted if its run's own rules and the check
            are passed, and the champion is still the one that it was compared with.
        waits: Whether a person or a later job promotes.
    """
    before = holder(client, name, CHAMPION)
    why = list(run.verdict.reasons)
    promoted = run.verdict.promoted
    if review is not None:
        why = [f"{line.status.replace('failed', 'FAILED')}: {line.words}" for line in review.check.lines]
        promoted = promoted and review.check.passed
        if review.champion != before:
            promoted = False
            why.insert(0, f"FAILED: compared with version {review.champion}, but the champion is {before} by now")
    if promoted and waits:
        promoted = False
        why.insert(0, "FAILED: register.promote is off, so the version waits for 'ctrsel promote'")
    old = client.get_model_version(name, str(before)).tags if before is not None else {}
    return {
        "when": now(),
        "who": user(),
        "decision": "promoted" if promoted else "refused",
        "candidate": version,
        "from": before,
        "to": version if promoted else before,
        "why": why,
        "deltas": deltas(review),
        "delta_auc_to_full_net": asdict(run.verdict.delta_auc),
        "test_auc": run.chosen.metrics["auc"].value,
        "champion_test_auc": old.get("test_auc"),
        "same_table_as_champion": old.get("table_digest") == run.table.digest if old else None,
        "run_id": run_id,
        "run_digest": run.digest,
        # A version of an older run than one that is registered already is no challenger.
        **({"late": True} if _late(client, run, name=name, version=version) else {}),
    }


def is_later(first: str, second: str) -> bool:
    """Tell whether a run was made after another one.

    Examples:
        >>> is_later("2026-01-02T00:00:00+00:00", "2026-01-02T00:30:00+01:00")
        True
    """
    a, b = (datetime.datetime.fromisoformat(t) for t in (first, second))
    return a > b


def _late(client: Any, run: Run, *, name: str, version: int) -> bool:
    others = [v for v in client.search_model_versions(f"name='{name}'") if int(v.version) != version]
    made = [v.tags["run_created"] for v in others if DECIDED in v.tags and "run_created" in v.tags]
    return any(is_later(m, run.created) for m in made)


def deltas(review: Review | None) -> dict[str, Any]:
    """Return each metric's paired difference to the champion, `{"value", "low", "high"}`."""
    if review is None or review.comparison is None:
        return {}
    found = {k: d.difference for k, d in review.comparison.metrics.items()}
    return {k: {"value": m.value, "low": m.low, "high": m.high} for k, m in found.items()}


def record(client: Any, entry: dict[str, Any], *, log: PromotionLog) -> None:
    """Make a new version whole: the log so far goes to the MLflow run's files, then the entry to the version's tag."""
    text = to_json([*log.entries(), entry], indent=1) + "\n"
    client.log_text(entry["run_id"], text, "promotion/log.json")
    client.set_model_version_tag(log.name, str(entry["candidate"]), DECIDED, to_json(entry))


def promotion_log(name: str, *, config: RegisterConfig, out: Path) -> list[dict[str, Any]]:
    """Return a model's promotion log, oldest entry first.

    Raises:
        ConfigError: If the store cannot be used.
    """
    store = Store.of(config, out=out)
    with quiet_mlflow(store.uri):
        return PromotionLog(store=store, client=store.client(), name=name).entries()


def promote_version(
    name: str,
    version: int,
    *,
    reason: str,
    compared_with: int | None,
    failures: Sequence[str] = (),
    figures: Mapping[str, Any] | None = None,
    force: bool = False,
    config: RegisterConfig,
    out: Path,
) -> dict[str, Any]:
    """Make a version the champion, and write down who did it and why.

    Args:
        name: The registered model.
        version: Which version.
        reason: Why; goes into the log.
        compared_with: The champion that the check was made against.
        failures: Rules of the check that failed.
        figures: Paired differences to the champion.
        force: Promote although rules failed; they are written down with the reason.
        config: Where versions are registered.
        out: The folder of the store, where the config names none.

    Returns:
        The log's entry.

    Raises:
        PromotionRefusedError: If a rule failed, or another version has become champion, and `force` is not given.
        ConfigError: If there is no such version, it is the champion already, or the reason is empty or too long.
    """
    _check_reason(reason)
    store = Store.of(config, out=out)
    with quiet_mlflow(store.uri):
        client = store.client()
        with promotions(store, client, name) as log:
            before = holder(client, name, CHAMPION)
            _check_version(client, name, version)
            if before == version:
                raise ConfigError(f"{name}: version {version} is the champion already")
            failed = list(failures)
            if before != compared_with:
                failed.append(f"the check compared it with version {compared_with}, but the champion is {before}")
            if failed and not force:
                raise PromotionRefusedError(
                    f"{name}: version {version} is not promoted; {failed[0]}"
                    + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")
                )
            more = {"forced": force, "deltas": dict(figures or {})}
            why = [reason, *(f"FAILED: {f}" for f in failed)]
            return _move(log, {"decision": "promote", "from": before, "to": version, "why": why, **more})


def roll_back(name: str, *, reason: str, to: int | None = None, config: RegisterConfig, out: Path) -> dict[str, Any]:
    """Make the version champion again that was so before, or another one, and write down who did it and why.

    Args:
        name: The registered model.
        reason: Why; goes into the log.
        to: Which version; None for the one that the present champion took the place of.
        config: Where versions are registered.
        out: The folder of the store, where the config names none.

    Returns:
        The log's entry.

    Raises:
        ConfigError: If there is no champion, or no version before it, or the reason is empty or too long.
    """
    _check_reason(reason)
    store = Store.of(config, out=out)
    with quiet_mlflow(store.uri):
        client = store.client()
        with promotions(store, client, name) as log:
            before = holder(client, name, CHAMPION)
            if before is None:
                raise ConfigError(f"{name}: has no champion to go back from")
            target = _before(log.entries(), before) if to is None else to
            if target is None:
                raise ConfigError(f"{name}: the log knows no champion before version {before}; name one with --to")
            _check_version(client, name, target)
            if target == before:
                raise ConfigError(f"{name}: version {target} is the champion already")
            return _move(log, {"decision": "rollback", "from": before, "to": target, "why": [reason]})


def _before(entries: Sequence[Mapping[str, Any]], champion: int) -> int | None:
    """Return the champion before this one: two rollbacks in a row go back two steps, and not to and fro."""
    line: list[int] = []
    for entry in entries:
        was, is_now = entry["from"], entry["to"]
        if is_now is None or was == is_now:
            continue
        if not line and was is not None:
            line.append(was)
        if entry["decision"] == "rollback" and is_now in line:
            line = line[: line.index(is_now) + 1]
        else:
            line.append(is_now)
    return line[-2] if len(line) > 1 and line[-1] == champion else None


def _move(log: PromotionLog, what: dict[str, Any]) -> dict[str, Any]:
    entry_id, entry = log.begin({"when": now(), "who": user(), "candidate": what["to"], **what})
    log.carry_out(entry)
    log.finish(entry_id)
    event(entry["decision"], model=log.name, before=entry["from"], to=entry["to"])
    return entry


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > _REASON:
        raise ConfigError(
            f"--reason: say why in 1 to {_REASON} characters, got {len(reason.strip())}; it goes into the log"
        )


def _check_version(client: Any, name: str, version: int) -> None:
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version(name, str(version))
    except MlflowException as error:
        if not absent(error):
            raise
        raise ConfigError(f"{name}: has no version {version}") from error
    if DECIDED not in found.tags:
        raise ConfigError(f"{name}: version {version} was not registered by ctrsel, or never finished")


def user() -> str:
    """Return the name of whoever runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
