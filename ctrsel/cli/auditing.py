"""The command that audits a table: leaks, fields without use, drift; a leak that nobody accepted ends with exit code 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import EXITS, STEP, Out, examples
from ctrsel.cli.source import Source
from ctrsel.cli.speak import Say, aligned

if TYPE_CHECKING:
    from ctrsel.records.audit import Finding

__all__ = ["COMMANDS"]


@expand
def audit(*, source: Source, out: Out = None, say: Say) -> None:
    """Look for leaks, constant, duplicated and per-row fields, unseen values and drift; nothing is selected by it.

    A suspected leak ends with exit code 3 until it is accepted by name (--accept, or audit.accept in the config).
    """
    with say.session() as speaker, source.open() as work:
        from ctrsel.data.audit import audit as look

        speaker.place = str(out or work.plan.out)
        found = look(work.plain, accept=work.plan.config.audit.accept)
        if out is not None:
            found.save(out)
        rows = [
            [f.severity, f.rule, f.field or "(table)", f.number, f.evidence + " " + f.advice] for f in found.findings
        ]
        result = {**found.to_dict(), "stops": len(found.stops), "out": out, "exit_code": 3 if found.stops else 0}
        text = (
            aligned(["severity", "rule", "field", "number", "evidence and advice"], rows) if rows else "nothing found"
        )
        speaker.show(result, text)
        _stop_on(found.stops)


def _stop_on(stops: tuple[Finding, ...]) -> None:
    if stops:
        from ctrsel.core.errors import LeakError

        stop = stops[0]
        raise LeakError(f"field {stop.field!r}: {stop.evidence} {stop.advice}")


COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "audit",
        audit,
        examples("ctrsel audit clicks.csv --label click", "ctrsel audit clicks.yaml --accept item_id") + "\n\n" + EXITS,
        STEP,
    ),
)
