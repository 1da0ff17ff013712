from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from app.runtime.devices import usable_cpus
from tests.live import ROOT

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="arenas are those of the GNU C library"
)

ALLOCATING_THREADS = """
import ctypes, threading
from app.runtime.children import give_memory_back

{before}
arrived, held = threading.Barrier(33), threading.Event()

def allocate():
    kept = bytearray(50_000)
    arrived.wait()
    held.wait()

threads = [threading.Thread(target=allocate) for _ in range(32)]
for thread in threads:
    thread.start()
arrived.wait()
library = ctypes.CDLL(None)
library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
held.set()
"""


def count_arenas(before: str) -> int:
    """Those of a process where 32 threads hold memory at the same time."""
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATING_THREADS.format(before=before)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.count("<heap nr=")


def test_threads_share_an_arena_for_each_cpu_so_that_freed_memory_serves_them_all() -> None:
    assert count_arenas("give_memory_back()") <= usable_cpus() < count_arenas("")
