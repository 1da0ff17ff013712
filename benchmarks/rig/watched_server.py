"""A server as a process of its own: started, asked until it answers, watched, ended."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from benchmarks.rig.wire import Answer, ask, get

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Sequence

START_LIMIT_S = 120
END_LIMIT_S = 60


class WatchedServer:
    """A module run as `python -m MODULE ARGUMENTS` on a port that `{port}` in them stands for.

    Ready once the request `ready` is answered with success; killed when the block ends, if it has
    not ended. `settings` are CXR_ variables, beside no gate, since what is sent is drawn, and no
    drain; what it writes goes into the file `log`.
    """

    def __init__(
        self,
        log: Path,
        *,
        module: str = "app",
        arguments: Sequence[str] = ("--port", "{port}"),
        ready: bytes = get("/health/ready"),
        output: int | None = None,
        **settings: str,
    ) -> None:
        # Bound until the end, so that nobody who asks for any port is given this one; a server that
        # sets SO_REUSEADDR, as they do, may listen there all the same.
        self._port_holder = socket.socket()
        self._port_holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port_holder.bind(("127.0.0.1", 0))
        self.port: int = self._port_holder.getsockname()[1]
        self.log = log
        settings = {"ood": "off", "drain_s": "0", **settings}
        variables = {f"CXR_{name.upper()}": value for name, value in settings.items()}
        start = time.monotonic()
        with log.open("wb") as file:
            self.process = psutil.Popen(
                [sys.executable, "-m", module, *(a.format(port=self.port) for a in arguments)],
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables},
                stdout=file if output is None else output,
                stderr=file,
            )
        try:
            self._wait_for_an_answer(ready)
        except BaseException:
            self.kill()
            raise
        self.start_s = time.monotonic() - start

    def __enter__(self) -> Self:
        """It is ready."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it has not ended."""
        self.kill()

    @property
    def cpu_s(self) -> float:
        """CPU time of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    @property
    def memory_mb(self) -> float:
        """Resident memory of all its processes."""
        total = 0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # a child that has just ended
                total += process.memory_info().rss
        return total / 1e6

    def processes(self) -> list[psutil.Process]:
        """Itself and all that it started."""
        return [self.process, *self.process.children(recursive=True)]

    def ask(self, request: bytes) -> Answer:
        """Its answer to a request now and then; for load there is `benchmarks.rig.generator`."""
        return ask(self.port, request)

    def tell(self, signal_: signal.Signals) -> float:
        """Send it a signal; when, by `time.monotonic`."""
        self.process.send_signal(signal_)
        return time.monotonic()

    def kill(self) -> None:
        """End it and all that it started."""
        with suppress(psutil.NoSuchProcess):
            for process in self.processes():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait(END_LIMIT_S)
        self._port_holder.close()

    def _wait_for_an_answer(self, ready: bytes) -> None:
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError):
                if self.ask(ready).status == 200:
                    return
            time.sleep(0.02)
        sys.exit(f"the server gives no answer:\n{self.log.read_text()}")


@contextmanager
def serving(model: Path, **settings: str) -> Iterator[WatchedServer]:
    """The service with `model`, its log in a folder that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory() as folder,
        WatchedServer(Path(folder) / "log", model_path=str(model), **settings) as server,
    ):
        yield server
