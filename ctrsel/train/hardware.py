"""What a fit runs on: device, number of threads and precision, chosen by what the machine gains from them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from statistics import median
from typing import Literal

import torch

from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event

__all__ = ["DeviceName", "Precision", "autocast", "device_of", "faster_threads", "torch_threads"]

DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16", "auto"]

_GAIN = 1.3  # what more threads must give: less is lost again as soon as the machine has other work
_PROBE = (2048, 256, 256)  # a matrix product of a few milliseconds


def device_of(name: DeviceName) -> torch.device:
    """Return the device; "auto" is a GPU where torch finds one.

    Raises:
        ConfigError: If "cuda" is asked for and torch finds none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("net.device: 'cuda' was asked for, but torch finds no GPU; use 'auto' or 'cpu'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def torch_threads(number: int | Literal["auto"], *, sharers: int = 1) -> Iterator[int]:
    """Let torch compute on so many threads, "auto" for what `faster_threads` finds; the former number comes back.

    Args:
        number: Of threads.
        sharers: How many processes divide this machine's processors among them.
    """
    before = torch.get_num_threads()
    chosen = faster_threads(most=max(_usable() // sharers, 1)) if number == "auto" else number
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)


def faster_threads(*, most: int | None = None, turns: int = 5) -> int:
    """Return how many threads a matrix product is clearly faster with than with one, now, on this machine.

    On a machine with other work two threads can be several times slower than one, since each step waits for the slower
    of them: idle threads spin. So the choice is measured, in alternating turns, and more threads must win by 1.3.

    Args:
        most: At most so many; None for the processors that this process may use.
        turns: How often each number is timed.
    """
    numbers = [1]
    while numbers[-1] * 2 <= (most or _usable()):
        numbers.append(numbers[-1] * 2)
    before = torch.get_num_threads()
    rows, inner, columns = _PROBE
    a, b = torch.ones(rows, inner), torch.ones(inner, columns)
    times: dict[int, list[float]] = {n: [] for n in numbers}
    try:
        for _ in range(turns):
            for n in numbers:
                torch.set_num_threads(n)
                torch.mm(a, b)  # wakes the threads
                began = time.perf_counter()
                for _ in range(4):
                    torch.mm(a, b)
                times[n].append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
    best = 1
    for n in numbers[1:]:
        if median(times[best]) >= _GAIN * median(times[n]):
            best = n
    event("threads", chosen=best, **{f"seconds_{n}": median(t) for n, t in times.items()})
    return best


def _usable() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a training step computes: bfloat16 products, float32 weights, sums and losses.

    "auto" is bfloat16 where the processor has instructions for it (AVX512-BF16, AMX) or the GPU does, and float32
    elsewhere: emulated products are slower than float32 ones.
    """
    if precision == "float32" or (precision == "auto" and not _gains(device)):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _gains(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
