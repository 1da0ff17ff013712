"""The servers, as processes that are stopped while another is measured."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import httpx
import psutil

from benchmarks.pictures import BOUNDARY

if TYPE_CHECKING:
    from pathlib import Path

START_LIMIT_S = 120
SETTLE_LIMIT_S = 60
SETTLE_WINDOW_S = 0.5
AT_REST = 0.3
"""The share of a CPU that a server may take while nobody asks: LitServe polls its queues."""
NAMES = ("ours", "naive", "LitServe")


class Contender:
    """A running server; stopped (SIGSTOP) but within a `with` block, so that it takes no CPU."""

    def __init__(self, name: str, model: Path, body: bytes, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.name = name
        self.url = f"http://127.0.0.1:{port}/predict"
        module, arguments = {
            "ours": ("app", ["--port", port]),
            "naive": ("benchmarks.servers.naive", [str(model), port]),
            "LitServe": ("benchmarks.servers.litserve_", [str(model), port]),
        }[name]
        start = time.monotonic()
        with log.open("wb") as file:
            self._process = psutil.Popen(
                [sys.executable, "-m", module, *arguments],
                env={
                    **os.environ,
                    "CXR_MODEL_PATH": str(model),
                    "CXR_OOD": "off",  # what is sent is no chest X-ray
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                },
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_for_an_answer(body, log)
            self.start_s = time.monotonic() - start
            self._freeze()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        """Let it run."""
        for process in self._processes():
            process.resume()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._freeze()

    @property
    def cpu_s(self) -> float:
        """CPU time of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    @property
    def memory_mb(self) -> float:
        """Resident memory of all its processes."""
        return sum(process.memory_info().rss for process in self._processes()) / 1e6

    def settle(self) -> None:
        """Wait until it has done what it still does for clients that have gone."""
        until = time.monotonic() + SETTLE_LIMIT_S
        while time.monotonic() < until:
            before = self.cpu_s
            time.sleep(SETTLE_WINDOW_S)
            if self.cpu_s - before < AT_REST * SETTLE_WINDOW_S:
                return
        sys.exit(f"{self.name} comes to no rest")

    def kill(self) -> None:
        """End it and all that it started."""
        with suppress(psutil.NoSuchProcess):
            for process in self._processes():
                process.kill()
        self._process.wait()

    def _freeze(self) -> None:
        for process in self._processes():
            process.suspend()

    def _processes(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _wait_for_an_answer(self, body: bytes, log: Path) -> None:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        until = time.monotonic() + START_LIMIT_S
        with httpx.Client(headers=headers, timeout=30, verify=False) as client:  # noqa: S501  # on loopback, without TLS
            while time.monotonic() < until and self._process.poll() is None:
                try:
                    if client.post(self.url, content=body).is_success:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.02)
        sys.exit(f"{self.name} gives no answer:\n{log.read_text()}")
