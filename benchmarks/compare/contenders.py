"""The servers, as processes that are stopped while another is measured."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from benchmarks.rig.pictures import form
from benchmarks.rig.watched_server import WatchedServer
from benchmarks.rig.wire import post

if TYPE_CHECKING:
    from pathlib import Path

SETTLE_LIMIT_S = 60
SETTLE_WINDOW_S = 0.5
AT_REST = 0.3
"""The share of a CPU that a server may take while nobody asks: LitServe polls its queues."""
NAMES = ("ours", "naive", "LitServe")


class Contender(WatchedServer):
    """A running server; stopped (SIGSTOP) but within a `with` block, so that it takes no CPU."""

    def __init__(self, name: str, model: Path, picture: bytes, log: Path) -> None:
        module, arguments = {
            "ours": ("app", ["--port", "{port}"]),
            "naive": ("benchmarks.compare.servers.naive", [str(model), "{port}"]),
            "LitServe": ("benchmarks.compare.servers.litserve_", [str(model), "{port}"]),
        }[name]
        self.name = name
        super().__init__(
            log,
            module=module,
            arguments=arguments,
            ready=post(form(picture)),
            model_path=str(model),
        )
        self._freeze()

    def __enter__(self) -> Self:
        """Let it run."""
        for process in self.processes():
            process.resume()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._freeze()

    def settle(self) -> None:
        """Wait until it has done what it still does for clients that have gone."""
        until = time.monotonic() + SETTLE_LIMIT_S
        while time.monotonic() < until:
            before = self.cpu_s
            time.sleep(SETTLE_WINDOW_S)
            if self.cpu_s - before < AT_REST * SETTLE_WINDOW_S:
                return
        sys.exit(f"{self.name} comes to no rest")

    def _freeze(self) -> None:
        for process in self.processes():
            process.suspend()
