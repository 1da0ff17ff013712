"""What this process may run on, told without loading a framework."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEHIND = 10


def usable_cpus(
    membership: Path = Path("/proc/self/cgroup"), controllers: Path = Path("/sys/fs/cgroup")
) -> int:
    """CPUs that this process can keep busy: those it may run on, within its cgroup's quota.

    A container on a large machine sees all of the machine's CPUs; threads beyond its quota only
    make it wait for the next period. A part of a CPU does not count, but for the first. Whoever
    shares a machine out sets `OMP_NUM_THREADS` (OpenMP 5.2, section 21.1.2); no more than that.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked, _, _ = os.environ.get("OMP_NUM_THREADS", "").partition(",")
    bounds = [int(asked)] if asked.strip().isdecimal() and int(asked) else []
    return max(1, min([allowed or 1, *bounds, *map(int, _quotas(membership, controllers))]))


def share_of_machine(cpus: float, gpus: float) -> dict[str, str]:
    """The variables that hold a process to so many of both; Ray itself only keeps account of them.

    With a GPU it is Ray that says which; without, none is seen.
    """
    threads = {"OMP_NUM_THREADS": str(max(1, int(cpus)))}
    return threads if gpus else {**threads, "CUDA_VISIBLE_DEVICES": ""}


def visible_gpus() -> int:
    """NVIDIA GPUs that the driver shows to this process, as `CUDA_VISIBLE_DEVICES` allows it."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def step_back() -> None:
    """Let this thread wait where others have something to do.

    Above all the event loop, which does little, but for everybody. On Linux, where threads have
    priorities of their own (sched(7), "The nice value").
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BEHIND)


def _quotas(membership: Path, controllers: Path) -> Iterator[float]:
    """The CPU quota of this process' cgroup and of each above it, in CPUs.

    Versions 1 and 2 as the Linux kernel documents them (admin-guide/cgroup-v1/cgroups.rst and
    cgroup-v2.rst, "CPU Interface Files"). Inside a container the path may be the host's, of which
    only the root is mounted.
    """
    for line in _read(membership).splitlines():
        _, names, path = line.split(":", 2)
        if names and "cpu" not in names.split(","):
            continue
        root = controllers / names if names else controllers
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                break
            quota, period = (
                (_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))
                if names
                else (*_read(folder / "cpu.max").split(), "", "")[:2]
            )
            if quota.strip().isdigit() and period.strip().isdigit():
                yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
