"""Memory: how many bytes this process may still use, and how many it holds, limits of containers and shells included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["anonymous_memory", "available_memory"]

_UNLIMITED = 1 << 60  # what the first kind of control groups writes for "no limit" is just below 2**63


def available_memory(*, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that this process may still fill: the least of what machine, control group and shell leave.

    Pages of files that are merely cached count as free. Of a control group (a container, a batch system's job) the
    limit and those of the groups above it count; of the shell `ulimit -v` and `ulimit -d`.

    Args:
        proc: Where the system says what this process is.
        groups: Where it shows control groups, of the first or the second kind.
    """
    import psutil

    return max(0, min([int(psutil.virtual_memory().available), *_left_by_groups(proc, groups), *_left_by_shell(proc)]))


def anonymous_memory(*, proc: Path = Path("/proc")) -> int:
    """Return the bytes of this process in memory that no file holds (RssAnon); 0 where the system does not tell."""
    return _status(proc).get("RssAnon", 0)


def _left_by_groups(proc: Path, groups: Path) -> Iterator[int]:
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            root, limit, used = groups, "memory.max", "memory.current"
            cached = ("inactive_file", "active_file")
        elif "memory" in kinds.split(","):
            root, limit, used = groups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cached = ("total_inactive_file", "total_active_file")
        else:
            continue
        own = root / path.lstrip("/")
        # Inside a container the path is often that of the host, and the group itself stands at the root.
        for folder in [own, *own.parents] if own.is_dir() else [root]:
            most, now = _number(folder / limit), _number(folder / used)
            if most is not None and now is not None and most < _UNLIMITED:
                stat = _pairs(folder / "memory.stat")
                yield most - now + sum(stat.get(name, 0) for name in cached)
            if folder == root:
                break


def _left_by_shell(proc: Path) -> Iterator[int]:
    try:
        import resource
    except ImportError:  # the system has no such limits
        return
    now = _status(proc)
    for kind, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most, _ = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY and name in now:
            yield most - now[name]


def _status(proc: Path) -> dict[str, int]:
    """Return the sizes that the system tells about this process, bytes."""
    try:
        lines = (proc / "self" / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    parts = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in parts}


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _pairs(file: Path) -> dict[str, int]:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {name: int(value) for name, value in (line.split() for line in lines if line.count(" ") == 1)}
