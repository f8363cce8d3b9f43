"""Meters: what one job used on a CPU, on CUDA, or by declaration.

On a CPU build `torch.cuda.max_memory_allocated()` silently returns 0, so the source of a number travels
with it.
"""

import time
from pathlib import Path
from typing import Any

from serving.providers.protocol import Usage

_PROC = Path("/proc/self")
_KIB_IN_GIB = 2**20


class CpuMeter:
    """Process CPU seconds and the peak of the resident set, reset when the job starts (Linux)."""

    def __init__(self) -> None:
        self._resettable = _reset_peak()
        self._started_s = time.perf_counter()
        self._cpu_started_s = time.process_time()

    def read(self) -> Usage:
        """Return what was used so far."""
        service_s = time.perf_counter() - self._started_s
        compute_s = time.process_time() - self._cpu_started_s
        peak_gib = _peak_gib() if self._resettable else None
        return Usage(service_s, compute_s, peak_gib, "rss" if peak_gib else "rss_unavailable", "cpu")


class CudaMeter:
    """Wall seconds times the replica's GPUs, and the peak of torch's own allocations on its device."""

    def __init__(self, num_gpus: float) -> None:
        self._cuda = _cuda()
        self._num_gpus = num_gpus
        self._cuda.reset_peak_memory_stats()
        self._started_s = time.perf_counter()

    def read(self) -> Usage:
        """Return what was used so far; waits for the device, whose work is asynchronous."""
        self._cuda.synchronize()
        service_s = time.perf_counter() - self._started_s
        peak_gib = self._cuda.max_memory_allocated() / 2**30
        return Usage(service_s, service_s * self._num_gpus, peak_gib, "cuda", "cuda")


class DeclaredMeter:
    """Wall seconds times the replica's GPUs (at least one), and a memory somebody declared."""

    def __init__(self, num_gpus: float, memory_gib: float | None) -> None:
        self._devices = num_gpus or 1.0
        self._memory_gib = memory_gib
        self._started_s = time.perf_counter()

    def read(self) -> Usage:
        """Return what was used so far."""
        service_s = time.perf_counter() - self._started_s
        source = "undeclared" if self._memory_gib is None else "declared"
        return Usage(service_s, service_s * self._devices, self._memory_gib, source, "declared")


def _cuda() -> Any:
    import torch

    return torch.cuda


def _reset_peak() -> bool:
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak_gib() -> float | None:
    for line in (_PROC / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / _KIB_IN_GIB
    return None
