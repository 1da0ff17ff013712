"""Work that may come to no end, or end its process, in processes that are expendable."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from pebble import ProcessExpired, ProcessPool

from app.runtime.children import CPU_SIGNAL, be_expendable, end, within_cpu_time
from app.xray.errors import DecodingStopped, UnusableImage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

log = logging.getLogger(__name__)

T = TypeVar("T")

Death = Literal["overtime", "stalled", "killed", "crashed"]
"""What ended a process: its work took more CPU time than it may, or got none for long; somebody
killed it, as the kernel does where memory runs out; or it ended by itself."""

PATIENCE_S: Final = 60.0
"""What work may take by the clock, the start of its process included, at least."""
_TIMES: Final = 6
"""What it may take by the clock, in its CPU time: others run beside it."""


class _Died(Exception):
    """A process did; `beside` says that it was perhaps another's, and took all others along."""

    def __init__(self, death: Death, *, beside: bool = False) -> None:
        super().__init__(death)
        self.death: Death = death
        self.beside = beside


class Expendable:
    """As many processes as `count`, started when the first work for them comes.

    Each has `memory_bytes` for its data, and `cpu_s` of CPU time for each piece of work.
    """

    def __init__(
        self,
        count: int,
        *,
        cpu_s: float,
        memory_bytes: int,
        patience_s: float = PATIENCE_S,
        on_death: Callable[[Death], None] = lambda _: None,
    ) -> None:
        self._count = count
        self._cpu_s = cpu_s
        self._patience_s = max(patience_s, _TIMES * cpu_s)
        self._memory_bytes = memory_bytes
        self._on_death = on_death
        self._free = asyncio.Semaphore(count)
        self._emptying = asyncio.Lock()
        self._processes: ProcessPool | None = None

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work`, a function of a module, makes of `arguments`.

        Where its process dies, it is done once more in a new one: alone, if the machine may have
        been short of memory. That another process took its own along does not count.

        Raises:
            UnusableImage: it takes more CPU time or memory than it may, or crashes each process.
            DecodingStopped: each process was killed, or got no time: the machine's fault.
            Exception: what `work` raises.
        """
        place: AbstractAsyncContextManager[None] = self._free
        count, died_once = self._count, False
        while True:
            try:
                async with place:
                    return await self._attempt(count, work, arguments)
            except _Died as error:
                if died_once and error.death == "killed":
                    raise DecodingStopped(
                        "What decodes it was killed twice: the machine may be short of memory. Try "
                        "again shortly."
                    ) from error
                if died_once:
                    raise UnusableImage("It cannot be decoded: its decoder crashed.") from error
                died_once = not (error.beside and count > 1)
                if error.death == "killed":
                    place, count = self._alone(), 1

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        if self._processes is not None:
            end(self._processes)
            self._processes = None

    async def _attempt(
        self, count: int, work: Callable[..., T], arguments: tuple[object, ...]
    ) -> T:
        timed = (self._cpu_s, work, arguments)
        future = asyncio.wrap_future(self._pool(count).schedule(within_cpu_time, timed))
        try:
            done: T = await asyncio.wait_for(future, self._patience_s)
        except TimeoutError as error:
            self._note("stalled")
            raise DecodingStopped(
                "The machine had no time to decode it. Try again shortly."
            ) from error
        except MemoryError as error:
            raise UnusableImage("Decoding it takes too much memory.") from error
        except ProcessExpired as error:
            if error.exitcode == -CPU_SIGNAL:
                self._note("overtime")
                raise UnusableImage(
                    f"Decoding it takes more than {self._cpu_s:g} s of computing."
                ) from error
            death: Death = "killed" if error.exitcode == -signal.SIGKILL else "crashed"
            self._note(death, error.exitcode)
            raise _Died(death) from error
        except BrokenProcessPool as error:
            self._note("killed")
            raise _Died("killed", beside=True) from error
        return done

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Have nothing else run, and no other process hold memory."""
        taken = 0
        async with self._emptying:
            try:
                while taken < self._count:
                    await self._free.acquire()
                    taken += 1
                await asyncio.to_thread(self.close)
                try:
                    yield
                finally:
                    await asyncio.shield(asyncio.to_thread(self.close))
            finally:
                for _ in range(taken):
                    self._free.release()

    def _pool(self, count: int) -> ProcessPool:
        """The processes; new ones where they died when they had nothing to do."""
        if self._processes is not None and not self._processes.active:
            asyncio.get_running_loop().run_in_executor(None, end, self._processes)
            self._processes = None
        if self._processes is None:
            self._processes = ProcessPool(
                count,
                initializer=be_expendable,
                initargs=(self._memory_bytes,),
                context=multiprocessing.get_context("spawn"),
            )
        return self._processes

    def _note(self, death: Death, exit_code: int | None = None) -> None:
        self._on_death(death)
        log.warning("a decoder ended early: %s (exit code %s)", death, exit_code)
