"""Check: whether a version may become champion, rule by rule with the figures that each was decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Check", "CheckLine"]

Status = Literal["passed", "failed", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One rule.

    Attributes:
        rule: Its short name: run, auc, calibration, latency, audit, example, ...
        status: passed, failed, or note where nothing was asked.
        words: One sentence with the figures and what they must be.
        figures: The same as plain numbers.
    """

    rule: str
    status: Status
    words: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """All rules, and against what.

    Attributes:
        lines: In the order in which they are read.
        champion: The version that it was compared with; None if there was none.
        margins: The config section that the rules come from.
        rows: On how many rows both were scored, None if there was nothing to compare with.
    """

    lines: tuple[CheckLine, ...]
    champion: int | None
    margins: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None

    @property
    def passed(self) -> bool:
        """Whether no rule failed.

        Examples:
            >>> Check(lines=(CheckLine(rule="audit", status="failed", words="2 leaks"),), champion=None).passed
            False
        """
        return all(line.status != "failed" for line in self.lines)

    @property
    def failures(self) -> tuple[str, ...]:
        """The sentences of the rules that failed."""
        return tuple(f"{line.rule}: {line.words}" for line in self.lines if line.status == "failed")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"passed": self.passed, **asdict(self)}

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Check:
        """Rebuild from `to_dict`."""
        rest = {k: v for k, v in given.items() if k not in ("passed", "lines")}
        return Check(lines=tuple(CheckLine(**line) for line in given["lines"]), **rest)
