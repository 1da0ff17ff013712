"""How a process of ours behaves that works for another."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from pebble import ProcessPool

from app.runtime.devices import usable_cpus

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

Result = TypeVar("Result")

CPU_SIGNAL: Final = 27 if sys.platform == "win32" else int(signal.SIGPROF)
"""What a timer of CPU time ends a process by (setitimer(2))."""
_OUT_OF_MEMORY_SCORE: Final = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO: Final = "1000"  # proc(5)
_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGE_BYTES: Final = 1 << 21


def be_a_quiet_child() -> None:
    """Silence this process, whose libraries talk; leave Ctrl-C to its parent; end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def be_expendable(max_memory_bytes: int) -> None:
    """Let this process, with what a stranger sent in it, do no harm: a quiet child besides.

    On Linux it gets `max_memory_bytes` for its data, and a `MemoryError` beyond; where the machine
    has no memory left, it goes before its parent. SIGTERM ends it at once, whatever C code it is
    in, and so does the timer of `within_cpu_time`.
    """
    be_a_quiet_child()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    leave_no_core()
    give_memory_back()
    if sys.platform == "linux":
        # Not the address space, of which threads and allocators take gigabytes that they never
        # touch.
        resource.setrlimit(resource.RLIMIT_DATA, (max_memory_bytes, max_memory_bytes))
    with suppress(OSError):
        _OUT_OF_MEMORY_SCORE.write_text(_FIRST_TO_GO)


def within_cpu_time(
    cpu_s: float, function: Callable[..., Result], arguments: tuple[Any, ...]
) -> Result:
    """Call `function`; this process ends by `CPU_SIGNAL` where that takes more CPU time.

    The kernel counts what all threads of the process use, so that neither a busy machine nor a
    clock that is set makes a difference. Without such a timer (Windows) there is no limit here.
    """
    if sys.platform == "win32":
        return function(*arguments)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        return function(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def give_memory_back() -> None:
    """Have this process return large buffers as soon as they are free (mallopt(3)).

    By itself glibc keeps ever larger ones once they were used, and they lie in pieces: after
    twenty thousand pictures of all sizes it held a sixth more than it needed. It also makes up to
    eight arenas a CPU, and what is free in one serves none of the others; one a CPU is enough.
    """
    with suppress(OSError, AttributeError):  # another C library
        allocator = ctypes.CDLL(None)
        for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            allocator.mallopt(option, _LARGE_BYTES)
        allocator.mallopt(_M_ARENA_MAX, usable_cpus())


def return_freed_memory() -> None:
    """Have this process return what it has freed by now (malloc_trim(3)), as after a large load."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def leave_no_core() -> None:
    """Have a crash of this process write no core file: it would hold patients' pictures."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


class Apart:
    """A process of its own, which first calls `be`; one call after the other is made in it.

    A context manager: the process, and whatever it is doing, ends with the block.
    """

    def __init__(self, be: Callable[[], None]) -> None:
        self._process = ProcessPool(1, initializer=be, context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(
        self, function: Callable[..., Result], *arguments: Any, within_s: float
    ) -> Future[Result]:
        """Call `function` there; the result has the errors below, and is not waited for.

        Raises what `function` raises, which has to be picklable, and:

        Raises:
            TimeoutError: it took more than `within_s`.
            ProcessExpired: the process died.
        """
        return self._process.schedule(function, arguments, timeout=within_s)

    def end(self) -> None:
        """End the process; nothing is called in it any more."""
        end(self._process)


def end_children() -> None:
    """End every process of this one's; whoever waits for one is told that it died."""
    for child in multiprocessing.active_children():
        child.terminate()


def end(processes: ProcessPool) -> None:
    """End `processes`, whatever they are doing, and wait until they have."""
    processes.stop()  # type: ignore[no-untyped-call]
    processes.join()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
