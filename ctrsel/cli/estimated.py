"""The dry run's answer as text: what would be read, built and spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrsel.cli.speak import aligned

if TYPE_CHECKING:
    from ctrsel.api.estimate import Estimate

__all__ = ["estimate_text"]


def estimate_text(found: Estimate) -> str:
    """Return tables of rows, bytes, and time and memory per stage."""
    about = "" if found.exact_rows else "about "
    rows = ", ".join(f"{about}{n:,} {name}" for name, n in found.rows.items())
    values = f"{found.values:,}" if found.exact_values else f"about {found.values:,} (from {found.sampled_rows:,} rows)"
    lines = [
        f"Rows     {rows}",
        f"Fields   {found.fields}, values {values}",
        f"Table    {size(found.table_bytes)} in memory and on disk; the raw rows take {size(found.raw_bytes)}",
        "",
    ]
    if found.nets:
        header = ["net", "embedding_rows", "embedding", "other weights", "optimiser", "multiply-adds"]
        parts = [
            [
                n.learner,
                n.embedding_rows,
                *map(size, (n.embedding_bytes, n.network_bytes, n.optimiser_bytes)),
                n.multiply_adds,
            ]
            for n in found.nets
        ]
        lines += [aligned(header, parts), ""]
    stages = [[s.name, clock(s.seconds), size(s.memory)] for s in found.stages]
    stages.append(["in all", clock(found.seconds), size(found.memory)])
    lines += [
        aligned(["stage", "time", "memory"], stages),
        "",
        f"{size(found.free_memory)} of memory are free. Times are estimates for an idle machine: a factor of two is usual,",
        "more where early stopping comes late. Finished stages are reused. Nothing was written.",
        *(f"warning: {w}" for w in found.warnings),
    ]
    return "\n".join(lines)


def size(number: int) -> str:
    """Write bytes for people.

    Examples:
        >>> size(812), size(3_500_000), size(5 << 30)
        ('812 B', '3.3 MiB', '5.0 GiB')
    """
    if number < 1024:
        return f"{number} B"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number} B"


def clock(seconds: float) -> str:
    """Write seconds for people.

    Examples:
        >>> clock(0.2), clock(42), clock(125), clock(7300)
        ('< 1 s', '42 s', '2 min 05 s', '2 h 01 min')
    """
    if seconds < 1:
        return "< 1 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
