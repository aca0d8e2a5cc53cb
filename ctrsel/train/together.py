"""Together: one program in several processes: rank 0 runs it, the others take part in what is done everywhere.

A launcher (`torchrun`) starts the program several times. Only rank 0 reads, writes, logs and decides; the others wait
for the next fit, do their part of it, and wait again. A fit has a process group of its own, closed when it ends, however
it ends: an error in one process ends the fit in all of them, with that process's message.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

import torch

from ctrsel.core import errors
from ctrsel.core.errors import ConfigError, CtrselError
from ctrsel.core.launch import LAUNCH_NAMES, Launch
from ctrsel.core.log import event, logger
from ctrsel.train.parallel import Processes
from ctrsel.train.sending import sent

__all__ = ["everywhere", "together"]

T = TypeVar("T")
_Job = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

_JOINED = "CTRSEL_TOGETHER"  # the process that has joined, and its Launch; a child inherits it under another process id
_PATIENCE = datetime.timedelta(days=30)  # of a process that waits for another: rank 0 may write for hours in between
_MEETING = datetime.timedelta(hours=1)  # of processes that meet for a fit
_GRACE = 5.0  # seconds in which a process that fails has said why


class Store(Protocol):
    """What all processes can read and write while they do different things."""

    def add(self, key: str, amount: int) -> int: ...
    def set(self, key: str, value: str) -> None: ...
    def get(self, key: str) -> bytes: ...
    def check(self, keys: list[str]) -> bool: ...
    def compare_set(self, key: str, expected: str, desired: str) -> bytes: ...


def together(main: Callable[[], T]) -> T | None:
    """Run a program: in rank 0 of the processes that `torchrun` started, or in the only one there is.

    In the other processes nothing of it runs; they take part in its fits and return when it has ended.

    Args:
        main: The program.

    Returns:
        What it returns; None in the other processes.

    Examples:
        >>> together(lambda: 1 + 1)
        2
    """
    launch = Launch.of()
    if launch is None:
        return main()
    with _joined(launch) as store:
        if launch.rank == 0:
            try:
                return main()
            finally:
                _announce(store, "end")
        with _silent(), contextlib.suppress(KeyboardInterrupt):
            _serve(store, launch)
        return None


def everywhere(function: Callable[..., T], *args: Any, **named: Any) -> T:
    """Call a function in all processes with these arguments and `processes`, and return this one's result.

    Args:
        function: Of a module; what it does with other processes, all must do in the same order.
        args: Plain values, arrays and what is made of them.
        named: The same.

    Raises:
        ConfigError: If several processes were started that have not joined (see `together`).
        CtrselError: What one of the processes raised, or that one has ended without a word.
    """
    launch = _present()
    if launch is None:
        if Launch.of() is not None:
            raise ConfigError(
                "several processes were started, but the program runs in each of them: give it to ctrsel.together, "
                "as in ctrsel.together(main), or start it alone"
            )
        return function(*args, **named, processes=Processes())
    store = _store(launch)
    event("processes", of=launch.size)
    result: T = _take_part(store, launch, _announce(store, "fit"), (function, args, named))
    return result


def _serve(store: Store, launch: Launch) -> None:
    """Take part in what rank 0 announces until it has ended."""
    for number in itertools.count(1):
        while not store.check([f"job/{number}"]):
            time.sleep(0.02)
        if store.get(f"job/{number}") == b"end":
            return
        # Whatever went wrong, rank 0 says it and decides what comes next.
        try:
            _take_part(store, launch, number, None)
        except Exception:
            _leave_if_alone(store, number)


def _leave_if_alone(store: Store, number: int) -> None:
    """End this process at once if rank 0 has not seen that the fit has ended: a closed connection cannot be overlooked."""
    until = time.monotonic() + 2 * _GRACE
    while not store.check([f"over/{number}"]):
        if time.monotonic() > until:
            os._exit(1)
        time.sleep(0.02)


def _announce(store: Store, job: str) -> int:
    number = int(store.add("jobs", 1))
    store.set(f"job/{number}", job)
    return number


def _take_part(store: Store, launch: Launch, number: int, job: _Job | None) -> Any:
    import torch._dynamo  # noqa: F401  # optimisers load it: where a group is open then, it is never closed
    import torch.distributed as dist

    c10d: Any = dist  # torch does not say that its stores are public
    failure, hook = f"failure/{number}", sys.excepthook
    try:
        dist.init_process_group(
            _backend(launch),
            store=c10d.PrefixStore(f"group/{number}", store),
            rank=launch.rank,
            world_size=launch.size,
            timeout=_PATIENCE,
        )
        function, args, named = sent(job, rank=launch.rank)
        processes = Processes(rank=launch.rank, size=launch.size, sharers=launch.local_size)
        result = function(*args, **named, processes=processes)
        dist.barrier()
    except BaseException as error:
        raise _cause(error, store, failure, launch) from error
    else:
        return result
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
        if launch.rank == 0:
            store.set(f"over/{number}", "")
        sys.excepthook = hook  # a group puts its rank before every line of a traceback, each group once more


def _cause(error: BaseException, store: Store, failure: str, launch: Launch) -> BaseException:
    """Return what went wrong first: this process's error, or what another said before its connection broke."""
    if _broken(error):
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            if store.check([failure]):
                return _rebuilt(json.loads(store.get(failure)), launch)
            time.sleep(0.02)
        return CtrselError(
            f"one of {launch.size} processes ended without a message, as when the system ends it for its memory"
        )
    said = {"rank": launch.rank, "kind": type(error).__name__, "text": str(error)}
    first = json.loads(store.compare_set(failure, "", json.dumps(said)))
    if first["rank"] == launch.rank and launch.rank and not isinstance(error, CtrselError | KeyboardInterrupt):
        traceback.print_exception(error)
    return error


