"""The promotion check: whether a version may take the champion's place, by margins that the config states beforehand.

References: Walker and Nowacki, "Understanding equivalence and noninferiority testing", 2011 (the lower limit of the paired
interval must lie above minus the margin).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from ctrsel.core.config import CheckConfig
from ctrsel.core.errors import ConfigError
from ctrsel.records.audit import Finding
from ctrsel.records.check import Check, CheckLine
from ctrsel.records.evaluation import Metric
from ctrsel.records.review import Costs
from ctrsel.records.window import Delta, WindowComparison

__all__ = ["check_margins", "promotion_check"]


def check_margins(config: CheckConfig) -> None:
    """Refuse margins that cannot be meant.

    Raises:
        ConfigError: Naming the key.

    Examples:
        >>> check_margins(CheckConfig(auc_margin=-1))
        Traceback (most recent call last):
        ctrsel.core.errors.ConfigError: register.check.auc_margin: must be at least 0, got -1
    """
    for name in ("auc_margin", "log_loss_margin", "min_calibration", "latency_factor", "max_milliseconds"):
        value = getattr(config, name)
        if value is not None and not value >= 0:
            raise ConfigError(f"register.check.{name}: must be at least 0, got {value}")
    if not config.min_calibration <= config.max_calibration:
        raise ConfigError(
            f"register.check: min_calibration must be at most max_calibration, got {config.min_calibration} and "
            f"{config.max_calibration}"
        )


def promotion_check(
    config: CheckConfig,
    *,
    champion: int | None,
    comparison: WindowComparison | None,
    costs: Costs,
    champion_costs: Costs | None,
    findings: Sequence[Finding],
    reasons: Sequence[str] = (),
    calibration: Metric | None = None,
    example: float | None = None,
    unusable: str | None = None,
) -> Check:
    """Decide, rule by rule.

    Args:
        config: The margins.
        champion: The version in place, None if there is none.
        comparison: Both on the same rows.
        costs: The new version's.
        champion_costs: The champion's, measured beside it.
        findings: Of the audit.
        reasons: The run's own rules, as in its verdict.
        calibration: The new version's predicted over observed, where there is nothing to compare.
        example: Largest difference between the stored example and what a fresh process predicts of it; None where the
            version is made only if that is below 1e-6.
        unusable: Why the champion could not be scored.
    """
    check_margins(config)
    lines = [_run(reasons)] if reasons else []
    if champion is None:
        lines.append(CheckLine(rule="auc", status="note", words="there is no champion to compare with"))
    elif comparison is None:
        words = f"version {champion}, the champion, could not be scored on the same rows: {unusable or 'no rows'}"
        lines.append(CheckLine(rule="auc", status="failed", words=words))
    else:
        lines += [_auc(config, comparison.metrics["auc"], champion), _log_loss(config, comparison.metrics["log_loss"])]
        calibration = Metric(value=comparison.metrics["calibration_ratio"].challenger)
    lines.append(_calibration(config, calibration))
    lines += _latency(config, costs, champion_costs)
    lines.append(_audit(findings))
    lines.append(_example(example))
    rows = None if comparison is None else comparison.rows
    return Check(
        lines=tuple(lines), champion=champion, margins={**asdict(config), "segments": list(config.segments)}, rows=rows
    )


def _run(reasons: Sequence[str]) -> CheckLine:
    failed = [r.removeprefix("FAILED: ") for r in reasons if r.startswith("FAILED")]
    rules = sum(not r.startswith("for information") for r in reasons)
    words = f"the run's own {rules} rules against the full net: " + ("; ".join(failed) if failed else "all passed")
    return CheckLine(rule="run", status=_status(not failed), words=words, figures={"failed": len(failed)})


def _auc(config: CheckConfig, found: Delta, champion: int) -> CheckLine:
    d, margin = found.difference, config.auc_margin
    figures = {"champion": found.champion, "challenger": found.challenger, **asdict(d), "margin": margin}
    if d.value is None or d.low is None or d.high is None:
        words = "the difference to the champion has no interval on these rows, so nothing is shown"
        return CheckLine(rule="auc", status="failed", words=words, figures=figures)
    ok = d.low > -margin
    words = (
        f"{found.challenger:.4f} against {found.champion:.4f} of version {champion}: {d.value:+.4f}, 95 % {d.low:+.4f} to "
        f"{d.high:+.4f} ({d.method}); the lower limit must be above {-margin:+.4f}"
    )
    return CheckLine(rule="auc", status=_status(ok), words=words, figures=figures)


def _log_loss(config: CheckConfig, found: Delta) -> CheckLine:
    d, margin = found.difference, config.log_loss_margin
    figures = {"champion": found.champion, "challenger": found.challenger, **asdict(d), "margin": margin}
    span = "" if d.low is None or d.high is None else f", 95 % {d.low:+.4f} to {d.high:+.4f}"
    words = f"{_number(found.challenger)} against {_number(found.champion)}: {_signed(d.value)}{span} nats"
    if margin is None:
        return CheckLine(rule="log_loss", status="note", words=f"{words}; no margin is set", figures=figures)
    ok = d.high is not None and d.high < margin
    words += f"; the upper limit must be below {margin:+.4f}"
    return CheckLine(rule="log_loss", status=_status(ok), words=words, figures=figures)


def _calibration(config: CheckConfig, found: Metric | None) -> CheckLine:
    value = None if found is None else found.value
    ok = value is not None and config.min_calibration <= value <= config.max_calibration
    words = (
        f"predicted / observed {_number(value, 3)}: must be between {config.min_calibration:g} and "
        f"{config.max_calibration:g}"
    )
    return CheckLine(rule="calibration", status=_status(ok), words=words, figures={"ratio": value})


def _latency(config: CheckConfig, mine: Costs, other: Costs | None) -> list[CheckLine]:
    lines = []
    if other is not None:
        most = config.latency_factor * other.milliseconds
        words = (
            f"{mine.milliseconds:.2f} ms per 1,000 rows against {other.milliseconds:.2f}, measured in turns: must be at most "
            f"{config.latency_factor:g} times as long"
        )
        status = _status(mine.milliseconds <= most)
        figures = {"champion": other.milliseconds, "challenger": mine.milliseconds, "factor": config.latency_factor}
        lines.append(CheckLine(rule="latency", status=status, words=words, figures=figures))
    if config.max_milliseconds is not None:
        words = f"{mine.milliseconds:.2f} ms per 1,000 rows: must be at most {config.max_milliseconds:g}"
        status = _status(mine.milliseconds <= config.max_milliseconds)
        lines.append(CheckLine(rule="latency", status=status, words=words, figures={"challenger": mine.milliseconds}))
    return lines or [
        CheckLine(rule="latency", status="note", words=f"{mine.milliseconds:.2f} ms per 1,000 rows; no rule asks")
    ]


def _audit(findings: Sequence[Finding]) -> CheckLine:
    stops = [f for f in findings if f.severity == "stop" and not f.accepted]
    warned = sum(f.severity == "warn" for f in findings)
    words = f"{len(stops)} unaccepted findings that stop a run, {warned} warnings: must be no stops"
    return CheckLine(
        rule="audit", status=_status(not stops), words=words, figures={"stops": len(stops), "warnings": warned}
    )


def _example(gap: float | None) -> CheckLine:
    if gap is None:
        words = "a version is made only if a fresh process loads it and predicts its stored example alike (1e-6)"
        return CheckLine(rule="example", status="passed", words=words)
    ok = gap <= 1e-6
    words = f"a fresh process loads it and predicts its stored example to within {gap:.1g}: must be at most 1e-6"
    return CheckLine(rule="example", status=_status(ok), words=words, figures={"largest": gap})


def _status(ok: bool) -> Literal["passed", "failed"]:
    return "passed" if ok else "failed"


def _number(value: float | None, digits: int = 4) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.4f}"