def _broken(error: BaseException) -> bool:
    """Tell whether an error only says that another process is gone."""
    import torch.distributed as dist

    text = str(error)
    return isinstance(error, RuntimeError) and (
        isinstance(error, dist.DistError) or "gloo" in text or "NCCL" in text or "Connection closed" in text
    )


def _rebuilt(said: dict[str, Any], launch: Launch) -> BaseException:
    kind = getattr(errors, said["kind"], None)
    if isinstance(kind, type) and issubclass(kind, CtrselError):
        return kind(said["text"])
    if said["kind"] in ("KeyboardInterrupt", "Terminated"):
        return KeyboardInterrupt()
    return RuntimeError(f"process {said['rank']} of {launch.size}: {said['kind']}: {said['text']}")


def _backend(launch: Launch) -> str:
    """One GPU a process talks by NCCL; what is in main memory, and processes that share a GPU, by gloo."""
    import torch.distributed as dist

    several = torch.cuda.is_available() and torch.cuda.device_count() >= launch.local_size
    return "cpu:gloo,cuda:nccl" if several and dist.is_nccl_available() else "gloo"


@contextlib.contextmanager
def _joined(launch: Launch) -> Iterator[Store]:
    """Take the launch out of the environment, so that a child process is no part of it."""
    before = {name: os.environ.pop(name) for name in LAUNCH_NAMES if name in os.environ}
    os.environ[_JOINED] = json.dumps({"process": os.getpid(), **asdict(launch)})
    if torch.cuda.is_available():
        torch.cuda.set_device(launch.local_rank % torch.cuda.device_count())
    try:
        yield _store(launch, host=launch.rank == 0 and not launch.hosted)
    finally:
        del os.environ[_JOINED]
        os.environ.update(before)


def _present() -> Launch | None:
    """Return the launch that this very process has joined."""
    told = json.loads(os.environ.get(_JOINED, "{}"))
    return Launch(**told) if told.pop("process", None) == os.getpid() else None


def _store(launch: Launch, *, host: bool = False) -> Store:
    import torch.distributed as dist

    c10d: Any = dist
    store = c10d.TCPStore(launch.host, launch.port, is_master=host, wait_for_workers=False, timeout=_MEETING)
    found: Store = c10d.PrefixStore(f"ctrsel/{launch.attempt}", store)
    return found


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Only rank 0 logs."""
    before = logger().level
    logger().setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger().setLevel(before)
